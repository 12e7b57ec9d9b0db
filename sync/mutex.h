/* SPDX-License-Identifier: MIT */
/* Mutual exclusion between tasks: who waits parks the task, never its thread.
 *
 * Fair enough that nobody starves: a task that is running may take a free mutex
 * before one that was just woken for it (hand-offs each time would cost two
 * switches per critical section), but a waiter that failed in this way and has
 * waited for 1 ms is handed the mutex by the next unlock.
 *
 * Not recursive. Belongs to the task that locked it, whichever OS threads that
 * task runs on; other OS threads cannot hold it. */
#ifndef WEFT_SYNC_MUTEX_H_
#define WEFT_SYNC_MUTEX_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is an unlocked mutex: WEFT_MUTEX_INIT, static storage, calloc().
 * The memory may go when nobody holds it, waits for it or calls for it any
 * more; the task that unlocked it last need not have returned from that. */
struct weft_mutex {
    WEFT_SYNC_ATOMIC(uint64_t) word; /* see mutex.c */
    struct weft_wait_list waiters;
};

/* clang-format off */
#define WEFT_MUTEX_INIT {0}
/* clang-format on */

/* Locks `m`; waits as long as it takes, also in a cancelled task (a clean-up
 * must be able to lock). Stops the program outside a task and when the caller
 * holds `m` already. One atomic operation when `m` is free.
 * Context: task, may switch. */
void weft_mutex_lock(struct weft_mutex *m);

/* Locks `m` unless somebody holds it; returns whether it did. Stops outside a
 * task. Context: task, does not switch. */
bool weft_mutex_try_lock(struct weft_mutex *m);

/* Locks `m` like weft_mutex_lock(), but gives up at `deadline`. Returns 0,
 * -ETIMEDOUT, or -ENOMEM when no timer could be had. A free mutex is taken
 * whatever the deadline. Context: task, may switch. */
int weft_mutex_lock_until(struct weft_mutex *m, uint64_t deadline);

/* Unlocks `m` and wakes a waiter. Stops the program when the caller is not the
 * task that locked it. One atomic operation when nobody waits.
 * Context: task; may switch when somebody waits. */
void weft_mutex_unlock(struct weft_mutex *m);

/* True when the calling task holds `m`: for assertions. Context: anywhere. */
bool weft_mutex_is_mine(const struct weft_mutex *m);

#ifdef __cplusplus
}
#endif

#endif
