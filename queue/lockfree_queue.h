/* SPDX-License-Identifier: MIT */
/* A bounded ring of nodes: one owner pushes and pops, any thread steals half.
 * No locks; the owner never waits for anybody.
 *
 *     WEFT_LOCKFREE_QUEUE_DEFINE(ring, 256)
 *
 * makes `struct ring` and, each described at its generic twin weft_ring_*():
 *
 *     void ring_init(q);                        nobody else looks yet
 *     void ring_init_at(q, index);              same, first index chosen
 *     bool ring_push(q, node);                  owner; false: full
 *     uint32_t ring_push_batch(q, batch);       owner; returns how many
 *     bool ring_overflow(q, node, out);         owner, after a full push
 *     node *ring_pop(q);                        owner; NULL: empty
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
 * Overflow: a full and quiet ring is claimed whole (head becomes tail), and its
 * older half is published again where it lies: capacity divides the range of
 * indices, so the indices tail .. tail + capacity/2 mean the same slots. The
 * newer half and the new node go to the caller. So nodes that were fetched from
 * a global queue, which are among the older ones, are not sent back unrun.
 *
 * Algorithm: the local run queue of Tokio, runtime/scheduler/multi_thread/
 * queue.rs, with the overflow of 2026 (its PR #8029). Differences: a thief
 * returns the oldest node of its catch, not the newest (order is kept and costs
 * the same); push compares with a remembered head.
 *
 * Rejected: letting the owner pop several nodes by one exchange and keep them
 * (they could not be stolen while the first one runs for ever); popping without
 * an exchange, with membarrier(2) on the thief's side (owner 5 ns cheaper, a
 * steal a microsecond dearer). */
#ifndef WEFT_QUEUE_LOCKFREE_QUEUE_H_
#define WEFT_QUEUE_LOCKFREE_QUEUE_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/queue/node.h"

/* What does not depend on the capacity: three cache lines, slots follow. */
struct weft_ring {
    /* Any thread, atomic: steal << 32 | real. Changed by the owner's pop and
     * overflow and by thieves, always by compare-and-exchange. */
    WEFT_CACHE_ALIGNED _Atomic uint64_t head;

    /* Written by the owner; any thread reads it. */
    WEFT_CACHE_ALIGNED _Atomic uint32_t tail;

    /* Owner only. A `steal` of before; see 4. above. Not in tail's line:
     * thieves that look at tail would make each pop pay for its store. */
    WEFT_CACHE_ALIGNED uint32_t head_seen;
    /* Written by the owner; any thread samples it. Most slots ever in use. */
    _Atomic uint32_t high_water;
};

_Static_assert(sizeof(struct weft_ring) == 3 * WEFT_CACHE_LINE,
               "head, tail and the owner's words each have a line");

static WEFT_ALWAYS_INLINE uint64_t weft_ring_pack(uint32_t steal,
                                                  uint32_t real) {
    return (uint64_t)steal << 32 | real;
}

static WEFT_ALWAYS_INLINE uint32_t weft_ring_head_real(uint64_t head) {
    return (uint32_t)head;
}

static WEFT_ALWAYS_INLINE uint32_t weft_ring_head_steal(uint64_t head) {
    return (uint32_t)(head >> 32);
}

/* Makes the ring empty; `index` is its first one, 0 but for tests of the wrap-
 * around. Context: nobody else looks at the ring yet. */
static WEFT_ALWAYS_INLINE void weft_ring_init(struct weft_ring *ring,
                                              uint32_t index) {
    atomic_init(&ring->head, weft_ring_pack(index, index));
    atomic_init(&ring->tail, index);
    ring->head_seen = index;
    atomic_init(&ring->high_water, 0);
}

/* Owner: how many slots before `tail` are in use, by a look at `head`. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_used(struct weft_ring *ring,
                                                  uint32_t tail) {
    /* Acquire: pairs with the release in weft_ring_give_back(): the thief has
     * read the slots that we are about to write. */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    ring->head_seen = weft_ring_head_steal(head);
    return tail - ring->head_seen;
}

/* Owner: is there room for `more` behind `tail`? */
static WEFT_ALWAYS_INLINE bool weft_ring_look(struct weft_ring *ring,
                                              uint32_t capacity, uint32_t tail,
                                              uint32_t more) {
    uint32_t used = weft_ring_used(ring, tail);
    if (used > capacity - more) {
        return false;
    }
    if (used + more >
        atomic_load_explicit(&ring->high_water, memory_order_relaxed)) {
        atomic_store_explicit(&ring->high_water, used + more,
                              memory_order_relaxed);
    }
    return true;
}

/* Owner: room for `more` (1 .. capacity)? Mostly without a look at `head`. */
static WEFT_ALWAYS_INLINE bool weft_ring_room(struct weft_ring *ring,
                                              uint32_t capacity, uint32_t tail,
                                              uint32_t more) {
    uint32_t bound = tail - ring->head_seen + more;
    return WEFT_LIKELY(bound <= atomic_load_explicit(&ring->high_water,
                                                     memory_order_relaxed)) ||
           weft_ring_look(ring, capacity, tail, more);
}

/* Owner: the slots before `tail` are to be seen by all. */
static WEFT_ALWAYS_INLINE void weft_ring_publish(struct weft_ring *ring,
                                                 uint32_t tail) {
    /* Release: pairs with the acquire of tail in weft_ring_claim(): a thief
     * that sees the new tail sees the nodes and what they stand for. */
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

/* Puts `node` at the tail. False: full (slots that a thief still copies
 * count). Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_ring_push(struct weft_ring *ring,
                                              struct weft_node **slots,
                                              uint32_t capacity,
                                              struct weft_node *node) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (WEFT_UNLIKELY(!weft_ring_room(ring, capacity, tail, 1))) {
        return false;
    }
    slots[tail & (capacity - 1)] = node;
    weft_ring_publish(ring, tail + 1);
    return true;
}

/* Moves from the front of `batch` to the tail what fits, published by one
 * store. Returns how many. Context: owner. */
static WEFT_ALWAYS_INLINE uint32_t
weft_ring_push_batch(struct weft_ring *ring, struct weft_node **slots,
                     uint32_t capacity, struct weft_batch *batch) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t count = batch->count < capacity ? batch->count : capacity;
    if (count == 0) {
        return 0;
    }
    if (!weft_ring_room(ring, capacity, tail, count)) {
        /* Remembered by the look that found too little room. */
        count = capacity - (tail - ring->head_seen);
        if (count == 0 || !weft_ring_room(ring, capacity, tail, count)) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        slots[(tail + i) & (capacity - 1)] = weft_batch_pop(batch);
    }
    weft_ring_publish(ring, tail + count);
    return count;
}

/* What to do with `node` when push said full. True: *out is a new list to be
 * put elsewhere: the newer half of the ring and then `node`, or `node` alone
 * while a thief is making room. False: a thief came between; push again.
 * Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_ring_overflow(struct weft_ring *ring,
                                                  struct weft_node **slots,
                                                  uint32_t capacity,
                                                  struct weft_node *node,
                                                  struct weft_batch *out) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t real = weft_ring_head_real(head);
    weft_batch_init(out);
    if (weft_ring_head_steal(head) != real) {
        weft_batch_push(out, node);
        return true;
    }
    if (tail - real != capacity) {
        return false;
    }
    /* Claims everything. Release: pairs with the acquire of head in
     * weft_ring_claim(): a thief that sees this head sees no older tail. No
     * acquire: every slot that we use was written by us. */
    if (!atomic_compare_exchange_strong_explicit(
            &ring->head, &head, weft_ring_pack(tail, tail),
            memory_order_release, memory_order_relaxed)) {
        return false;
    }
    ring->head_seen = tail;
    uint32_t half = capacity / 2;
    weft_ring_publish(ring, tail + half); /* the older half, where it lies */
    for (uint32_t i = half; i < capacity; i++) {
        weft_batch_push(out, slots[(tail + i) & (capacity - 1)]);
    }
    weft_batch_push(out, node);
    return true;
}

/* Owner: claims up to `max` (not 0) of the oldest; returns how many, and the
 * index of the first. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_take(struct weft_ring *ring,
                                                  uint32_t max,
                                                  uint32_t *first) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* Acquire, also where the exchange fails: pairs with the release in
     * weft_ring_give_back(), on account of head_seen. */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    for (;;) {
        uint32_t real = weft_ring_head_real(head);
        uint32_t steal = weft_ring_head_steal(head);
        uint32_t count = tail - real;
        if (count == 0) {
            return 0;
        }
        if (count > max) {
            count = max;
        }
        if (WEFT_LIKELY(steal == real)) {
            steal = real + count;
        }
        /* Release: pairs with the acquire of head in weft_ring_claim(): a thief
         * that sees this head sees no older tail (else tail - real < 0). */
        if (WEFT_LIKELY(atomic_compare_exchange_weak_explicit(
                &ring->head, &head, weft_ring_pack(steal, real + count),
                memory_order_acq_rel, memory_order_acquire))) {
            ring->head_seen = steal;
            *first = real;
            return count;
        }
    }
}

/* Takes the oldest node, or NULL. Context: owner. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_ring_pop(
    struct weft_ring *ring, struct weft_node **slots, uint32_t capacity) {
    uint32_t first = 0;
    if (weft_ring_take(ring, 1, &first) == 0) {
        return NULL;
    }
    return slots[first & (capacity - 1)];
}

/* Takes up to `max` of the oldest to the end of *out, by one exchange. Returns
 * how many. Context: owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_pop_batch(struct weft_ring *ring,
                                                       struct weft_node **slots,
                                                       uint32_t capacity,
                                                       uint32_t max,
                                                       struct weft_batch *out) {
    uint32_t first = 0;
    uint32_t count = max == 0 ? 0 : weft_ring_take(ring, max, &first);
    for (uint32_t i = 0; i < count; i++) {
        weft_batch_push(out, slots[(first + i) & (capacity - 1)]);
    }
    return count;
}

/* Thief, step 1: claims half of what is there, the larger half of an odd
 * number, `max` at most. Returns how many and the first index; 0: empty, or
 * another thief is at it. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_claim(struct weft_ring *ring,
                                                   uint32_t capacity,
                                                   uint32_t max,
                                                   uint32_t *first) {
    for (;;) {
        /* Acquire: pairs with the releases in weft_ring_take() and
         * weft_ring_overflow(): the tail that we read next is no older. */
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        uint32_t real = weft_ring_head_real(head);
        if (weft_ring_head_steal(head) != real) {
            return 0;
        }
        /* Acquire: pairs with the release in weft_ring_publish(). */
        uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
        uint32_t count = tail - real;
        count -= count / 2;
        if (count == 0) {
            return 0;
        }
        if (count > max) {
            count = max;
        }
        /* Relaxed: it publishes nothing (others leave the ring alone until
         * weft_ring_give_back()), and what it read was acquired above. Where
         * tail ran ahead of our head, head has moved and this fails. */
        if (atomic_compare_exchange_weak_explicit(
                &ring->head, &head, weft_ring_pack(real, real + count),
                memory_order_relaxed, memory_order_relaxed)) {
            WEFT_CHECK_OP(count, <=, capacity / 2 + capacity % 2);
            *first = real;
            return count;
        }
    }
}

/* Thief, step 3: the slots that were claimed are the owner's again. */
static WEFT_ALWAYS_INLINE void weft_ring_give_back(struct weft_ring *ring,
                                                   uint32_t first) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t real;
    do {
        WEFT_CHECK_OP(weft_ring_head_steal(head), ==, first);
        real = weft_ring_head_real(head); /* the owner may have popped more */
        /* Release: pairs with the acquires in weft_ring_used() and
         * weft_ring_take(): the owner writes the slots after we read them. */
    } while (!atomic_compare_exchange_weak_explicit(
        &ring->head, &head, weft_ring_pack(real, real), memory_order_release,
        memory_order_relaxed));
}

/* Takes half of the ring, `max` at most, to the end of *out. Returns how many.
 * Context: any thread but the owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_steal(struct weft_ring *ring,
                                                   struct weft_node **slots,
                                                   uint32_t capacity,
                                                   uint32_t max,
                                                   struct weft_batch *out) {
    uint32_t first = 0;
    uint32_t count =
        max == 0 ? 0 : weft_ring_claim(ring, capacity, max, &first);
    if (count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        weft_batch_push(out, slots[(first + i) & (capacity - 1)]);
    }
    weft_ring_give_back(ring, first);
    return count;
}

/* Moves half of `from` to the tail of `to`, except the oldest, which is
 * returned. *count is how many moved, that one included. NULL: nothing there,
 * another thief is at it, or `to` is more than half full.
 * Context: owner of `to`, which is not `from`. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_ring_steal_into(
    struct weft_ring *to, struct weft_node **to_slots, struct weft_ring *from,
    struct weft_node **from_slots, uint32_t capacity, uint32_t *count) {
    uint32_t tail = atomic_load_explicit(&to->tail, memory_order_relaxed);
    uint32_t mask = capacity - 1;
    uint32_t first = 0;
    *count = 0;
    uint32_t room = capacity / 2; /* what a steal may need of `to` */
    if (tail - to->head_seen > room && weft_ring_used(to, tail) > room) {
        return NULL;
    }
    uint32_t taken = weft_ring_claim(from, capacity, room, &first);
    if (taken == 0) {
        return NULL;
    }
    struct weft_node *oldest = from_slots[first & mask];
    for (uint32_t i = 1; i < taken; i++) {
        to_slots[(tail + i - 1) & mask] = from_slots[(first + i) & mask];
    }
    weft_ring_give_back(from, first);
    if (taken > 1) {
        bool room_left = weft_ring_room(to, capacity, tail, taken - 1);
        WEFT_CHECK(room_left);
        weft_ring_publish(to, tail + taken - 1);
    }
    *count = taken;
    return oldest;
}

/* How many can be popped or stolen: a snapshot. Context: any thread. */
static WEFT_ALWAYS_INLINE uint32_t
weft_ring_length(const struct weft_ring *ring, uint32_t capacity) {
    /* Relaxed, both: the two words are of different moments anyhow, and either
     * may be the older one. What they say is brought into 0 .. capacity. */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    int32_t length = (int32_t)(tail - weft_ring_head_real(head));
    if (length < 0) {
        return 0;
    }
    return (uint32_t)length < capacity ? (uint32_t)length : capacity;
}

/* Do the invariants hold? Context: owner; thieves may be at work. */
static inline bool weft_ring_valid(const struct weft_ring *ring,
                                   struct weft_node *const *slots,
                                   uint32_t capacity) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t high =
        atomic_load_explicit(&ring->high_water, memory_order_relaxed);
    uint32_t real = weft_ring_head_real(head);
    uint32_t used = tail - weft_ring_head_steal(head);
    uint32_t length = tail - real;
    if (used > capacity || length > used || high > capacity ||
        tail - ring->head_seen > capacity || tail - ring->head_seen < used) {
        return false;
    }
    for (uint32_t i = real; i != tail; i++) {
        if (slots[i & (capacity - 1)] == NULL) {
            return false;
        }
    }
    return true;
}

/* Few users need all that is made for them. */
#define WEFT_QUEUE_MADE static WEFT_ALWAYS_INLINE __attribute__((unused))

#define WEFT_LOCKFREE_QUEUE_DEFINE(prefix, CAPACITY)                          \
    _Static_assert((CAPACITY) >= 2 && (CAPACITY) <= 1 << 30 &&                \
                       ((CAPACITY) & ((CAPACITY)-1)) == 0,                    \
                   "the capacity of a lock-free queue is a power of two");    \
    struct prefix {                                                           \
        struct weft_ring ring;                                                \
        /* Written by the owner, read by whoever claimed them. */             \
        struct weft_node *slots[CAPACITY];                                    \
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
                                    from->slots, CAPACITY, count);            \
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
