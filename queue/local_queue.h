/* SPDX-License-Identifier: MIT */
/* The run queue of one processor: a ring of 256 nodes (see
 * weft/queue/lockfree_queue.h for the protocol) and what it counts.
 *
 * Always true:
 *   1. Only the owner changes the counters of a queue; a thief counts what it
 *      took in its own queue. So no counter is ever fought over, and counting
 *      costs an addition in a line that stays in the owner's cache.
 *   2. Of all queues together, while nobody works on them: what was pushed was
 *      popped, was returned by a steal (one node each), overflowed out of a
 *      ring, or lies in one.
 *   3. A full queue hands the overflow back to the caller; it knows no other
 *      queue.
 *
 * `Owner` is the processor, whichever thread holds it at the moment. Context of
 * all: preemption off. None switches, blocks or allocates. */
#ifndef WEFT_QUEUE_LOCAL_QUEUE_H_
#define WEFT_QUEUE_LOCAL_QUEUE_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/compiler.h"
#include "weft/queue/lockfree_queue.h"
#include "weft/queue/node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A test has fewer. */
#ifndef WEFT_LOCAL_SLOTS
#define WEFT_LOCAL_SLOTS 256
#endif

WEFT_LOCKFREE_QUEUE_DEFINE(weft_local_ring, WEFT_LOCAL_SLOTS)

struct weft_local {
    struct weft_local_ring ring;

    /* Written by the owner alone; sampled by any thread. See
     * struct weft_local_counters. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint64_t) pushes;
    WEFT_ATOMIC(uint64_t) pops;
    WEFT_ATOMIC(uint64_t) steals;
    WEFT_ATOMIC(uint64_t) stolen;
    WEFT_ATOMIC(uint64_t) overflows;
    /* Fixed after init: nobody steals from it. The owner's to read: a thief
     * that looked here would take a line that each push writes. */
    bool alone;
};

/* A snapshot; each never shrinks. */
struct weft_local_counters {
    uint64_t pushes;     /* nodes that push and push_batch put into the ring */
    uint64_t pops;       /* nodes that pop and drain took out of it */
    uint64_t steals;     /* steals by this queue's owner that got something */
    uint64_t stolen;     /* nodes they got, the returned ones included */
    uint64_t overflows;  /* pushes that handed a batch back */
    uint32_t high_water; /* most slots ever in use; a slot that a thief is
                          * copying still counts */
};

/* Makes the queue empty, all counters 0. Context: before anybody else looks. */
void weft_local_init(struct weft_local *local);

/* The same for the only queue there is: nobody will steal from it, so its pop
 * needs no exchange. That is worth more than the exchange itself, which waits
 * for all stores before it, a task's misses among them. */
void weft_local_init_alone(struct weft_local *local);

/* The rest of weft_local_push(), when the ring is full. */
bool weft_local_push_slow(struct weft_local *local, struct weft_node *node,
                          struct weft_batch *overflow);

/* Steals half of `from`: the oldest node is returned to be run, the others are
 * put behind what `to` has, in their order. NULL: nothing to steal, another
 * thief is at `from`, or `to` is more than half full.
 * Context: owner of `to`; `from` is any other queue. */
struct weft_node *weft_local_steal(struct weft_local *to,
                                   struct weft_local *from);

/* Moves everything to the end of *out (a thief keeps what it has claimed).
 * Returns how many. Context: owner. */
uint32_t weft_local_drain(struct weft_local *local, struct weft_batch *out);

/* Context: any thread. */
void weft_local_counters_read(const struct weft_local *local,
                              struct weft_local_counters *out);

/* Do the invariants hold? Context: owner; thieves may be at work. */
bool weft_local_valid(const struct weft_local *local);

/* Adds to a counter that only the caller writes: no exchange is needed. */
static WEFT_ALWAYS_INLINE void weft_local_count(WEFT_ATOMIC(uint64_t) * counter,
                                                uint64_t n) {
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
        memory_order_relaxed);
}

/* Puts `node` last. True: it is in the ring, and *overflow is untouched. False:
 * *overflow is a new list of the newest half of the ring and then `node`, or of
 * `node` alone while a thief is making room; the caller puts it elsewhere.
 * Context: owner. */
static inline bool weft_local_push(struct weft_local *local,
                                   struct weft_node *node,
                                   struct weft_batch *overflow) {
    if (WEFT_UNLIKELY(!weft_local_ring_push(&local->ring, node))) {
        return weft_local_push_slow(local, node, overflow);
    }
    weft_local_count(&local->pushes, 1);
    return true;
}

/* The same where it takes no look at the thieves. False: nothing was done, use
 * weft_local_push(). Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_local_push_quickly(struct weft_local *local,
                                                       struct weft_node *node) {
    if (WEFT_UNLIKELY(!weft_local_ring_push(&local->ring, node))) {
        return false;
    }
    weft_local_count(&local->pushes, 1);
    return true;
}

/* Moves from the front of `batch` what fits; returns how many. Context: owner.
 */
static inline uint32_t weft_local_push_batch(struct weft_local *local,
                                             struct weft_batch *batch) {
    uint32_t count = weft_local_ring_push_batch(&local->ring, batch);
    weft_local_count(&local->pushes, count);
    return count;
}

/* Takes the oldest node, or NULL. Context: owner. */
static inline struct weft_node *weft_local_pop(struct weft_local *local) {
    struct weft_node *node = local->alone
                                 ? weft_local_ring_pop_alone(&local->ring)
                                 : weft_local_ring_pop(&local->ring);
    if (node != NULL) {
        weft_local_count(&local->pops, 1);
    }
    return node;
}

/* What is likely to be popped after `more` others: for prefetches. It may have
 * left the queue long ago; NULL: nothing was ever there. Context: owner. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_local_guess(
    struct weft_local *local, uint32_t more) {
    uint64_t head =
        atomic_load_explicit(&local->ring.ring.head, memory_order_relaxed);
    return weft_slot_read(local->ring.slots, WEFT_LOCAL_SLOTS,
                          weft_ring_head_real(head) + more);
}

/* How many nodes can be popped or stolen: too old when it is returned.
 * Context: any thread. */
static inline uint32_t weft_local_length(const struct weft_local *local) {
    return weft_local_ring_length(&local->ring);
}

#ifdef __cplusplus
}
#endif

#endif
