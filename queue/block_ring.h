/* SPDX-License-Identifier: MIT */
/* The ring of weft/queue/block_queue.h, for any capacity and block: that header
 * tells the protocol and makes the type that callers use; the names here are
 * the same with weft_blocks_ before them.
 *
 * Each function is given the slots, the capacity and the block, constants, and
 * is always inlined, for the reasons of weft/queue/lockfree_ring.h, whose slots
 * it uses. */
#ifndef WEFT_QUEUE_BLOCK_RING_H_
#define WEFT_QUEUE_BLOCK_RING_H_

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/queue/lockfree_ring.h"
#include "weft/queue/node.h"

struct weft_blocks {
    /* Any thread, atomic: steal << 32 | real, as in struct weft_ring. Changed
     * by compare-and-exchange, by the owner once a block; while there is no
     * node behind real, by the owner's store. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint64_t) head;
    /* Written by the owner; any thread reads it. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint32_t) tail;
    /* Written by the owner; any thread samples own and end for a length. The
     * owner's block is [own, end). Not in tail's line: thieves that look at
     * tail would make each pop pay for its store. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint32_t) own;
    WEFT_ATOMIC(uint32_t) end;
    /* Owner only: the slots before this index are free; see 5. there. */
    uint32_t limit;
    /* Written by the owner; any thread samples it. */
    WEFT_ATOMIC(uint32_t) high_water;
};

static_assert(sizeof(struct weft_blocks) == 3 * WEFT_CACHE_LINE,
              "head, tail and the owner's words each have a line");

/* Owner: a word that only the owner writes. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_get(WEFT_ATOMIC(uint32_t) *
                                                   word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static WEFT_ALWAYS_INLINE void weft_blocks_set(WEFT_ATOMIC(uint32_t) * word,
                                               uint32_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Is index `a` before `b`? */
static WEFT_ALWAYS_INLINE bool weft_blocks_before(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}

/* Makes the ring empty; `index` is its first one. Context: nobody else looks.
 */
static WEFT_ALWAYS_INLINE void weft_blocks_init(struct weft_blocks *ring,
                                                uint32_t block,
                                                uint32_t index) {
    atomic_init(&ring->head, weft_ring_pack(index + block, index + block));
    atomic_init(&ring->tail, index);
    atomic_init(&ring->own, index);
    atomic_init(&ring->end, index + block);
    ring->limit = index;
    atomic_init(&ring->high_water, 0);
}

/* Owner: moves what is left of its block up to `index`, where the slots before
 * it are the owner's: thieves have read what was there. */
static WEFT_ALWAYS_INLINE void weft_blocks_move_up(struct weft_blocks *ring,
                                                   weft_slot *slots,
                                                   uint32_t capacity,
                                                   uint32_t index) {
    uint32_t end = weft_blocks_get(&ring->end);
    uint32_t mine = end - weft_blocks_get(&ring->own);
    for (uint32_t i = 1; i <= mine; i++) {
        weft_slot_write(slots, capacity, index - i,
                        weft_slot_read(slots, capacity, end - i));
    }
    weft_blocks_set(&ring->own, index - mine);
    weft_blocks_set(&ring->end, index);
}

/* Owner: looks at head, moves the block up if thieves have emptied what follows
 * it, and returns the first index in use. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_oldest(struct weft_blocks *ring,
                                                      weft_slot *slots,
                                                      uint32_t capacity) {
    /* Acquire: pairs with the release in weft_blocks_give_back(): the thief has
     * read the slots that we are about to write. */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t steal = weft_ring_head_steal(head);
    if (weft_blocks_before(weft_blocks_get(&ring->end), steal)) {
        weft_blocks_move_up(ring, slots, capacity, steal);
    }
    uint32_t own = weft_blocks_get(&ring->own);
    return weft_blocks_before(steal, own) ? steal : own;
}

/* Owner: is there room for `more` behind `tail`? Looks, and sets `limit`. */
static WEFT_ALWAYS_INLINE bool weft_blocks_look(struct weft_blocks *ring,
                                                weft_slot *slots,
                                                uint32_t capacity,
                                                uint32_t block, uint32_t tail,
                                                uint32_t more) {
    uint32_t oldest = weft_blocks_oldest(ring, slots, capacity);
    uint32_t used = tail - oldest + more;
    if (used > capacity) {
        return false;
    }
    uint32_t high = weft_blocks_get(&ring->high_water);
    if (used > high) {
        high = (used + block - 1) / block * block;
        high = high < capacity ? high : capacity;
        weft_blocks_set(&ring->high_water, high);
    }
    ring->limit = oldest + high;
    return true;
}

/* Owner: room for `more` (1 .. capacity)? Mostly without a look at `head`. */
static WEFT_ALWAYS_INLINE bool weft_blocks_room(struct weft_blocks *ring,
                                                weft_slot *slots,
                                                uint32_t capacity,
                                                uint32_t block, uint32_t tail,
                                                uint32_t more) {
    return WEFT_LIKELY(ring->limit - tail >= more) ||
           weft_blocks_look(ring, slots, capacity, block, tail, more);
}

/* Owner: the slots before `tail` are to be seen by all. */
static WEFT_ALWAYS_INLINE void weft_blocks_publish(struct weft_blocks *ring,
                                                   uint32_t tail) {
    /* Release: pairs with the acquire of tail in weft_blocks_half(): a thief
     * that sees the new tail sees the nodes and what they stand for. */
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

/* Puts `node` at the tail. False: full (slots that a thief still copies
 * count). Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_blocks_push(struct weft_blocks *ring,
                                                weft_slot *slots,
                                                uint32_t capacity,
                                                uint32_t block,
                                                struct weft_node *node) {
    uint32_t tail = weft_blocks_get(&ring->tail);
    if (WEFT_UNLIKELY(
            !weft_blocks_room(ring, slots, capacity, block, tail, 1))) {
        return false;
    }
    weft_slot_write(slots, capacity, tail, node);
    weft_blocks_publish(ring, tail + 1);
    return true;
}

/* Moves from the front of `batch` to the tail what fits, published by one
 * store. Returns how many. Context: owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_push_batch(
    struct weft_blocks *ring, weft_slot *slots, uint32_t capacity,
    uint32_t block, struct weft_batch *batch) {
    uint32_t tail = weft_blocks_get(&ring->tail);
    uint32_t count = 0;
    while (batch->count != 0 &&
           weft_blocks_room(ring, slots, capacity, block, tail + count, 1)) {
        weft_slot_write(slots, capacity, tail + count, weft_batch_pop(batch));
        count++;
    }
    if (count != 0) {
        weft_blocks_publish(ring, tail + count);
    }
    return count;
}

/* Owner, whose block is used up: takes the next one, [real, real + block),
 * whether it is filled, begun or to come. False: there is no node. */
static WEFT_ALWAYS_INLINE bool weft_blocks_next(struct weft_blocks *ring,
                                                uint32_t block, uint32_t tail) {
    /* Acquire, also where the exchange fails: pairs as in weft_blocks_oldest(),
     * which will read what is stored below and not the thief's release. */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t real, steal;
    for (;;) {
        real = weft_ring_head_real(head);
        steal = weft_ring_head_steal(head);
        if (WEFT_LIKELY(steal == real)) {
            steal = real + block;
            if (real == tail) {
                /* No thief can exchange this head: it would have to have seen
                 * a tail beyond real, which will be there, by a release, only
                 * after this store. */
                atomic_store_explicit(&ring->head,
                                      weft_ring_pack(steal, real + block),
                                      memory_order_relaxed);
                break;
            }
        }
        /* Acquire: pairs as the load above, also where the exchange fails.
         * Not release: it publishes nothing. What the slots hold the owner
         * wrote itself, and a thief that meets this head with an older tail
         * takes it for an empty ring. */
        if (WEFT_LIKELY(atomic_compare_exchange_weak_explicit(
                &ring->head, &head, weft_ring_pack(steal, real + block),
                memory_order_acquire, memory_order_acquire))) {
            break;
        }
    }
    weft_blocks_set(&ring->own, real);
    weft_blocks_set(&ring->end, real + block);
    return real != tail;
}

/* Takes the oldest node, or NULL. Context: owner. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_blocks_pop(
    struct weft_blocks *ring, weft_slot *slots, uint32_t capacity,
    uint32_t block) {
    uint32_t tail = weft_blocks_get(&ring->tail);
    uint32_t own = weft_blocks_get(&ring->own);
    if (WEFT_UNLIKELY(own == weft_blocks_get(&ring->end))) {
        if (!weft_blocks_next(ring, block, tail)) {
            return NULL;
        }
        own = weft_blocks_get(&ring->own);
    }
    if (own == tail) {
        return NULL;
    }
    struct weft_node *node = weft_slot_read(slots, capacity, own);
    weft_blocks_set(&ring->own, own + 1);
    return node;
}

/* Takes up to `max` of the oldest to the end of *out. Returns how many.
 * Context: owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_pop_batch(
    struct weft_blocks *ring, weft_slot *slots, uint32_t capacity,
    uint32_t block, uint32_t max, struct weft_batch *out) {
    uint32_t count = 0;
    struct weft_node *node;
    while (count < max &&
           (node = weft_blocks_pop(ring, slots, capacity, block)) != NULL) {
        weft_batch_push(out, node);
        count++;
    }
    return count;
}

/* Opens the owner's block to thieves: all nodes can be stolen, and those to be
 * pushed, until the next pop takes a block. False: a thief is at work and has
 * its catch; try later. Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_blocks_share(struct weft_blocks *ring,
                                                 weft_slot *slots,
                                                 uint32_t capacity) {
    /* Acquire, also where the exchange fails: pairs as in weft_blocks_look().
     */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    for (;;) {
        uint32_t real = weft_ring_head_real(head);
        if (weft_ring_head_steal(head) != real) {
            return false;
        }
        if (weft_blocks_get(&ring->end) != real) {
            weft_blocks_move_up(ring, slots, capacity, real);
        }
        uint32_t own = weft_blocks_get(&ring->own);
        /* Release: pairs with the acquire in weft_blocks_claim(): a thief finds
         * the nodes where they were moved. */
        if (own == real || atomic_compare_exchange_strong_explicit(
                               &ring->head, &head, weft_ring_pack(own, own),
                               memory_order_release, memory_order_acquire)) {
            weft_blocks_set(&ring->end, own);
            return true;
        }
    }
}

/* What to do with `node` when push said full. True: *out is a new list to be
 * put elsewhere: all but the older half of the ring and then `node`, or `node`
 * alone while a thief is making room. False: a thief came between; push again.
 * Context: owner. */
static WEFT_ALWAYS_INLINE bool weft_blocks_overflow(struct weft_blocks *ring,
                                                    weft_slot *slots,
                                                    uint32_t capacity,
                                                    struct weft_node *node,
                                                    struct weft_batch *out) {
    uint32_t tail = weft_blocks_get(&ring->tail);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t real = weft_ring_head_real(head);
    weft_batch_init(out);
    if (weft_ring_head_steal(head) != real) {
        weft_batch_push(out, node);
        return true;
    }
    uint32_t own = weft_blocks_get(&ring->own);
    if (weft_blocks_get(&ring->end) != real || tail - own != capacity) {
        return false;
    }
    /* Claims all that is shared, and moves the ring on by one lap, which means
     * the same slots: until tail follows there is nothing to steal. Relaxed: a
     * thief that sees this head and an older tail finds an empty ring. */
    if (!atomic_compare_exchange_strong_explicit(
            &ring->head, &head,
            weft_ring_pack(real + capacity, real + capacity),
            memory_order_relaxed, memory_order_relaxed)) {
        return false;
    }
    uint32_t keep = capacity / 2 - (real - own);
    weft_blocks_set(&ring->own, own + capacity);
    weft_blocks_set(&ring->end, real + capacity);
    ring->limit = own + capacity + capacity;
    weft_blocks_publish(ring, real + capacity + keep);
    for (uint32_t i = real + keep; i != tail; i++) {
        weft_batch_push(out, weft_slot_read(slots, capacity, i));
    }
    weft_batch_push(out, node);
    return true;
}

/* Thief: how many nodes are half of what is shared, the larger half of an odd
 * number? Also the head that goes with it. 0: nothing, or another thief is at
 * it. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_half(struct weft_blocks *ring,
                                                    uint64_t *head) {
    *head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t real = weft_ring_head_real(*head);
    /* Acquire: pairs with the release in weft_blocks_publish(). */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (weft_ring_head_steal(*head) != real ||
        !weft_blocks_before(real, tail)) {
        return 0;
    }
    uint32_t count = tail - real;
    return count - count / 2;
}

/* Thief, step 1: claims half of what is shared, `max` at most. Returns how many
 * and the first index; 0: as weft_blocks_half(). */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_claim(struct weft_blocks *ring,
                                                     weft_slot *slots,
                                                     uint32_t capacity,
                                                     uint32_t max,
                                                     uint32_t *first) {
    for (;;) {
        uint64_t head;
        uint32_t count = weft_blocks_half(ring, &head);
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
        /* Acquire: pairs with the release in weft_blocks_share(). Where tail
         * ran ahead of our head, head has moved and this fails. */
        if (atomic_compare_exchange_weak_explicit(
                &ring->head, &head, weft_ring_pack(real, real + count),
                memory_order_acquire, memory_order_relaxed)) {
            WEFT_CHECK_OP(count, <=, capacity / 2);
            *first = real;
            return count;
        }
    }
}

/* Thief, step 3: the slots that were claimed are the owner's again. */
static WEFT_ALWAYS_INLINE void weft_blocks_give_back(struct weft_blocks *ring,
                                                     uint32_t first) {
    weft_ring_head_give_back(&ring->head, first);
}

/* Takes half of what is shared, `max` at most, to the end of *out. Returns how
 * many. Context: any thread but the owner. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_steal(struct weft_blocks *ring,
                                                     weft_slot *slots,
                                                     uint32_t capacity,
                                                     uint32_t max,
                                                     struct weft_batch *out) {
    uint32_t first = 0;
    uint32_t count =
        max == 0 ? 0 : weft_blocks_claim(ring, slots, capacity, max, &first);
    if (count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        weft_batch_push(out, weft_slot_read(slots, capacity, first + i));
    }
    weft_blocks_give_back(ring, first);
    return count;
}

/* Moves half of what `from` shares to the tail of `to`, except the oldest,
 * which is returned. *count is how many moved, that one included. NULL: nothing
 * there, another thief is at it, or `to` is more than half full. Context: owner
 * of `to`, which is not `from`. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_blocks_steal_into(
    struct weft_blocks *to, weft_slot *to_slots, struct weft_blocks *from,
    weft_slot *from_slots, uint32_t capacity, uint32_t block, uint32_t *count) {
    uint32_t tail = weft_blocks_get(&to->tail);
    uint32_t room = capacity / 2; /* what a steal may need of `to` */
    uint32_t used = tail - (to->limit - weft_blocks_get(&to->high_water));
    uint32_t first = 0;
    *count = 0;
    if (used > room &&
        tail - weft_blocks_oldest(to, to_slots, capacity) > room) {
        return NULL;
    }
    uint32_t taken =
        weft_blocks_claim(from, from_slots, capacity, room, &first);
    if (taken == 0) {
        return NULL;
    }
    struct weft_node *oldest =
        weft_ring_copy(to_slots, tail, from_slots, first, capacity, taken);
    weft_blocks_give_back(from, first);
    if (taken > 1) {
        bool fits =
            weft_blocks_room(to, to_slots, capacity, block, tail, taken - 1);
        WEFT_CHECK(fits);
        weft_blocks_publish(to, tail + taken - 1);
    }
    *count = taken;
    return oldest;
}

/* How many thieves could take: a snapshot. Context: any thread. */
static WEFT_ALWAYS_INLINE uint32_t
weft_blocks_shared(const struct weft_blocks *ring, uint32_t capacity) {
    /* Relaxed, both: as in weft_ring_length(). */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    int32_t shared = (int32_t)(tail - weft_ring_head_real(head));
    if (shared < 0) {
        return 0;
    }
    return (uint32_t)shared < capacity ? (uint32_t)shared : capacity;
}

/* How many can be popped: a snapshot, relaxed as above. Context: any thread. */
static WEFT_ALWAYS_INLINE uint32_t weft_blocks_length(
    const struct weft_blocks *ring, uint32_t capacity, uint32_t block) {
    uint32_t own = atomic_load_explicit(&ring->own, memory_order_relaxed);
    uint32_t end = atomic_load_explicit(&ring->end, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t length = weft_blocks_shared(ring, capacity);
    int32_t mine =
        (int32_t)((weft_blocks_before(tail, end) ? tail : end) - own);
    if (mine > 0) {
        length += (uint32_t)mine < block ? (uint32_t)mine : block;
    }
    return length < capacity ? length : capacity;
}

/* Do the invariants hold? Context: owner; thieves may be at work. */
static WEFT_ALWAYS_INLINE bool weft_blocks_valid(struct weft_blocks *ring,
                                                 weft_slot *slots,
                                                 uint32_t capacity,
                                                 uint32_t block) {
    /* Acquire: pairs as in weft_blocks_look(). */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t real = weft_ring_head_real(head);
    uint32_t steal = weft_ring_head_steal(head);
    uint32_t tail = weft_blocks_get(&ring->tail);
    uint32_t own = weft_blocks_get(&ring->own);
    uint32_t end = weft_blocks_get(&ring->end);
    uint32_t oldest = weft_blocks_before(steal, own) ? steal : own;
    if (end - own > block || tail - own > capacity ||
        tail - oldest > capacity || weft_blocks_before(real, end) ||
        weft_blocks_before(real, steal) || ring->limit - tail > capacity ||
        weft_blocks_get(&ring->high_water) > capacity ||
        (real != end && weft_blocks_before(tail, real))) {
        return false;
    }
    for (uint32_t i = own; weft_blocks_before(i, tail); i++) {
        if (!weft_blocks_before(i, end) && weft_blocks_before(i, real)) {
            continue; /* a thief's, or free */
        }
        if (weft_slot_read(slots, capacity, i) == NULL) {
            return false;
        }
    }
    return true;
}

#endif
