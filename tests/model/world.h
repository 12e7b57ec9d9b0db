/* SPDX-License-Identifier: MIT */
/* A scheduler in the checker: all of //sched:core as it ships, and below it, as
 * they ship, the ring, the global queue and the mailbox. Modelled: futexes, the
 * lock's slow half (it waits until the lock is free), membarrier, the poller
 * (it sleeps until it is kicked), the clock (deadlines come when the checker
 * likes; it stands still, or says so). There is no monitor, and no new OS threads: what
 * they do is a scenario's own to call.
 *
 * A model thread is a worker's OS thread: world_be() says which. Tasks are
 * fresh records with stacks at hand, so that nothing is allocated in a run, and
 * all addresses are the same in each.
 *
 * Workers sleep in the end, in the poller or as spares: scenarios name them as
 * daemons, and their check() says what must have happened by then; a wake-up
 * that was lost shows there. */
#ifndef WEFT_TESTS_MODEL_WORLD_H_
#define WEFT_TESTS_MODEL_WORLD_H_

#include "model.h"
#include "weft/sched/core.h"

enum { WORLD_PROCESSORS = 2, WORLD_WORKERS = 4, WORLD_TASKS = 4 };

struct world {
    struct weft_runtime rt;
    struct weft_processor processors[WORLD_PROCESSORS];
    struct weft_worker workers[WORLD_WORKERS];
    struct weft_task tasks[WORLD_TASKS];
};
extern struct world world;

/* Does a task wait for a descriptor? For which nothing ever comes. After
 * world_reset(), from set_up(). */
extern bool world_awaits_descriptors;

/* Is a deadline that has come over for all from then on? Else the clock says
 * WORLD_BEGIN for ever. After world_reset(), from set_up(). */
#define WORLD_BEGIN UINT64_C(1000000000)
extern bool world_time_passes;

/* The heaps of timers get memory that is the same in all runs. After
 * world_reset(), from set_up(). */
void world_give_timers(void);

/* A runtime of so many processors, all idle, and all workers in existence, none
 * a spare yet. From set_up(). */
void world_reset(unsigned processors);

/* Task `i`, runnable, in no queue, detached if `joiner` says so. */
struct weft_task *world_task(int i, void *(*fn)(void *), uintptr_t joiner);

/* The same, but it waits, as after a weft_park(). */
struct weft_task *world_parked_task(int i, void *(*fn)(void *));

/* Takes processor `p` off the idle list and gives it to worker `w`, which will
 * find it in its mailbox; `first` is what it is to run first, or NULL. From
 * set_up(). */
void world_hold(int p, int w, struct weft_task *first);

/* The calling model thread is worker `i`'s from here on. */
struct weft_worker *world_be(int i);

/* Worker `i`'s loop; it was given a processor or is on the list of spares. */
void world_work(int i);

/* Are the lists of idle processors and spares, and their counts, right, with
 * nobody at work and no task anywhere? From check(). */
void world_check_idle(unsigned idle, unsigned spares);

#endif
