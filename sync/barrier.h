/* SPDX-License-Identifier: MIT */
/* A place where a number of tasks wait for each other, round after round. */
#ifndef WEFT_SYNC_BARRIER_H_
#define WEFT_SYNC_BARRIER_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The memory may go when all calls of the last round have returned. */
struct weft_barrier {
    uint32_t parties; /* fixed */
    struct weft_wait_list waiters;
};

/* What a wait returns to the one that came last. */
#define WEFT_BARRIER_LAST 1

/* For rounds of `parties` each, 1 and more; 0 stops the program. All of a round
 * are let go under one hold of a lock: meant for thousands, not for millions.
 * Context: before anybody else sees it. */
void weft_barrier_init(struct weft_barrier *b, uint32_t parties);

/* Waits until as many as belong to a round have come. Returns WEFT_BARRIER_LAST
 * to the one that came last and 0 to the others; all see what all did before
 * they came. Returns -ECANCELED when it would have to wait and the calling task
 * was cancelled: then it has not come, and the round needs another.
 * Context: any thread; a task may switch, another thread blocks. */
int weft_barrier_wait(struct weft_barrier *b);

/* The same, and -ETIMEDOUT at `deadline`, -ENOMEM when no timer could be had,
 * with the same consequence. */
int weft_barrier_wait_until(struct weft_barrier *b, uint64_t deadline);

/* Completes the round if the caller is the last that it needs, and returns
 * whether it was. Context: any thread; may switch when it wakes others. */
bool weft_barrier_try_wait(struct weft_barrier *b);

#ifdef __cplusplus
}
#endif

#endif
