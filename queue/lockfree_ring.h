/* SPDX-License-Identifier: MIT */
/* The ring of weft/queue/lockfree_queue.h, for any capacity: that header tells
 * the protocol and makes the type that callers use; the names here are the same
 * with weft_ring_ before them.
 *
 * Each function is given the slots and the capacity, a constant, and is always
 * inlined, so that masks are immediates and a build without optimization keeps
 * the runtime's code in the runtime's text. */
#ifndef WEFT_QUEUE_LOCKFREE_RING_H_
#define WEFT_QUEUE_LOCKFREE_RING_H_

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/queue/node.h"

/* Written by the owner before it is published, read by whoever claimed it; by a
 * quick thief before it knows whether it did, hence atomic. Always relaxed: the
 * order is that of head and tail. */
typedef WEFT_ATOMIC(struct weft_node *) weft_slot;

static WEFT_ALWAYS_INLINE struct weft_node *weft_slot_read(
    const weft_slot *slots, uint32_t capacity, uint32_t index) {
    return atomic_load_explicit(&slots[index & (capacity - 1)],
                                memory_order_relaxed);
}

static WEFT_ALWAYS_INLINE void weft_slot_write(weft_slot *slots,
                                               uint32_t capacity,
                                               uint32_t index,
                                               struct weft_node *node) {
    atomic_store_explicit(&slots[index & (capacity - 1)], node,
                          memory_order_relaxed);
}

/* What does not depend on the capacity: three cache lines, slots follow. */
struct weft_ring {
    /* Any thread, atomic: steal << 32 | real. Changed by the owner's pop and
     * overflow and by thieves, always by compare-and-exchange. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint64_t) head;

    /* Written by the owner; any thread reads it. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint32_t) tail;

    /* Owner only. A `steal` of before; see 4. above. Not in tail's line:
     * thieves that look at tail would make each pop pay for its store. */
    WEFT_CACHE_ALIGNED uint32_t head_seen;
    /* Written by the owner; any thread samples it. Most slots ever in use. */
    WEFT_ATOMIC(uint32_t) high_water;
};

static_assert(sizeof(struct weft_ring) == 3 * WEFT_CACHE_LINE,
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
    /* Acquire: pairs with the releases in weft_ring_give_back() and
     * weft_ring_steal_into(): the thief has read the slots that we are about to
     * write. */
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
    /* Release: pairs with the acquire of tail in weft_ring_half(): a thief
     * that sees the new tail sees the nodes and what they stand for. */
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

/* Puts `node` at the tail. False: full (slots that a thief still copies
 * count). Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_ring_push(struct weft_ring *ring,
                                              weft_slot *slots,
                                              uint32_t capacity,
                                              struct weft_node *node) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (WEFT_UNLIKELY(!weft_ring_room(ring, capacity, tail, 1))) {
        return false;
    }
    weft_slot_write(slots, capacity, tail, node);
    weft_ring_publish(ring, tail + 1);
    return true;
}

/* Moves from the front of `batch` to the tail what fits, published by one
 * store. Returns how many. Context: owner. */
static WEFT_ALWAYS_INLINE uint32_t
weft_ring_push_batch(struct weft_ring *ring, weft_slot *slots,
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
        weft_slot_write(slots, capacity, tail + i, weft_batch_pop(batch));
    }
    weft_ring_publish(ring, tail + count);
    return count;
}

/* What to do with `node` when push said full. True: *out is a new list to be
 * put elsewhere: the newer half of the ring and then `node`, or `node` alone
 * while a thief is making room. False: a thief came between; push again.
 * Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_ring_overflow(struct weft_ring *ring,
                                                  weft_slot *slots,
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
     * weft_ring_half(): a thief that sees this head sees no older tail. No
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
        weft_batch_push(out, weft_slot_read(slots, capacity, tail + i));
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
    /* Acquire, also where the exchange fails: pairs as in
     * weft_ring_used(), on account of head_seen. */
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
        /* Release: pairs with the acquire of head in weft_ring_half(): a thief
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
    struct weft_ring *ring, weft_slot *slots, uint32_t capacity) {
    uint32_t first = 0;
    if (weft_ring_take(ring, 1, &first) == 0) {
        return NULL;
    }
    return weft_slot_read(slots, capacity, first);
}

/* The same in a ring that nobody steals from: a store instead of an exchange,
 * which would wait for all stores before it. Context: owner, no thieves. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_ring_pop_alone(
    struct weft_ring *ring, weft_slot *slots, uint32_t capacity) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t real = weft_ring_head_real(
        atomic_load_explicit(&ring->head, memory_order_relaxed));
    if (real == tail) {
        return NULL;
    }
    atomic_store_explicit(&ring->head, weft_ring_pack(real + 1, real + 1),
                          memory_order_relaxed);
    ring->head_seen = real + 1;
    return weft_slot_read(slots, capacity, real);
}

/* Takes up to `max` of the oldest to the end of *out, by one exchange. Returns
 * how many. Context: owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_pop_batch(struct weft_ring *ring,
                                                       weft_slot *slots,
                                                       uint32_t capacity,
                                                       uint32_t max,
                                                       struct weft_batch *out) {
    uint32_t first = 0;
    uint32_t count = max == 0 ? 0 : weft_ring_take(ring, max, &first);
    for (uint32_t i = 0; i < count; i++) {
        weft_batch_push(out, weft_slot_read(slots, capacity, first + i));
    }
    return count;
}

/* Thief: how many nodes are half of what is there, the larger half of an odd
 * number? Also the head that goes with it. 0: empty, or another thief is at
 * it. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_half(struct weft_ring *ring,
                                                  uint64_t *head) {
    /* Acquire: pairs with the releases in weft_ring_take() and
     * weft_ring_overflow(): the tail that we read next is no older. */
    *head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t real = weft_ring_head_real(*head);
    if (weft_ring_head_steal(*head) != real) {
        return 0;
    }
    /* Acquire: pairs with the release in weft_ring_publish(). */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint32_t count = tail - real;
    return count - count / 2;
}

/* Thief, step 1: claims half of what is there, `max` at most. Returns how many
 * and the first index; 0: as weft_ring_half(). */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_claim(struct weft_ring *ring,
                                                   const weft_slot *slots,
                                                   uint32_t capacity,
                                                   uint32_t max,
                                                   uint32_t *first) {
    for (;;) {
        uint64_t head;
        uint32_t count = weft_ring_half(ring, &head);
        if (count == 0) {
            return 0;
        }
        if (count > max) {
            count = max;
        }
        uint32_t real = weft_ring_head_real(head);
        /* On their way while the exchange is. */
        for (uint32_t i = 0; i < count; i += WEFT_CACHE_LINE / sizeof(*slots)) {
            __builtin_prefetch(&slots[(real + i) & (capacity - 1)]);
        }
        /* Relaxed: it publishes nothing (others leave the ring alone until
         * weft_ring_give_back()), and what it read was acquired above. Where
         * tail ran ahead of our head, head has moved and this fails. */
        if (atomic_compare_exchange_weak_explicit(
                &ring->head, &head, weft_ring_pack(real, real + count),
                memory_order_relaxed, memory_order_relaxed)) {
            WEFT_CHECK_OP(count, <=, capacity / 2);
            *first = real;
            return count;
        }
    }
}

/* Thief, step 3: the slots that were claimed are the owner's again. `word` is
 * the head of a ring, of this kind or of block_ring.h. */
static WEFT_ALWAYS_INLINE void weft_ring_head_give_back(WEFT_ATOMIC(uint64_t) *
                                                            word,
                                                        uint32_t first) {
    uint64_t head = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t real;
    do {
        WEFT_CHECK_OP(weft_ring_head_steal(head), ==, first);
        real = weft_ring_head_real(head); /* the owner may have gone on */
        /* Release: pairs with the acquires in weft_ring_used() and
         * weft_ring_take(), or in weft_blocks_look() and weft_blocks_share():
         * the owner writes the slots after we read them. */
    } while (!atomic_compare_exchange_weak_explicit(
        word, &head, weft_ring_pack(real, real), memory_order_release,
        memory_order_relaxed));
}

static WEFT_ALWAYS_INLINE void weft_ring_give_back(struct weft_ring *ring,
                                                   uint32_t first) {
    weft_ring_head_give_back(&ring->head, first);
}

/* Takes half of the ring, `max` at most, to the end of *out. Returns how many.
 * Context: any thread but the owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_ring_steal(struct weft_ring *ring,
                                                   weft_slot *slots,
                                                   uint32_t capacity,
                                                   uint32_t max,
                                                   struct weft_batch *out) {
    uint32_t first = 0;
    uint32_t count =
        max == 0 ? 0 : weft_ring_claim(ring, slots, capacity, max, &first);
    if (count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        weft_batch_push(out, weft_slot_read(slots, capacity, first + i));
    }
    weft_ring_give_back(ring, first);
    return count;
}

/* Thief: copies `count` nodes, the first of which is returned and the others
 * put behind `tail`, not yet published. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_ring_copy(
    weft_slot *to, uint32_t tail, weft_slot *from, uint32_t first,
    uint32_t capacity, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        weft_slot_write(to, capacity, tail + i - 1,
                        weft_slot_read(from, capacity, first + i));
    }
    return weft_slot_read(from, capacity, first);
}

/* Moves half of `from` to the tail of `to`, except the oldest, which is
 * returned. *count is how many moved, that one included. NULL: nothing there,
 * another thief is at it, or `to` is more than half full. Up to `quick` nodes
 * go by the short way. Context: owner of `to`, which is not `from`. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_ring_steal_into(
    struct weft_ring *to, weft_slot *to_slots, struct weft_ring *from,
    weft_slot *from_slots, uint32_t capacity, uint32_t quick, uint32_t *count) {
    uint32_t tail = atomic_load_explicit(&to->tail, memory_order_relaxed);
    uint32_t room = capacity / 2; /* what a steal may need of `to` */
    struct weft_node *oldest;
    uint32_t taken, first;
    *count = 0;
    if (tail - to->head_seen > room && weft_ring_used(to, tail) > room) {
        return NULL;
    }
    for (;;) {
        uint64_t head;
        taken = weft_ring_half(from, &head);
        if (taken == 0) {
            return NULL;
        }
        if (taken > quick) {
            taken = weft_ring_claim(from, from_slots, capacity, room, &first);
            if (taken == 0) {
                return NULL;
            }
            oldest = weft_ring_copy(to_slots, tail, from_slots, first, capacity,
                                    taken);
            weft_ring_give_back(from, first);
            break;
        }
        first = weft_ring_head_real(head);
        oldest =
            weft_ring_copy(to_slots, tail, from_slots, first, capacity, taken);
        /* Release: as in weft_ring_give_back(). */
        if (atomic_compare_exchange_weak_explicit(
                &from->head, &head,
                weft_ring_pack(first + taken, first + taken),
                memory_order_release, memory_order_relaxed)) {
            break;
        }
    }
    if (taken > 1) {
        bool fits = weft_ring_room(to, capacity, tail, taken - 1);
        WEFT_CHECK(fits);
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
                                   const weft_slot *slots, uint32_t capacity) {
    /* Acquire: pairs as in weft_ring_used(). */
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
        if (weft_slot_read(slots, capacity, i) == NULL) {
            return false;
        }
    }
    return true;
}

#endif
