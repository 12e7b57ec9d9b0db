/* SPDX-License-Identifier: MIT */
/* Waiting until a number of things are done.
 *
 *     struct weft_wait_group all = WEFT_WAIT_GROUP_INIT;
 *     weft_wait_group_add(&all, n);            // before the tasks start
 *     for (...) weft_go(work, ...);            // each ends with _done(&all)
 *     weft_wait_group_wait(&all);
 *
 * May live on the waiter's stack, as here: a wait that returned 0 is told by
 * the last touch of the last weft_wait_group_done(). */
#ifndef WEFT_SYNC_WAIT_GROUP_H_
#define WEFT_SYNC_WAIT_GROUP_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is a group with nothing to wait for. */
struct weft_wait_group {
    WEFT_SYNC_ATOMIC(uint64_t) word; /* see wait_group.c */
    struct weft_wait_list waiters;
};

/* clang-format off */
#define WEFT_WAIT_GROUP_INIT {0}
/* clang-format on */

/* `n` more things to wait for. Stops the program past 2^32 - 1. Once
 * the group was at zero, all waits that had begun before will return, however
 * soon a new round is added. Context: any thread, does not switch. */
void weft_wait_group_add(struct weft_wait_group *g, uint32_t n);

/* One of them is done; at zero, all waiters wake. Stops the program when there
 * was nothing left to be done. What the caller did before is seen by those
 * whose wait it ends. Context: any thread; may switch when somebody waits. */
void weft_wait_group_done(struct weft_wait_group *g);

/* Waits until nothing is left. Returns 0, or -ECANCELED when it would have to
 * wait and the calling task was cancelled. Context: any thread; a task may
 * switch, another thread blocks. */
int weft_wait_group_wait(struct weft_wait_group *g);

/* The same, and -ETIMEDOUT at `deadline`, -ENOMEM when no timer could be had.
 */
int weft_wait_group_wait_until(struct weft_wait_group *g, uint64_t deadline);

/* The same, but nothing ends it before nothing is left, cancellation neither:
 * for who must not go on, such as when the others use its stack. */
void weft_wait_group_wait_uncancellable(struct weft_wait_group *g);

/* Whether nothing is left, so that a wait would return at once; true means all
 * that was done is seen. Context: any thread, does not switch. */
bool weft_wait_group_try_wait(const struct weft_wait_group *g);

/* How many are not done, a snapshot. Context: any thread. */
uint32_t weft_wait_group_count(const struct weft_wait_group *g);

#ifdef __cplusplus
}
#endif

#endif
