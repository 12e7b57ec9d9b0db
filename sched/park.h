/* SPDX-License-Identifier: MIT */
/* How a task waits and is woken: the two calls that sync and io are built on;
 * and what it carries along for them.
 *
 * Each task has one token. weft_unpark() gives it, weft_park() takes it or
 * waits for it; giving twice is as giving once. A token may be left over from a
 * wait that ended otherwise, so a park may return for no reason: callers loop
 * over a condition of their own, as with a condition variable.
 *
 * Task records are never unmapped while the runtime lives: an unpark that comes
 * after the task has ended gives a token to whoever uses the record next, which
 * is one of those returns for no reason, and nothing worse.
 *
 * The usual pattern, for a primitive with a struct weft_lock and a list:
 *   enter; lock; enqueue a node on this stack; unlock; leave;
 *   while (!granted) park;
 * and of the waker:
 *   lock; pop node; task = node->task; granted = true (release); unlock;
 *   unpark(task).
 * The waker reads node->task first: once `granted` is set, the node is gone. */
#ifndef WEFT_SCHED_PARK_H_
#define WEFT_SCHED_PARK_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sched/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Waits for the token until `deadline`. `why` is a static string for dumps.
 * Returns 0 when a token was taken; -ETIMEDOUT; -ECANCELED when the task has
 * been cancelled (at once, and each time); -ENOMEM when a deadline was given
 * and no timer could be had. Context: task, outside weft_runtime_enter(); may
 * switch. */
int weft_park(uint64_t deadline, const char *why);

/* The same, but cancellation does not end it. */
int weft_park_uncancellable(uint64_t deadline, const char *why);

/* weft_runtime_leave() and then weft_park(), for less: a cancellation that
 * comes while the task waits ends the wait with 0, and the next one at once.
 * Context: task, inside one weft_runtime_enter(); may switch. */
int weft_park_and_leave(uint64_t deadline, const char *why);

/* Gives `task` its token and makes it runnable if it waits. Context: any
 * thread, the runtime's sections too; does not switch. */
void weft_unpark(struct weft_task *task);

/* weft_unpark() and then weft_runtime_leave(), for less. Returns 0, so that a
 * function may end in it. Context: inside weft_runtime_enter(); may switch. */
int weft_unpark_and_leave(struct weft_task *task);

/* weft_unpark() of many, in this order, for less: they run one after the other
 * where the caller does, or where there is time for them. Uses the array.
 * Context: as weft_unpark(). */
void weft_unpark_many(struct weft_task **tasks, int count);

/* Between the two the calling thread is inside the runtime: it is not
 * preempted, so a struct weft_lock may be held. They nest. A task must not park
 * inside. On a thread that weft does not know they do nothing. Entering returns
 * the calling task, as weft_self(). Context: any thread; leave may switch. */
struct weft_task *weft_runtime_enter(void);
void weft_runtime_leave(void);

/* Leaves and enters again, for who wakes more tasks than it would without being
 * preempted; where those that it woke have to queue, they go first. Context: as
 * leave; may switch. */
void weft_runtime_pause(void);

/* What a task carries along for a layer above: one thing, embedded in its
 * owner's structure. When the task's function has returned, the task calls
 * `end`, in which it may still do all that tasks do. */
struct weft_carried {
    void (*end)(struct weft_carried *self);
};

/* What the calling task carries; NULL when that is nothing, or outside a task.
 * Context: anywhere. */
struct weft_carried *weft_carried(void);

/* Makes the calling task carry `what`, or nothing (NULL), instead. Returns 0,
 * or -EPERM outside a task. Context: any thread; does not switch. */
int weft_carry(struct weft_carried *what);

#ifdef __cplusplus
}
#endif

#endif
