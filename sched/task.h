/* SPDX-License-Identifier: MIT */
/* Tasks: preemptible green threads.
 *
 * A task is an ordinary C function on a stack of its own. It may loop for ever:
 * when its quantum is over and others wait, the runtime takes its processor
 * away and gives it back later. A task that is interrupted keeps its OS thread
 * (unless it asked to be `migratable`), so malloc, stdio, errno and locks work
 * as they always did; at a call that may switch (marked below) it may continue
 * on another OS thread.
 *
 * Handles: weft_spawn() gives a `struct weft_task *` that stays valid until
 * weft_join() returned 0 or weft_detach() was called, whichever comes first.
 *
 * Errors are negative errno values. Times are nanoseconds on CLOCK_MONOTONIC
 * (weft_now()); a deadline is an absolute time, WEFT_FOREVER none.
 *
 * Context: "task" means a function that runs as a task under weft_run(); "any
 * thread" includes OS threads that weft knows nothing of. */
#ifndef WEFT_SCHED_TASK_H_
#define WEFT_SCHED_TASK_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/clock.h"
#include "weft/preempt/asked.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_task;

/* Where a task is in its life. */
enum weft_task_state {
    WEFT_TASK_IDLE,     /* a free record */
    WEFT_TASK_RUNNABLE, /* in a queue, or on its way to its own thread */
    WEFT_TASK_RUNNING,  /* on a thread */
    WEFT_TASK_WAITING,  /* parked until somebody wakes it */
    WEFT_TASK_DEAD,     /* its function has returned */
};

enum weft_priority {
    WEFT_PRIORITY_NORMAL, /* the default */
    WEFT_PRIORITY_HIGH,   /* chosen before the others, never for ever */
    WEFT_PRIORITY_LOW,    /* chosen after the others, with a guaranteed share */
};

struct weft_task_options {
    const char *name;  /* up to 23 bytes are kept; NULL: "task" */
    size_t stack_size; /* bytes; 0: the runtime's default */
    enum weft_priority priority;
    bool keep_fp;    /* the rounding mode and exception masks that the task sets
                      * are its own across switches (about 3 ns each) */
    bool migratable; /* an interrupted task may change its OS thread: see
                      * WEFT_MIGRATABLE */
};

/* A task with the option `migratable` promises that, at every instruction of
 * its functions that are marked WEFT_MIGRATABLE, it is pure computation: it may
 * be interrupted there and go on on another OS thread. It does not, across any
 * of them, rely on errno's address, a thread-local variable, the identity of
 * its thread, its locale, a held pthread lock or flockfile(), a changed signal
 * mask or CPU affinity. Such a task needs no OS thread while it waits for its
 * turn, so there can be a million of them that compute.
 *
 * WEFT_MIGRATABLE puts a function into a section of its own. Compile it with
 * -fno-omit-frame-pointer and -mno-omit-leaf-frame-pointer: the task is moved
 * only when all its functions that are active are marked (docs/preemption.md
 * tells what else is checked); else it keeps its thread as any task does, which
 * struct weft_metrics counts in migrate_refused. */
#define WEFT_MIGRATABLE __attribute__((section("weft_migratable")))

/* Starts `fn(arg)` as a detached task. The new task runs when the caller next
 * waits, or earlier on another processor. Returns 0, -ENOMEM, or -EPERM outside
 * weft_run() and, to a thread that is not a task's, while that ends. Context:
 * any thread; does not switch. */
int weft_go(void (*fn)(void *), void *arg);

/* Starts `fn(arg)` as a task that can be joined and puts its handle into
 * `*out`. `options` may be NULL. Returns 0, -ENOMEM, -EPERM outside weft_run(),
 * -EINVAL for a stack size or priority out of range. Context as weft_go(). */
int weft_spawn(struct weft_task **out, void *(*fn)(void *), void *arg,
               const struct weft_task_options *options);

/* Waits until `task` has ended and puts what its function returned into
 * `*result` (unless NULL); the handle is gone when 0 comes back. Returns 0,
 * -EDEADLK for the caller itself, -EBUSY when another task joins it already,
 * -EPERM outside a task, -ECANCELED when the caller was cancelled, and
 * weft_join_until() -ETIMEDOUT at the deadline or -ENOMEM when no timer could
 * be had; after an error the handle is still good. Context: task, may switch.
 */
int weft_join(struct weft_task *task, void **result);
int weft_join_until(struct weft_task *task, void **result, uint64_t deadline);

/* Gives the handle up: the task's memory is used again when it ends. Returns 0,
 * or -EBUSY while somebody joins it. To join or detach what was joined or
 * detached before stops the program, unless the handle is another task's by
 * then. Context: any thread, does not switch. */
int weft_detach(struct weft_task *task);

/* Asks `task` to end: its present and later waits return -ECANCELED and
 * weft_cancelled() says true; nothing else happens to it, so it cleans up as
 * after any error. Cancelling twice, or a task that has ended, does nothing.
 * Returns 0. Context: any thread that holds the handle; does not switch. */
int weft_cancel(struct weft_task *task);

/* True when the calling task was cancelled. Context: task; does not switch. */
bool weft_cancelled(void);

/* Lets the others run: the caller goes to the end of the queue. With nobody
 * waiting it returns at once. Context: task, may switch; elsewhere it does
 * nothing. */
void weft_yield(void);

/* A point at which a cooperative preemption may take place: put it into loops
 * that are built or run without signals. It costs a load and a branch. (With
 * bazel/checks.bzl the compiler puts checks in.) Context: anywhere; in a task
 * it may switch. */
void weft_check_slowly(void);
static inline void weft_check(void) {
    if (__builtin_expect(weft_anybody_asked(), 0)) {
        weft_check_slowly();
    }
}

/* Sleeps for `ns` nanoseconds, or until `deadline`. Returns 0, or -ECANCELED,
 * or -ENOMEM when no timer could be had. Context: task, may switch; on another
 * thread it blocks that thread. */
int weft_sleep(uint64_t ns);
int weft_sleep_until(uint64_t deadline);

/* Now, in nanoseconds on CLOCK_MONOTONIC; in a task of a runtime that was
 * started with WEFT_CLOCK_VIRTUAL, on that clock. Context: anywhere. */
uint64_t weft_now(void);

/* Between the two the calling task is not interrupted: for a few lines that
 * must not be separated. They nest. What falls due meanwhile happens in the
 * outermost weft_preempt_enable(). The task must not wait in between; a call
 * that sleeps in the kernel keeps its processor.
 * Context: task (elsewhere nothing); enable may switch. */
void weft_preempt_disable(void);
void weft_preempt_enable(void);

/* Calls `fn(arg)` with the processor given up, so that others run while it
 * blocks this OS thread; returns what it returned, with a processor again. Code
 * that blocks without saying so is found by the monitor, only later.
 * Context: task, may switch; elsewhere it just calls. */
void *weft_blocking(void *(*fn)(void *), void *arg);

/* Between the two the calling task stays on its OS thread when it waits, too,
 * and nobody else runs there: for code that belongs to a thread (windows, GL,
 * thread-locals kept across waits). They nest; the task's end unpins it. While
 * pinned it costs an OS thread, and each wait and yield a hand-over between
 * threads (microseconds). The affinity of its thread is its own to set; it
 * ends with the pinning. Returns 0; -EAGAIN when (max_threads - workers - 1) /
 * 2 tasks are pinned already, or this one 65,535 times; -EPERM outside a task.
 * Unpinning what is not pinned stops the program. Context: task (unpin
 * elsewhere: nothing); does not switch. */
int weft_pin_thread(void);
void weft_unpin_thread(void);

/* The calling task, or NULL outside a task. Context: anywhere. */
struct weft_task *weft_self(void);

/* The number of a task, unique in one weft_run() and never 0. Context: any
 * thread that holds the handle. */
uint64_t weft_task_id(const struct weft_task *task);

/* Its name, valid as long as the handle. Context as weft_task_id(). */
const char *weft_task_name(const struct weft_task *task);

/* Names the calling task; up to 23 bytes are kept. Context: task. */
void weft_set_name(const char *name);

/* Changes the calling task's priority. Returns 0, -EINVAL, or -EPERM outside a
 * task. Context: task; does not switch. */
int weft_set_priority(enum weft_priority priority);

/* Where `task` is now, a snapshot. Context as weft_task_id(). */
enum weft_task_state weft_task_state(const struct weft_task *task);

#ifdef __cplusplus
}
#endif

#endif
