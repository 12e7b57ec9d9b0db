/* SPDX-License-Identifier: MIT */
/* A condition variable: tasks wait for a change of what a mutex protects.
 *
 *     weft_mutex_lock(&m);
 *     while (!ready) {
 *         error = weft_condition_wait(&c, &m);   // 0 or -ECANCELED
 *         if (error != 0) break;
 *     }
 *     weft_mutex_unlock(&m);
 *
 * Always in a loop: between the signal and the return another task may have
 * locked the mutex and changed the state again. */
#ifndef WEFT_SYNC_CONDITION_H_
#define WEFT_SYNC_CONDITION_H_

#include <stdint.h>

#include "weft/sync/mutex.h"
#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is a condition that nobody waits for. The memory may go when all
 * waits have returned, at once after a broadcast that ended them. */
struct weft_condition {
    WEFT_SYNC_ATOMIC(uint64_t) waiting; /* tasks in the list; see condition.c */
    struct weft_wait_list waiters;
};

/* clang-format off */
#define WEFT_CONDITION_INIT {0}
/* clang-format on */

/* Unlocks `m`, waits for a signal, and locks `m` again, whatever comes back.
 * Unlocking and waiting are one step: no signal given after the unlock is lost.
 * Returns 0, or -ECANCELED when the calling task was cancelled (then it took no
 * signal from another). Stops the program when the caller does not hold `m`.
 * Context: task, may switch. */
int weft_condition_wait(struct weft_condition *c, struct weft_mutex *m);

/* The same, also -ETIMEDOUT at `deadline`, and -ENOMEM when no timer could be
 * had. Locking `m` again may take longer than the deadline. */
int weft_condition_wait_until(struct weft_condition *c, struct weft_mutex *m,
                              uint64_t deadline);

/* Wakes the task that waits longest, if any. Whoever changed the state under
 * the mutex may call it before or after unlocking. Context: any thread, may
 * switch. */
void weft_condition_signal(struct weft_condition *c);

/* Wakes all that wait. Context: any thread, may switch. */
void weft_condition_broadcast(struct weft_condition *c);

#ifdef __cplusplus
}
#endif

#endif
