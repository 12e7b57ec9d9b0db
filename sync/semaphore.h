/* SPDX-License-Identifier: MIT */
/* A counting semaphore, first come first served: permits that are released go
 * to the tasks that wait, in their order, and nobody overtakes them. */
#ifndef WEFT_SYNC_SEMAPHORE_H_
#define WEFT_SYNC_SEMAPHORE_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is a semaphore without permits. The memory may go when all its
 * permits are where they belong and no task waits: the task that took the last
 * one may free it though weft_semaphore_release() has not yet returned. */
struct weft_semaphore {
    WEFT_SYNC_ATOMIC(uint64_t) word; /* see semaphore.c */
    struct weft_wait_list waiters;
};

/* The most permits there can be. */
#define WEFT_SEMAPHORE_MAX UINT32_MAX

/* Gives it `permits` to begin with. Context: before anybody else sees it. */
void weft_semaphore_init(struct weft_semaphore *s, uint32_t permits);

/* Takes a permit, waiting for one if need be. Returns 0, or -ECANCELED when it
 * would have to wait and the calling task was cancelled. Context: any thread;
 * a task may switch, another thread blocks. */
int weft_semaphore_acquire(struct weft_semaphore *s);

/* Takes a permit if there is one; returns whether it did. Context: any thread,
 * does not switch. */
bool weft_semaphore_try_acquire(struct weft_semaphore *s);

/* As weft_semaphore_acquire(), and -ETIMEDOUT at `deadline`, -ENOMEM when no
 * timer could be had. A free permit is taken whatever the deadline. */
int weft_semaphore_acquire_until(struct weft_semaphore *s, uint64_t deadline);

/* Gives `n` permits (0 does nothing) and wakes as many waiters. Stops the
 * program when there would be more than WEFT_SEMAPHORE_MAX. Context: any
 * thread; may switch when somebody waits. */
void weft_semaphore_release(struct weft_semaphore *s, uint32_t n);

/* How many permits are free, a snapshot. Context: any thread. */
uint32_t weft_semaphore_value(const struct weft_semaphore *s);

#ifdef __cplusplus
}
#endif

#endif
