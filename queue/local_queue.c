/* SPDX-License-Identifier: MIT */
/* The rarer half of the local queue: initial state, a full ring, stealing,
 * draining, counters. The protocol is in weft/queue/lockfree_queue.h. */
#include "weft/queue/local_queue.h"

#include "weft/base/check.h"
#include "weft/base/compiler.h"

WEFT_TEXT void weft_local_init(struct weft_local *local) {
    weft_local_ring_init(&local->ring);
    atomic_init(&local->pushes, 0);
    atomic_init(&local->pops, 0);
    atomic_init(&local->steals, 0);
    atomic_init(&local->stolen, 0);
    atomic_init(&local->overflows, 0);
    local->alone = false;
}

WEFT_TEXT void weft_local_init_alone(struct weft_local *local) {
    weft_local_init(local);
    local->alone = true;
}

WEFT_TEXT bool weft_local_push_slow(struct weft_local *local,
                                    struct weft_node *node,
                                    struct weft_batch *overflow) {
    /* Each round that finds neither room nor a batch was undone by a thief that
     * has made room since, so this ends. */
    do {
        if (weft_local_ring_overflow(&local->ring, node, overflow)) {
            weft_local_count(&local->overflows, 1);
            return false;
        }
    } while (!weft_local_ring_push(&local->ring, node));
    weft_local_count(&local->pushes, 1);
    return true;
}

WEFT_TEXT struct weft_node *weft_local_steal(struct weft_local *to,
                                             struct weft_local *from) {
    uint32_t count;
    WEFT_CHECK_OP(to, !=, from);
    WEFT_CHECK(!to->alone); /* nor is `from`, of the same processors */
    struct weft_node *node =
        weft_local_ring_steal_into(&to->ring, &from->ring, &count);
    if (node != NULL) {
        weft_local_count(&to->steals, 1);
        weft_local_count(&to->stolen, count);
    }
    return node;
}

WEFT_TEXT uint32_t weft_local_drain(struct weft_local *local,
                                    struct weft_batch *out) {
    uint32_t count =
        weft_local_ring_pop_batch(&local->ring, WEFT_LOCAL_SLOTS, out);
    weft_local_count(&local->pops, count);
    return count;
}

WEFT_TEXT void weft_local_counters_read(const struct weft_local *local,
                                        struct weft_local_counters *out) {
    *out = (struct weft_local_counters){
        .pushes = atomic_load_explicit(&local->pushes, memory_order_relaxed),
        .pops = atomic_load_explicit(&local->pops, memory_order_relaxed),
        .steals = atomic_load_explicit(&local->steals, memory_order_relaxed),
        .stolen = atomic_load_explicit(&local->stolen, memory_order_relaxed),
        .overflows =
            atomic_load_explicit(&local->overflows, memory_order_relaxed),
        .high_water = weft_local_ring_high_water(&local->ring),
    };
}

WEFT_TEXT bool weft_local_valid(const struct weft_local *local) {
    return weft_local_ring_valid(&local->ring);
}
