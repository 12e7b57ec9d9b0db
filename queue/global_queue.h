/* SPDX-License-Identifier: MIT */
/* The queue of all processors: unbounded, first in, first out, an intrusive
 * list under a lock. Pushing allocates nothing and cannot fail.
 *
 * Always true:
 * - `list` is touched under `lock` alone, for a constant number of steps; a
 *   batch out of the queue walks at most `max` links, find walks until it has
 *   found.
 * - `length` is list.count, stored before the lock is let go. Readers without
 *   the lock get a snapshot. A queue whose length reads 0 is not locked by pop
 *   and pop_batch: an idle processor disturbs nobody by looking.
 *
 * That look orders nothing. Who decides to sleep because the length reads 0
 * needs a fence against the pusher's; so needs the pusher that looks for
 * sleepers. The scheduler has both.
 *
 * This is the one to choose, and the scheduler's: batches come and go in a few
 * steps. Where pushers must not wait for takers:
 * weft/queue/lockfree_global.h.
 *
 * Context of all: any thread, preemption off. None switches or allocates. */
#ifndef WEFT_QUEUE_GLOBAL_QUEUE_H_
#define WEFT_QUEUE_GLOBAL_QUEUE_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/queue/node.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_global {
    /* Written under the lock, read by any thread. Not in the lock's line: a
     * look does not slow the holder's way out. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint32_t) length;

    WEFT_CACHE_ALIGNED struct weft_lock lock;
    struct weft_batch list; /* under lock */
};

/* Makes the queue empty. Context: before anybody else looks. */
void weft_global_init(struct weft_global *global);

/* Puts `node` last. */
void weft_global_push(struct weft_global *global, struct weft_node *node);

/* Puts `node` first. */
void weft_global_push_front(struct weft_global *global, struct weft_node *node);

/* Puts all of `batch` last, in its order; `batch` is then empty. */
void weft_global_push_batch(struct weft_global *global,
                            struct weft_batch *batch);

/* Takes the oldest node, or NULL. */
struct weft_node *weft_global_pop(struct weft_global *global);

/* Takes up to `max` of the oldest to the end of *out, in their order. Returns
 * how many. */
uint32_t weft_global_pop_batch(struct weft_global *global, uint32_t max,
                               struct weft_batch *out);

/* Takes everything to the end of *out. Returns how many. */
uint32_t weft_global_clear(struct weft_global *global, struct weft_batch *out);

/* Takes the oldest node for which `fits` is true, or NULL. Walks the list under
 * the lock: for rare cases. `fits` is called with the lock held. */
struct weft_node *weft_global_find(struct weft_global *global,
                                   bool (*fits)(const struct weft_node *));

/* Do the invariants hold? Walks the list under the lock. */
bool weft_global_valid(struct weft_global *global);

/* How many there are, without the lock: a snapshot. */
static inline uint32_t weft_global_length(const struct weft_global *global) {
    return atomic_load_explicit(&global->length, memory_order_relaxed);
}

#ifdef __cplusplus
}
#endif

#endif
