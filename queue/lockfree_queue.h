/* SPDX-License-Identifier: MIT */
/* A bounded ring of nodes: one owner pushes and pops, any thread steals half.
 * No locks; the owner never waits for anybody.
 *
 *     WEFT_LOCKFREE_QUEUE_DEFINE(ring, 256)
 *
 * makes `struct ring` and, each described at its twin in
 * weft/queue/lockfree_ring.h:
 *
 *     void ring_init(q);                        nobody else looks yet
 *     void ring_init_at(q, index);              same, first index chosen
 *     bool ring_push(q, node);                  owner; false: full
 *     uint32_t ring_push_batch(q, batch);       owner; returns how many
 *     bool ring_overflow(q, node, out);         owner, after a full push
 *     node *ring_pop(q);                        owner; NULL: empty
 *     node *ring_pop_alone(q);                  owner, where nobody ever steals
 *     uint32_t ring_pop_batch(q, max, out);     owner; returns how many
 *     uint32_t ring_steal(q, max, out);         any thread; returns how many
 *     node *ring_steal_into(to, from, &n);      owner of `to`; NULL: nothing
 *     uint32_t ring_length(q);                  any thread, a snapshot
 *     uint32_t ring_high_water(q);              any thread, a snapshot
 *     bool ring_valid(q);                       owner
 *
 * The capacity is a power of two or the build stops. `Owner` is a role: it may
 * go from thread to thread if each sees what the last one did. Context of all:
 * preemption off, since a thief that stops half-way keeps other thieves of that
 * ring out. None switches, blocks or allocates.
 *
 * State. `head` is one atomic word of two indices, `real` (the next to be
 * popped) and `steal` (the first that a running steal still copies). `tail` is
 * written by the owner. Indices run freely modulo 2^32 and are masked only to
 * address a slot, so that full and empty differ.
 *
 * Always true (modulo 2^32):
 *   1. steal <= real <= tail, and tail - steal <= capacity.
 *   2. steal == real exactly when no steal is running; one at a time per ring.
 *   3. Slots [real, tail) hold nodes. Slots [steal, real) are a thief's, which
 *      reads them; the owner writes none of them.
 *   4. head_seen <= steal, and the slots before it were given back to the owner
 *      by an acquire: what is between head_seen and tail is at least what is in
 *      use, so the owner looks at `head` only when that bound grows past all it
 *      has seen (the high-water mark, never above the capacity).
 *
 * A steal:
 *   thief                                     owner, meanwhile
 *   1. head (s,s) -> (s,s+n): claims half     pops from s+n on; its push sees
 *   2. copies [s,s+n) into its own ring        s+0 as the first slot in use
 *   3. head (s,r) -> (r,r): gives them back   may write [s,r) again
 * The oldest node is returned to run, the others are published in their order.
 *
 * A quick steal, of up to WEFT_RING_QUICK nodes, copies first and claims last:
 * head (s,s) -> (s+n,s+n), one exchange. If the exchange succeeds, head was s
 * all the time, so nobody wrote the slots; if not, what was copied is
 * forgotten, and it lay behind the thief's tail anyway. One exchange less (7.5
 * to 4.7 ns for a push and its steal), and a thief that loses its CPU on the
 * way keeps nobody out. A long copy would be forgotten too often.
 *
 * A claim sends for the slots before its exchange, which would hold up their
 * loads: a node from another core costs 7.4 ns instead of 9.1 (ck_ring: 9.3 to
 * 9.6 at that moment; medians of interleaved runs).
 *
 * Choose this ring where a node must not wait while its owner is busy, as in
 * weft's scheduler; weft/queue/block_queue.h, whose owner keeps a block to
 * itself, where that does not matter.
 *
 * Overflow: a full and quiet ring is claimed whole (head becomes tail), and its
 * older half is published again where it lies: capacity divides the range of
 * indices, so the indices tail .. tail + capacity/2 mean the same slots. The
 * newer half and the new node go to the caller. So nodes that were fetched from
 * a global queue, which are among the older ones, are not sent back unrun.
 *
 * Algorithm: the local run queue of Tokio, runtime/scheduler/multi_thread/
 * queue.rs, with the overflow of 2026 (its PR #8029). Differences: a thief
 * returns the oldest node of its catch, not the newest (order is kept and costs
 * the same); push compares with a remembered head; quick steals.
 *
 * Rejected: letting the owner pop several nodes by one exchange and keep them
 * (they could not be stolen while the first one runs for ever); popping without
 * an exchange (every steal would owe a membarrier(2), a system call that
 * interrupts the other processors); not remembering head on pop, which saves a
 * store and costs each push a look (3.1 ns for push and pop became 4.0). */
#ifndef WEFT_QUEUE_LOCKFREE_QUEUE_H_
#define WEFT_QUEUE_LOCKFREE_QUEUE_H_

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/compiler.h"
#include "weft/queue/lockfree_ring.h"
#include "weft/queue/node.h"

/* The most that is stolen by one exchange: what one cache line of slots may
 * hold is 8; half of that meets most steals, which are of one or two. */
#define WEFT_RING_QUICK 4u

/* Few users need all that is made for them. */
#define WEFT_QUEUE_MADE static WEFT_ALWAYS_INLINE __attribute__((unused))

#define WEFT_LOCKFREE_QUEUE_DEFINE(prefix, CAPACITY)                          \
    static_assert((CAPACITY) >= 2 && (CAPACITY) <= 1 << 30 &&                 \
                      ((CAPACITY) & ((CAPACITY)-1)) == 0,                     \
                  "the capacity of a lock-free queue is a power of two");     \
    struct prefix {                                                           \
        struct weft_ring ring;                                                \
        weft_slot slots[CAPACITY];                                            \
    };                                                                        \
    WEFT_QUEUE_MADE void prefix##_init_at(struct prefix *q, uint32_t index) { \
        weft_ring_init(&q->ring, index);                                      \
    }                                                                         \
    WEFT_QUEUE_MADE void prefix##_init(struct prefix *q) {                    \
        weft_ring_init(&q->ring, 0);                                          \
    }                                                                         \
    WEFT_QUEUE_MADE bool prefix##_push(struct prefix *q,                      \
                                       struct weft_node *node) {              \
        return weft_ring_push(&q->ring, q->slots, CAPACITY, node);            \
    }                                                                         \
    WEFT_QUEUE_MADE uint32_t prefix##_push_batch(struct prefix *q,            \
                                                 struct weft_batch *batch) {  \
        return weft_ring_push_batch(&q->ring, q->slots, CAPACITY, batch);     \
    }                                                                         \
    WEFT_QUEUE_MADE bool prefix##_overflow(                                   \
        struct prefix *q, struct weft_node *node, struct weft_batch *out) {   \
        return weft_ring_overflow(&q->ring, q->slots, CAPACITY, node, out);   \
    }                                                                         \
    WEFT_QUEUE_MADE struct weft_node *prefix##_pop(struct prefix *q) {        \
        return weft_ring_pop(&q->ring, q->slots, CAPACITY);                   \
    }                                                                         \
    WEFT_QUEUE_MADE struct weft_node *prefix##_pop_alone(struct prefix *q) {  \
        return weft_ring_pop_alone(&q->ring, q->slots, CAPACITY);             \
    }                                                                         \
    WEFT_QUEUE_MADE uint32_t prefix##_pop_batch(                              \
        struct prefix *q, uint32_t max, struct weft_batch *out) {             \
        return weft_ring_pop_batch(&q->ring, q->slots, CAPACITY, max, out);   \
    }                                                                         \
    WEFT_QUEUE_MADE uint32_t prefix##_steal(struct prefix *q, uint32_t max,   \
                                            struct weft_batch *out) {         \
        return weft_ring_steal(&q->ring, q->slots, CAPACITY, max, out);       \
    }                                                                         \
    WEFT_QUEUE_MADE struct weft_node *prefix##_steal_into(                    \
        struct prefix *to, struct prefix *from, uint32_t *count) {            \
        return weft_ring_steal_into(&to->ring, to->slots, &from->ring,        \
                                    from->slots, CAPACITY, WEFT_RING_QUICK,   \
                                    count);                                   \
    }                                                                         \
    WEFT_QUEUE_MADE uint32_t prefix##_length(const struct prefix *q) {        \
        return weft_ring_length(&q->ring, CAPACITY);                          \
    }                                                                         \
    WEFT_QUEUE_MADE uint32_t prefix##_high_water(const struct prefix *q) {    \
        return atomic_load_explicit(&q->ring.high_water,                      \
                                    memory_order_relaxed);                    \
    }                                                                         \
    WEFT_QUEUE_MADE bool prefix##_valid(const struct prefix *q) {             \
        return weft_ring_valid(&q->ring, q->slots, CAPACITY);                 \
    }

#endif
