/* SPDX-License-Identifier: MIT */
/* The queue of all processors, with pushes that wait for nobody: unbounded,
 * first in, first out, the interface of weft/queue/global_queue.h. A push is
 * one exchange and one addition, whatever the size of the batch; who takes
 * something out holds a lock against the others that do.
 *
 * Which one? This queue where a pusher must not wait for a taker that has lost
 * its CPU with the lock, or where many threads push single nodes. The simple
 * one else, as in weft's scheduler: it has no wait for a link (below), and
 * batches leave it as they came. Measured (//bench:queue_bench, medians of two
 * runs, ns for a push and a pop, this one and the simple one): one thread 12
 * and 10, two threads 54 to 65 and 52, four on two CPUs 47 to 65 and 61 to 64,
 * one that pushes and one that takes batches 50 to 68 and 62 to 70, whole
 * batches of 64, each, 2.1 and 0.2. In the scheduler's own benches it makes no
 * difference (docs/scheduler.md, "Which queues").
 *
 * Two lists. Pushers append to the inbox; takers eat the front list, and when
 * it is empty take the whole inbox as the new one.
 *
 *   pusher                                    taker, under the lock
 *   1. pushed += n; last node's next = NULL   a. inbox_first (NULL: nothing)
 *   2. inbox_last exchanged for the last node b. inbox_first = NULL
 *   3. the node that was there before: its    c. inbox_last exchanged for NULL
 *      next, or inbox_first if there was none  d. eats from a's to c's node
 *
 * Always true:
 *   1. inbox_first is NULL where inbox_last is, or one pusher, the first after
 *      c, is between 2 and 3. Nobody else writes inbox_first then, and takers
 *      find nothing.
 *   2. Between a pusher's 2 and 3 the node before its first has next NULL. A
 *      taker that is to pass there waits, for two instructions, unless the
 *      kernel has just taken the pusher's CPU away.
 *   3. A node is handed out when its next was seen, or as the last of its list,
 *      which c took from inbox_last. So no pusher will write to it, and whoever
 *      gets it may push it again at once.
 *   4. pushed - popped is at least the number of nodes that are there, and that
 *      number once no push is under way. So a queue whose length reads 0 is not
 *      locked.
 *
 * A push takes place at its 3. One behind it may end sooner, and its nodes are
 * found only when the one before has ended: a pop may say NULL though the
 * length is not 0. As in the simple queue, the length orders nothing: see
 * there.
 *
 * Algorithm: D. Vyukov's intrusive queue for many producers and one consumer,
 * without its stub: here the consumer takes all at once.
 *
 * Rejected: a stack that takers reverse (a push of a batch would walk it, and
 * the reversal walk everything under the lock); a lock-free side for takers too
 * (they want batches, and nodes of tasks would have to be counted twice or
 * never reused); one counter (each pop would be another read-modify-write).
 *
 * Context of all: any thread, preemption off. None switches or allocates. */
#ifndef WEFT_QUEUE_LOCKFREE_GLOBAL_H_
#define WEFT_QUEUE_LOCKFREE_GLOBAL_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/queue/node.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_lockfree_global {
    /* The inbox: any thread, atomic. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(struct weft_node *) inbox_last;
    WEFT_ATOMIC(struct weft_node *) inbox_first;
    WEFT_ATOMIC(uint32_t) pushed; /* by all, ever, modulo 2^32 */

    /* Written under the lock, read by any thread. Not in the pushers' line. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint32_t) popped;
    struct weft_lock lock;
    struct weft_node *first; /* under lock; NULL: empty */
    struct weft_node *last;  /* under lock; garbage when empty */
};

/* Makes the queue empty. Context: before anybody else looks. */
void weft_lockfree_global_init(struct weft_lockfree_global *global);

/* Puts `node` last. Waits for nobody. */
void weft_lockfree_global_push(struct weft_lockfree_global *global,
                               struct weft_node *node);

/* Puts `node` first. Takes the lock. */
void weft_lockfree_global_push_front(struct weft_lockfree_global *global,
                                     struct weft_node *node);

/* Puts all of `batch` last, in its order; `batch` is then empty. Waits for
 * nobody. */
void weft_lockfree_global_push_batch(struct weft_lockfree_global *global,
                                     struct weft_batch *batch);

/* Takes the oldest node, or NULL. */
struct weft_node *weft_lockfree_global_pop(struct weft_lockfree_global *global);

/* Takes up to `max` of the oldest to the end of *out, in their order. Returns
 * how many. */
uint32_t weft_lockfree_global_pop_batch(struct weft_lockfree_global *global,
                                        uint32_t max, struct weft_batch *out);

/* Takes everything to the end of *out. Returns how many. */
uint32_t weft_lockfree_global_clear(struct weft_lockfree_global *global,
                                    struct weft_batch *out);

/* Takes the oldest node for which `fits` is true, or NULL. Walks the list under
 * the lock: for rare cases. `fits` is called with the lock held. */
struct weft_node *weft_lockfree_global_find(
    struct weft_lockfree_global *global,
    bool (*fits)(const struct weft_node *));

/* Do the invariants hold? Walks the front list under the lock. */
bool weft_lockfree_global_valid(struct weft_lockfree_global *global);

/* How many there are, without the lock: a snapshot, which counts nodes whose
 * push is under way. */
static inline uint32_t weft_lockfree_global_length(
    const struct weft_lockfree_global *global) {
    /* Popped first, and acquire, which pairs with the release in unlock(): the
     * pushes of what was popped are counted in what is read next. */
    uint32_t popped =
        atomic_load_explicit(&global->popped, memory_order_acquire);
    return atomic_load_explicit(&global->pushed, memory_order_relaxed) - popped;
}

#ifdef __cplusplus
}
#endif

#endif
