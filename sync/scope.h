/* SPDX-License-Identifier: MIT */
/* Structured concurrency: tasks that have ended when the function has that
 * started them.
 *
 *     struct weft_scope s;
 *     weft_scope_init(&s);
 *     for (...) {
 *         error = weft_scope_go(&s, fetch, &part[i]);   // int fetch(void *)
 *         if (error != 0) break;
 *     }
 *     error = weft_scope_wait(&s);     // none of them runs any more
 *
 * The first of them to fail cancels the others, and its error is the scope's. A
 * scope may be opened in a task of another one: cancelling goes down, errors go
 * up as what the task returns. */
#ifndef WEFT_SYNC_SCOPE_H_
#define WEFT_SYNC_SCOPE_H_

#include <stdint.h>

#include "weft/sched/task.h"
#include "weft/sync/wait_group.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_scope_child;
struct weft_scope_watch;

/* On the stack of the task that opens it, or wherever its children can reach it
 * until weft_scope_wait() has returned. */
struct weft_scope {
    struct weft_wait_group children; /* that have not ended */
    struct weft_task *owner;         /* who opened it, and is to wait; fixed */
    struct weft_scope_watch *watch;  /* of its deadline, or NULL; the owner */
    WEFT_SYNC_ATOMIC(int) error;     /* any thread: the first one, it stays */
    WEFT_SYNC_LOCK lock;
    struct weft_scope_child *first; /* that run and were not cancelled; lock */
};

/* Opens a scope for the caller, which must wait for it. Context: any thread;
 * does not switch. */
void weft_scope_init(struct weft_scope *s);

/* The same with a deadline on the whole: when it passes before the scope's wait
 * has returned, all tasks in it are cancelled, whatever the owner is doing, and
 * -ETIMEDOUT is the error unless there is one; the owner itself goes on. It
 * costs a task that sleeps until then, unless `deadline` is WEFT_FOREVER or has
 * passed already. Returns 0; -ENOMEM, or -EPERM when no runtime runs: then no
 * scope was opened. Context: any thread; does not switch. */
int weft_scope_init_until(struct weft_scope *s, uint64_t deadline);

/* Starts `fn(arg)` as a task in `s`; `options` as for weft_spawn(). When it
 * returns other than 0, that is an error. Returns 0: then `fn` will be called,
 * even if in a task that is cancelled by then; -ECANCELED when the scope is
 * cancelled or has failed; -ENOMEM, -EPERM, -EINVAL as weft_spawn(). After an
 * error nothing was started.
 * Context: the owner, and tasks in the scope; does not switch. */
int weft_scope_go(struct weft_scope *s, int (*fn)(void *), void *arg);
int weft_scope_spawn(struct weft_scope *s, int (*fn)(void *), void *arg,
                     const struct weft_task_options *options);

/* Waits until all tasks in the scope have ended, their task-local values too,
 * and returns the first error, 0 when there was none. What they did is seen.
 *
 * It never returns before. When the caller is cancelled, that is the scope's
 * error unless it has one, -ECANCELED; its tasks are cancelled, and waited for.
 * Stops the program when another than the owner waits. The scope is over then:
 * weft_scope_init() opens it anew.
 * Context: the owner; a task may switch, another thread blocks. */
int weft_scope_wait(struct weft_scope *s);

/* The same; at `deadline` the tasks are cancelled, with -ETIMEDOUT, or when no
 * timer could be had with -ENOMEM: they too are waited for, so that the call
 * lasts as long as they take to clean up. */
int weft_scope_wait_until(struct weft_scope *s, uint64_t deadline);

/* Cancels all tasks in the scope, those that are yet to start too; -ECANCELED
 * is its error unless it has one. Context: the owner, and tasks in the scope;
 * does not switch. */
void weft_scope_cancel(struct weft_scope *s);

/* The first error so far, 0 when there was none. The owner is not cancelled
 * when a task in its scope fails: it may ask, or do its work in one of them.
 * Context: the owner, and tasks in the scope; does not switch. */
int weft_scope_error(const struct weft_scope *s);

#ifdef __cplusplus
}
#endif

#endif
