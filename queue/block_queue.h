/* SPDX-License-Identifier: MIT */
/* A bounded ring of nodes, whose owner pops a block at a time: one owner pushes
 * and pops, any thread steals half of what the owner has not taken yet. As
 * weft/queue/lockfree_queue.h, but a pop costs no atomic read-modify-write.
 *
 *     WEFT_BLOCK_QUEUE_DEFINE(queue, 256, 16)
 *
 * makes `struct queue` with 256 slots and blocks of 16, and the functions that
 * WEFT_LOCKFREE_QUEUE_DEFINE() makes, under the same names; and
 *
 *     bool queue_share(q);        owner: opens its block to thieves
 *     uint32_t queue_shared(q);   any thread: how many a thief could take
 *
 * Which one? This queue where one thread does most of the work and the others
 * help: a push and a pop cost less than half of the other ring's. The other
 * ring where a node may not wait behind its owner: here up to a block of the
 * oldest nodes can't be stolen while the owner is busy with one of them, unless
 * the owner calls share. weft's scheduler, whose owner may run one task for a
 * whole time slice, uses the other one; it would gain nothing by this one that
 * could be measured (docs/scheduler.md, "Which queues").
 *
 * A thief that lives on one owner should rest for some 0.4 us when it caught
 * less than a block: else it follows the owner so closely that each waits for
 * the lines that the other has just written (//bench:queue_bench, stream: 4.5
 * instead of 5.1 ns for a node, 18 instead of 25 where the caches of the two
 * CPUs are far from one another).
 *
 * Order: pop returns the oldest node, always. A thief takes the oldest ones
 * behind the owner's block, and its catch goes behind what it has: what it gets
 * rises too, except that a block which is shared may be older than what was
 * stolen before.
 *
 * State. The owner's block is [own, end). `head` is one atomic word of two
 * indices, `real` (where the owner's next block begins) and `steal` (the first
 * that a running steal still copies). `tail` is written by the owner. Indices
 * run freely modulo 2^32 and are masked only to address a slot. A block may be
 * taken before its nodes are pushed: then real > tail, which thieves take for
 * an empty ring.
 *
 * Always true (modulo 2^32):
 *   1. own <= end <= real, own <= tail, end - own <= block, steal <= real.
 *   2. steal == real exactly when no steal is running; one at a time per ring.
 *   3. Slots [own, end) before tail hold the owner's nodes, [real, tail) those
 *      that all may claim. [steal, real), while they differ, are a thief's; all
 *      else is free, [end, steal) too if thieves emptied it.
 *   4. Where real > end, tail >= real: thieves took only what was pushed.
 *   5. limit - min(own, steal) is at most the capacity, and the slots from tail
 *      to limit were given back to the owner by an acquire. The owner looks at
 *      head only when tail reaches limit, which is then as far as ever before
 *      (high_water, in whole blocks).
 *
 * A pop moves own, by a plain store; at the end of the block one exchange takes
 * the next, [real, real + block), whatever of it is filled. Where nothing is, a
 * store does: no thief can have seen a tail beyond this real, so none will
 * exchange it.
 *
 * A steal:
 *   thief                                     owner, meanwhile
 *   1. head (s,s) -> (s,s+n): claims half     pops from its block; takes the
 *   2. copies [s,s+n) into its own ring        next one behind s+n
 *   3. head (s,r) -> (r,r): gives them back   may write [s,s+n) again
 *
 * A block that lies behind what thieves emptied would make the ring look full.
 * So a look first moves its nodes up to `steal`: less than a block of them.
 *
 * Sharing moves the block up to real, then real back to own. So head can come
 * back to an older value; that's why thieves here claim before they read (the
 * other ring's quick steal reads first, and would be deceived), and why the
 * claim is an acquire.
 *
 * Overflow: a full ring keeps its older half. One exchange moves head on by a
 * lap of capacity, which means the same slots but lies beyond tail, so that
 * nothing can be stolen until tail has followed; the newer half is handed out.
 *
 * Algorithm: the idea of blocks is BWoS's (J. Wang et al., "BWoS: Formally
 * Verified Block-based Work Stealing for Parallel Processing", OSDI 2023). This
 * is simpler: one ring and one word that owner and thieves meet in, instead of
 * four words in each block; the owner's block may lie anywhere; and thieves
 * take half, not a block, so that a short queue behind the block is divided.
 *
 * Rejected: fetching the owner's next slots for writing ahead of its pushes (a
 * node from owner to thief took 33 ns instead of 21, and 5.1 instead of 4.9
 * where thieves rest); marks of their own for each block (thieves get nothing
 * out of a queue shorter than a block, and eight blocks of them are 32 cache
 * lines); letting thieves into the owner's block by membarrier(2), which
 * interrupts the other processors for each steal.
 */
#ifndef WEFT_QUEUE_BLOCK_QUEUE_H_
#define WEFT_QUEUE_BLOCK_QUEUE_H_

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/compiler.h"
#include "weft/queue/block_ring.h"
#include "weft/queue/node.h"

/* Few users need all that is made for them. */
#define WEFT_BLOCK_MADE static WEFT_ALWAYS_INLINE __attribute__((unused))

#define WEFT_BLOCK_QUEUE_DEFINE(prefix, CAPACITY, BLOCK)                       \
    static_assert((CAPACITY) >= 2 && (CAPACITY) <= 1 << 29 &&                  \
                      ((CAPACITY) & ((CAPACITY)-1)) == 0,                      \
                  "the capacity of a block queue is a power of two");          \
    static_assert((BLOCK) >= 1 && (BLOCK) <= (CAPACITY) / 2,                   \
                  "a block is at most half of the queue");                     \
    struct prefix {                                                            \
        struct weft_blocks ring;                                               \
        WEFT_CACHE_ALIGNED weft_slot slots[CAPACITY];                          \
    };                                                                         \
    WEFT_BLOCK_MADE void prefix##_init_at(struct prefix *q, uint32_t index) {  \
        weft_blocks_init(&q->ring, BLOCK, index);                              \
    }                                                                          \
    WEFT_BLOCK_MADE void prefix##_init(struct prefix *q) {                     \
        weft_blocks_init(&q->ring, BLOCK, 0);                                  \
    }                                                                          \
    WEFT_BLOCK_MADE bool prefix##_push(struct prefix *q,                       \
                                       struct weft_node *node) {               \
        return weft_blocks_push(&q->ring, q->slots, CAPACITY, BLOCK, node);    \
    }                                                                          \
    WEFT_BLOCK_MADE uint32_t prefix##_push_batch(struct prefix *q,             \
                                                 struct weft_batch *batch) {   \
        return weft_blocks_push_batch(&q->ring, q->slots, CAPACITY, BLOCK,     \
                                      batch);                                  \
    }                                                                          \
    WEFT_BLOCK_MADE bool prefix##_overflow(                                    \
        struct prefix *q, struct weft_node *node, struct weft_batch *out) {    \
        return weft_blocks_overflow(&q->ring, q->slots, CAPACITY, node, out);  \
    }                                                                          \
    WEFT_BLOCK_MADE struct weft_node *prefix##_pop(struct prefix *q) {         \
        return weft_blocks_pop(&q->ring, q->slots, CAPACITY, BLOCK);           \
    }                                                                          \
    WEFT_BLOCK_MADE uint32_t prefix##_pop_batch(                               \
        struct prefix *q, uint32_t max, struct weft_batch *out) {              \
        return weft_blocks_pop_batch(&q->ring, q->slots, CAPACITY, BLOCK, max, \
                                     out);                                     \
    }                                                                          \
    WEFT_BLOCK_MADE uint32_t prefix##_steal(struct prefix *q, uint32_t max,    \
                                            struct weft_batch *out) {          \
        return weft_blocks_steal(&q->ring, q->slots, CAPACITY, max, out);      \
    }                                                                          \
    WEFT_BLOCK_MADE struct weft_node *prefix##_steal_into(                     \
        struct prefix *to, struct prefix *from, uint32_t *count) {             \
        return weft_blocks_steal_into(&to->ring, to->slots, &from->ring,       \
                                      from->slots, CAPACITY, BLOCK, count);    \
    }                                                                          \
    WEFT_BLOCK_MADE bool prefix##_share(struct prefix *q) {                    \
        return weft_blocks_share(&q->ring, q->slots, CAPACITY);                \
    }                                                                          \
    WEFT_BLOCK_MADE uint32_t prefix##_shared(const struct prefix *q) {         \
        return weft_blocks_shared(&q->ring, CAPACITY);                         \
    }                                                                          \
    WEFT_BLOCK_MADE uint32_t prefix##_length(const struct prefix *q) {         \
        return weft_blocks_length(&q->ring, CAPACITY, BLOCK);                  \
    }                                                                          \
    WEFT_BLOCK_MADE uint32_t prefix##_high_water(const struct prefix *q) {     \
        return atomic_load_explicit(&q->ring.high_water,                       \
                                    memory_order_relaxed);                     \
    }                                                                          \
    WEFT_BLOCK_MADE bool prefix##_valid(struct prefix *q) {                    \
        return weft_blocks_valid(&q->ring, q->slots, CAPACITY, BLOCK);         \
    }

#endif
