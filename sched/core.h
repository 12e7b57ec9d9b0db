/* SPDX-License-Identifier: MIT */
/* The three nouns and the whole: task, worker, processor, runtime.
 *
 *   task       a C function on its own stack, which it gets when it first runs.
 *              While it was interrupted it is bound to the worker whose thread
 *              holds its frames.
 *   worker     an OS thread. It runs tasks while it holds a processor.
 *   processor  the right to run tasks: queue, slot, timers, counters.
 *
 * Always true:
 *   1. A processor has at most one worker, and only that worker uses what is
 *      marked "owner". Who takes a processor out of a worker's hands owns it.
 *   2. A task is in one place: running on a worker, in one queue, parked, or
 *      dead. Who moves it out of a place is the only one to know it then.
 *   3. worker->thread.gate is closed whenever the thread is inside the runtime:
 *      in these files, on its native stack, in the signal handler. So a runtime
 *      lock is never held by a thread that sleeps with an interrupted task.
 *   4. A record of a task is never unmapped while the runtime lives.
 *
 * The files of this target are one concept, cut by what they tell:
 *   switch.c   from one task to the next: yield, park, exit
 *   unpark.c   waking tasks that wait
 *   ready.c    making tasks runnable, and waking a worker for them
 *   idle.c     the lists of idle processors and spare workers
 *   crowd.c    waking many at one time
 *   pick.c     which task is next: all the policy of the queues
 *   quick.h    the usual cases of the two before, inlined
 *   share.c    how light tasks and hogs share a processor
 *   hogs.c     how hogs share what is left to them
 *   quantum.c  how long a slice may last
 *   worker.c   the loop of a worker with nothing to run: steal, poll, sleep
 *   keep.c     involuntary preemption, processors lost and given
 *   migrate.c  involuntary preemption of tasks that may change threads
 *   pin.c      tasks that keep their thread while they wait
 *   nodes.c    memory nodes: processors, threads and memory of one
 *   watch.c    quanta, wake-up preemption, blocked workers
 *   monitor.c  forgotten polling and timers (doze.c: or no tick at all);
 *              alarms.c: hogs' own clocks
 *   timers.c   sleeping, deadlines; virtual_clock.c: a clock for tests
 *   spawn.c    birth, join, detach, cancel
 *   birth.c    records and stacks for tasks, and who keeps them
 *   threads.c  making OS threads, ahead of need
 *   reserve.c  the cap on threads; dead.c: when nothing can ever go on
 *   runtime.c  start and end
 *   metrics.c  seeing inside: counters, dumps */
#ifndef WEFT_SCHED_CORE_H_
#define WEFT_SCHED_CORE_H_

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/arch/context.h"
#include "weft/arch/stack.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/base/topology.h"
#include "weft/preempt/exceptions.h"
#include "weft/preempt/gate.h"
#include "weft/preempt/handover.h"
#include "weft/preempt/migrate.h"
#include "weft/preempt/signals.h"
#include "weft/preempt/thread_quick.h"
#include "weft/preempt/timer.h"
#include "weft/queue/global_queue.h"
#include "weft/queue/local_queue.h"
#include "weft/queue/node.h"
#include "weft/sched/birth.h"
#include "weft/sched/brood.h"
#include "weft/sched/clock_inside.h"
#include "weft/sched/dead.h"
#include "weft/sched/doze.h"
#include "weft/sched/park.h"
#include "weft/sched/policy.h"
#include "weft/sched/poller.h"
#include "weft/sched/record.h"
#include "weft/sched/records.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sched/timer_heap.h"
#include "weft/sched/timers.h"

enum {
    WEFT_MAX_PROCESSORS = 256,
    WEFT_MAX_WORKERS = 4096,
    WEFT_TASK_CACHE = 128, /* free records that a processor keeps */
    WEFT_STACK_CACHE = 32, /* free stacks that a processor keeps */
};

/* What the next on the processor has to do for the one that left. */
enum weft_after {
    WEFT_AFTER_NOTHING,
    WEFT_AFTER_YIELD, /* put it into a queue */
    WEFT_AFTER_PARK,  /* it waits, unless its token came meanwhile */
    WEFT_AFTER_EXIT,  /* it is dead and buried: use its stack again */
};

/* weft_worker.status, for the monitor and for dumps */
enum weft_worker_status {
    WEFT_WORKER_SPARE,   /* waits for a processor */
    WEFT_WORKER_ACTIVE,  /* runs tasks or looks for one */
    WEFT_WORKER_POLLING, /* sleeps in the poller, without a processor */
    WEFT_WORKER_KEPT,    /* sleeps with an interrupted task */
    WEFT_WORKER_BLOCKED, /* in weft_blocking(), without a processor */
    WEFT_WORKER_STRAY,   /* runs its task, its processor was taken away */
};

/* weft_worker.retake */
enum {
    WEFT_RETAKE_NONE,
    WEFT_RETAKE_ASKED, /* the monitor is about to take the processor */
    WEFT_RETAKE_TAKEN, /* the processor is gone; ask for one before going on */
};

/* weft_worker.ended: has its thread left the runtime? */
enum { WEFT_ENDED_NOT, WEFT_ENDED_TO_JOIN, WEFT_ENDED_JOINED };

/* weft_runtime.poll_seat: who is to sleep in the poller */
enum {
    WEFT_SEAT_VACANT,
    WEFT_SEAT_WORKER,
    WEFT_SEAT_MONITOR, /* while all processors are busy */
};

struct weft_worker {
    struct weft_thread thread;    /* first: weft_thread_self() is the worker */
    struct weft_runtime *runtime; /* fixed */
    unsigned index;               /* fixed */
    pthread_t pthread;            /* fixed */
    struct weft_migrate_thread own; /* fixed while its thread lives */
    _Atomic uint32_t started;       /* its thread has set itself up */
    _Atomic uint32_t ended;         /* WEFT_ENDED_... */

    /* Owner; the monitor reads. */
    _Atomic(struct weft_processor *) processor; /* what it holds, or NULL */
    _Atomic(struct weft_task *) task;           /* what runs on it, or NULL */
    _Atomic uint32_t status;                    /* enum weft_worker_status */

    /* Any thread, atomic: see keep.c. */
    _Atomic uint32_t retake;
    struct weft_handover handover; /* a processor comes in here */
    bool held; /* to other CPUs than its node's; who gives writes it, before
                * the mailbox */

    /* Owner. */
    struct weft_context native; /* the thread's own stack */
    struct weft_task *left;     /* who was switched away from, and */
    enum weft_after after;      /* what is to be done for it */
    struct weft_context dying;  /* of a task that has ended: its flow goes on */
    struct weft_stack dead_stack; /* until the next one's begins */
    bool dead_pooled;
    struct weft_task *next; /* what the native loop runs next, or NULL */
    bool searching;         /* counted in idle.searching */
    bool patient;           /* it has the slice of a hog's thread: share.c */
    bool pinned;            /* its task is: its CPUs are the task's matter */
    uint16_t node;          /* of its processor, or its last; see nodes.c */
    uint32_t random;        /* xorshift state, never 0 */

    /* Under idle.lock. */
    struct weft_worker *spare_next;
    bool is_spare;

    /* The monitor's. */
    bool in_call; /* when last looked at, it slept where signals disturb */
    int stat_fd;  /* /proc/self/task/TID/stat, -1 when not to be had; then */
    uint64_t still_cpu;             /* CPU time that it had used */
    uint64_t still_at, still_since; /* when last looked at, and when it moved */
};

struct weft_processor {
    /* Any thread, atomic. */
    _Alignas(WEFT_CACHE_LINE) _Atomic(struct weft_worker *) worker;
    _Atomic(struct weft_task *) slot; /* LIFO: the last made ready here */
    _Atomic uint64_t seq;       /* owner writes: so many slices have begun */
    _Atomic uint64_t began;     /* owner writes: when, if it is timed; else 0;
                                 * odd: it is light. See share.c */
    _Atomic uint64_t protect;   /* owner writes: ns that are the hog's own */
    _Atomic uint64_t asked_seq; /* monitor, alarm write: this slice is over */
    _Atomic uint64_t polled_at; /* owner, monitor write: doze.c */
    _Atomic bool asked_spent;   /* and it was a whole quantum, or a hog's */

    /* Fixed. */
    uint16_t node;                   /* memory node: nodes.c */
    uint16_t near_first, near_count; /* the processors of it, p among them */

    /* Owner. */
    struct weft_runtime *runtime;
    struct weft_task *next; /* what its next worker is to run, or NULL */
    uint32_t picks;
    uint32_t look_at;     /* the pick that is to look at all queues: quick.h */
    uint32_t slot_streak; /* tasks taken from the slot in a row */
    uint32_t passed;      /* tasks in a row that began before the slot's */
    uint32_t let_by;      /* tasks that were let go before the hogs */
    uint64_t light_since; /* when the last hog's slice ended; see share.c */
    int64_t credit;       /* ns that light tasks may run before hogs */
    _Atomic uint64_t cpu_began; /* CPU clock when a timed slice began */
    uint64_t hog_used;  /* CPU time of the one that was just preempted */
    uint32_t quick;     /* timed ones of light tasks in a row that were not */
    int64_t mean_slice; /* ns of CPU of a hog at a time; see hogs.c */
    struct weft_batch free_tasks;     /* records, each with a stack reserved */
    uint64_t next_id, last_id;        /* ids that are its to give */
    struct weft_processor *idle_next; /* under idle.lock */
    uint32_t stack_count;             /* of `stacks`, warm ones: LIFO */
    struct weft_stack stacks[WEFT_STACK_CACHE];
    bool newest_first;     /* the brood is in use; see pick.c */
    uint64_t oldest_after; /* ns: then its oldest has a turn all the same */
    uint64_t poll_at, poll_every; /* ns: alarms.c */

    struct weft_local queue;
    struct weft_brood brood; /* what has not begun */

    /* Owner writes, others read: statistics, relaxed. */
    _Alignas(WEFT_CACHE_LINE) _Atomic uint64_t spawned;
    _Atomic uint64_t ended;
    _Atomic uint64_t polls;
    _Atomic uint64_t yielded;
    _Atomic uint64_t adopted; /* taken from another's brood */
    _Atomic uint64_t far;     /* steals from processors of other nodes */

    _Alignas(WEFT_CACHE_LINE) struct weft_lock timer_lock;
    _Atomic uint64_t timers_served; /* the owner writes: see timers.c */
    struct weft_timer_heap timers;  /* under timer_lock */

    /* The monitor's: what it saw last. */
    _Alignas(WEFT_CACHE_LINE) uint64_t seen_seq;
    uint64_t seen_at; /* when its slice began, as far as is known */
    uint64_t asked_at, seen_polls; /* when the last request was made; doze.c */
    uint64_t seen_cpu; /* what its thread had used then, unless a hog's; or */
    uint64_t looked_at, looked_cpu; /* when a hog was looked at, and the same */
};

/* Who sleeps: see the protocol in ready.c. */
struct weft_idle {
    _Alignas(WEFT_CACHE_LINE) _Atomic uint32_t searching; /* workers */
    _Atomic uint32_t processors; /* how many are idle */
    _Atomic uint32_t spares;     /* workers that wait for a processor */
    struct weft_lock lock;
    struct weft_processor *first;    /* idle processors; under lock */
    struct weft_worker *first_spare; /* under lock */
};

struct weft_runtime {
    /* Fixed after start. */
    struct weft_config config;
    unsigned processor_count;
    struct weft_processor *processors;
    struct weft_stack_pool *stacks;
    uint32_t hog_check;      /* at which picks hogs may be first: see pick.c */
    bool can_retake, alarms; /* membarrier is there; alarms.c is in use */
    cpu_set_t cpus;          /* that the process may use */
    uint64_t kernel_mask;    /* signals blocked in the workers' threads */
    uint8_t keeps;           /* WEFT_KEEPS_... of each task */
    struct weft_virtual_clock clock;
    struct weft_topology topology; /* of `cpus`; count is 1: nobody asks */

    _Alignas(WEFT_CACHE_LINE) struct weft_records records[WEFT_TOPOLOGY_NODES];
    struct weft_poller poller;
    struct weft_timer monitor;
    struct weft_idle idle;
    struct weft_global global; /* runnable, from anywhere */
    struct weft_global high;   /* runnable and of high priority */
    struct weft_global hogs;   /* interrupted, and low priority */
    struct weft_global held;   /* not begun, for want of threads: reserve.c */

    /* At the cap, with few spares left; written under idle.lock, seldom. */
    _Alignas(WEFT_CACHE_LINE) _Atomic bool tight;
    _Atomic bool no_more;      /* the kernel gave no thread when last asked */
    _Atomic uint32_t cap_said; /* 1: a line is to be printed, 2: it was */
    _Atomic(struct weft_worker *) reserve; /* a spare in hand; as `tight` */

    /* Until when the worker and the monitor sleep in the poller (0: they do
     * not): see worker.c. */
    _Alignas(WEFT_CACHE_LINE) _Atomic uint64_t poll_until;
    _Atomic uint64_t monitor_until;
    _Atomic uint32_t poll_seat;                    /* WEFT_SEAT_... */
    _Atomic uint32_t monitor_asleep;               /* 1: it wants a kick */
    uint64_t picks_seen, picks_seen_at, last_poll; /* the monitor's */
    uint32_t idle_ticks, stray_at; /* its, too; the latter: who is next */
    struct weft_dead dead;
    struct weft_doze doze;

    /* Any thread, atomic. */
    _Alignas(WEFT_CACHE_LINE) _Atomic uint32_t stopping; /* main has ended */
    _Atomic uint32_t stopped;                            /* workers shall end */
    _Atomic uint32_t all_ended; /* futex: weft_run() waits for it */
    _Alignas(WEFT_CACHE_LINE) _Atomic uint64_t foreign_spawned, foreign_ended;
    _Atomic uint64_t next_id;
    _Atomic uint64_t kept, skipped, retaken, checks, parks, unparks;
    _Atomic uint64_t migrated, refused;

    /* Workers, appended; a slot once set stays, and is used again when its
     * thread has ended. */
    _Atomic(struct weft_worker *) workers[WEFT_MAX_WORKERS];
    _Atomic uint32_t worker_count;
    _Atomic uint32_t threads_ended;    /* of those, without a thread now */
    struct weft_preempt_counters past; /* of threads that ended; idle.lock */
    _Atomic uint32_t strays;           /* run or block without a processor */
    _Atomic uint32_t bound;  /* sleep with a task that is bound to them */
    _Atomic uint32_t pinned; /* tasks: see pin.c */

    /* threads.c */
    struct weft_timer spawner;      /* its tick makes what is missing */
    _Atomic uint32_t spares_wanted; /* 1: it was asked and has not come yet */
    _Atomic uint32_t threads_tried; /* futex: the first have been made */
    _Atomic uint64_t threads_refused; /* times; the spawner's to write */
    uint64_t retry_after; /* ns, when no thread could be had; the spawner's */
    sigset_t mask;                  /* signals blocked in weft_run()'s caller */
};

/* runtime.c: the runtime of `w`; for NULL, a thread that is no worker, the one
 * that runs, or NULL. It stays until weft_runtime_return() of the same `w`. */
struct weft_runtime *weft_runtime_borrow(struct weft_worker *w);
void weft_runtime_return(struct weft_worker *w);

#include "weft/sched/inside.h"

static WEFT_ALWAYS_INLINE uint64_t weft_earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline struct weft_processor *weft_worker_processor(
    struct weft_worker *w) {
    return atomic_load_explicit(&w->processor, memory_order_relaxed);
}

static inline struct weft_task *weft_worker_task(struct weft_worker *w) {
    return atomic_load_explicit(&w->task, memory_order_relaxed);
}

static inline struct weft_task *weft_node_task(struct weft_node *node) {
    return node == NULL ? NULL
                        : weft_container_of(node, struct weft_task, node);
}

/* A counter that one thread writes and others read. */
static WEFT_ALWAYS_INLINE void weft_count(_Atomic uint64_t *counter) {
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
        memory_order_relaxed);
}

/* Moves a task from one state to the next; only the agreed ones. */
static WEFT_ALWAYS_INLINE void weft_task_become(struct weft_task *t,
                                                enum weft_task_state from,
                                                enum weft_task_state to) {
    WEFT_CHECK_OP(atomic_load_explicit(&t->state, memory_order_relaxed), ==,
                  (uint32_t)from);
    atomic_store_explicit(&t->state, (uint8_t)to, memory_order_relaxed);
}

/* The same for who knows the state that it leaves. */
static WEFT_ALWAYS_INLINE void weft_task_turn(struct weft_task *t,
                                              enum weft_task_state to) {
    atomic_store_explicit(&t->state, (uint8_t)to, memory_order_relaxed);
}

/* share.c; the clock is a parameter for tests */
enum weft_timed { WEFT_TIMED_NOT, WEFT_TIMED_LIGHT, WEFT_TIMED_HOG };
void weft_share_slice(struct weft_processor *p, const struct weft_task *t);
void weft_share_first(struct weft_processor *p);
void weft_share_switch(struct weft_processor *p, enum weft_timed timed,
                       uint64_t now);
void weft_share_thread(struct weft_worker *w, bool hog);
bool weft_share_hog_due(struct weft_processor *p, uint64_t now);

/* hogs.c */
uint64_t weft_hogs_clock(void);
void weft_hogs_charge(struct weft_processor *p, struct weft_task *t);
struct weft_task *weft_hogs_next(struct weft_processor *p);

/* Is a slice that began like this (processor->began) a hog's? */
static inline bool weft_began_as_hog(uint64_t began) {
    return began != 0 && (began & 1) == 0;
}

/* Timed, but not a hog's? */
static inline bool weft_began_as_light(uint64_t began) {
    return (began & 1) != 0;
}

/* A slice of `t` begins on `p`. Where hogs are involved, which cost
 * microseconds to take up again, the clock is read, and where tasks are that
 * may be about to compute like them; others are too quick for that. Owner. */
static WEFT_ALWAYS_INLINE void weft_slice_begin(struct weft_processor *p,
                                                const struct weft_task *t) {
    if (WEFT_UNLIKELY(t->hog || t->migratable ||
                      atomic_load_explicit(&p->began, memory_order_relaxed) !=
                          0)) {
        weft_share_slice(p, t);
    }
    weft_count(&p->seq);
}

/* It was preempted before: it will be again. */
enum { WEFT_STRIKES = 3 };

/* `t` is preempted. True when it is a hog by now. */
static inline bool weft_task_strike(struct weft_processor *p,
                                    struct weft_task *t) {
    weft_hogs_charge(p, t);
    if (t->strikes < WEFT_STRIKES) {
        t->strikes++;
    }
    return t->hog || t->strikes == WEFT_STRIKES ||
           atomic_load_explicit(&p->asked_spent, memory_order_relaxed);
}

/* `t` has waited, or given way by itself. */
static inline void weft_task_forgive(struct weft_task *t) {
    t->hog = false;
    t->strikes = 0;
}

/* switch.c */
struct weft_worker *weft_switch_finish(void);
void weft_task_begin(void *flow);
struct weft_worker *weft_yield_inside(struct weft_worker *w);
int weft_park_for_end(uint64_t deadline);
struct weft_worker *weft_switch_from_handler(struct weft_worker *w,
                                             struct weft_task *n);

/* crowd.c */
void weft_unpark_batch(struct weft_runtime *rt, struct weft_processor *p,
                       struct weft_task **tasks, int count);

/* unpark.c, ready.c */
void weft_ready(struct weft_runtime *rt, struct weft_worker *w,
                struct weft_task *t);
void weft_ready_behind(struct weft_worker *w, struct weft_task *t);
bool weft_token_give(struct weft_task *t);
void weft_unpark_behind_all(struct weft_runtime *rt, struct weft_task *t);
void weft_wake(struct weft_runtime *rt);
void weft_processor_hand_off(struct weft_runtime *rt, struct weft_processor *p);
void weft_processor_give(struct weft_processor *p, struct weft_worker *to,
                         struct weft_task *next);
void weft_processor_give_here(struct weft_processor *p, struct weft_worker *to,
                              struct weft_task *next);
void weft_processor_take(struct weft_worker *w, struct weft_processor *p);

/* idle.c */
void weft_spare_push(struct weft_worker *w);
bool weft_spare_leave(struct weft_worker *w);
struct weft_worker *weft_spare_pop(struct weft_runtime *rt, unsigned node,
                                   const struct weft_task *for_task);
void weft_idle_push(struct weft_processor *p);
struct weft_processor *weft_idle_pop(struct weft_runtime *rt, unsigned node);

/* pick.c. One pick in so many asks whether it is the hogs' turn: with classes,
 * and without. Powers of two. */
enum { WEFT_HOG_CHECK = 16, WEFT_HOG_TURNS = 2 };
struct weft_task *weft_pick(struct weft_processor *p);
uint32_t weft_own_length(struct weft_processor *p);
bool weft_own_light(struct weft_processor *p);
bool weft_anything_waiting(struct weft_runtime *rt);
void weft_push_global(struct weft_runtime *rt, struct weft_task *t);
void weft_put_back(struct weft_runtime *rt, struct weft_task *t);
struct weft_task *weft_pick_bound(struct weft_runtime *rt);

/* worker.c */
void weft_ready_batch(void **tasks, int count);
int weft_look_around(struct weft_worker *w);
extern struct weft_processor weft_processor_stop; /* "end", in a mailbox */
void weft_worker_main(struct weft_worker *w);
uint64_t weft_timers_next(struct weft_runtime *rt);
uint64_t weft_count_slices(const struct weft_runtime *rt);
int weft_look_at_poller(struct weft_processor *p, void **tasks, int room);
void weft_poller_nudge(struct weft_runtime *rt, uint64_t deadline);

/* keep.c */
void weft_keep(struct weft_worker *w);
void weft_check_in_place(void);
bool weft_keep_wanted(struct weft_worker *w);
void weft_retake(struct weft_runtime *rt, struct weft_processor *p,
                 struct weft_worker *w);
int weft_keep_install(struct weft_runtime *rt);

/* watch.c */
struct weft_look {
    uint64_t now, tick, quantum, may; /* `may`: light tasks begin then */
    uint32_t shared; /* light tasks that nobody was asked to make room for */
    bool waiting;    /* set when a light task waits somewhere */
    bool hogs, calm; /* hogs wait or run; all tasks come and go by themselves */
};
uint64_t weft_watch(struct weft_runtime *rt, struct weft_processor *p,
                    struct weft_look *look);
void weft_watch_strays(struct weft_runtime *rt, uint64_t now);

/* migrate.c */
bool weft_migrate(struct weft_worker *w, struct weft_interrupt *interrupt);
void weft_migrate_start(struct weft_runtime *rt);

/* monitor.c */
uint64_t weft_monitor_tick(void *runtime, uint64_t now);
void weft_monitor_wake(struct weft_runtime *rt);

#endif
