/* SPDX-License-Identifier: MIT */
/* Tasks that have not begun and will be joined, of one processor: its owner
 * pushes and takes at either end, thieves take the oldest.
 *
 * Why beside the run queue: tasks that wait for their children (fork and join)
 * are best served newest first. Then no more tasks are alive than the tree is
 * deep, each on a warm stack; oldest first, the tree is laid out whole before
 * its leaves run. A thief takes the oldest, the largest part of the tree that
 * is left. All other tasks want to be served in their order; so the owner
 * chooses the end each time (pick.c).
 *
 *     owner, newest                        thief, oldest
 *     1. bottom = b - 1                    a. t = top
 *     2. t = top                           b. b = bottom: t < b?
 *     3. t < b - 1: it is the owner's      c. top: t -> t + 1, by CAS
 *        t = b - 1: the last one, by CAS
 *        of top as if it were a thief
 * 1, 2, a, b and c are sequentially consistent: either the owner sees that top
 * has passed it, or the thief sees the lower bottom.
 *
 * Algorithm: Chase and Lev, "Dynamic Circular Work-Stealing Deque" (2005), of a
 * fixed size; its orders after Le, Pop, Cohen and Zappa Nardelli, "Correct and
 * Efficient Work-Stealing for Weak Memory Models" (2013), with operations in
 * place of their fences, which race detectors do not follow.
 *
 * Always true: top <= bottom + 1, and they never shrink but for bottom by the
 * owner; slots [top, bottom) hold nodes. `Owner` is the processor, whichever
 * thread holds it. Context of all: preemption off; none blocks or allocates. */
#ifndef WEFT_SCHED_BROOD_H_
#define WEFT_SCHED_BROOD_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/compiler.h"
#include "weft/queue/node.h"

#ifndef WEFT_BROOD_SLOTS
#define WEFT_BROOD_SLOTS 4096 /* a power of two; tests make it small */
#endif

struct weft_brood {
    /* Any thread. */
    WEFT_CACHE_ALIGNED _Atomic uint64_t top;
    /* Owner writes, any thread reads. */
    WEFT_CACHE_ALIGNED _Atomic uint64_t bottom;
    /* Owner: a top of before. */
    uint64_t top_seen;
    /* Owner writes; a thief reads one before it knows whether it is its. */
    _Atomic(struct weft_node *) slots[WEFT_BROOD_SLOTS];
};

/* All zeroes are an empty one. */

/* How many there are: a snapshot. Any thread. */
static inline uint32_t weft_brood_length(const struct weft_brood *brood) {
    uint64_t top = atomic_load_explicit(&brood->top, memory_order_relaxed);
    uint64_t bottom =
        atomic_load_explicit(&brood->bottom, memory_order_relaxed);
    return (int64_t)(bottom - top) > 0 ? (uint32_t)(bottom - top) : 0;
}

/* False: it is full. Owner. */
static inline bool weft_brood_push(struct weft_brood *brood,
                                   struct weft_node *node) {
    uint64_t bottom =
        atomic_load_explicit(&brood->bottom, memory_order_relaxed);
    if (WEFT_UNLIKELY(bottom - brood->top_seen >= WEFT_BROOD_SLOTS)) {
        /* Acquire: pairs with the CASes of top: who took the node has read the
         * slot that is written now. */
        brood->top_seen =
            atomic_load_explicit(&brood->top, memory_order_acquire);
        if (bottom - brood->top_seen >= WEFT_BROOD_SLOTS) {
            return false;
        }
    }
    atomic_store_explicit(&brood->slots[bottom % WEFT_BROOD_SLOTS], node,
                          memory_order_relaxed);
    /* Release: the node, and what it belongs to. Pairs with the load of bottom
     * in weft_brood_steal(). */
    atomic_store_explicit(&brood->bottom, bottom + 1, memory_order_release);
    return true;
}

/* Takes slot `top` from all others; false: another was quicker. Its order is
 * that of the columns above, and a release for the acquire in push. */
static inline bool weft_brood_claim(struct weft_brood *brood, uint64_t top) {
    return atomic_compare_exchange_strong_explicit(
        &brood->top, &top, top + 1, memory_order_seq_cst, memory_order_relaxed);
}

/* The newest, or NULL. Owner. */
static inline struct weft_node *weft_brood_pop_newest(
    struct weft_brood *brood) {
    uint64_t bottom =
        atomic_load_explicit(&brood->bottom, memory_order_relaxed);
    if (bottom == atomic_load_explicit(&brood->top, memory_order_relaxed)) {
        return NULL;
    }
    bottom--;
    /* Both: see the columns; they pair with the two in weft_brood_steal(). */
    atomic_store_explicit(&brood->bottom, bottom, memory_order_seq_cst);
    uint64_t top = atomic_load_explicit(&brood->top, memory_order_seq_cst);
    if (WEFT_LIKELY((int64_t)(bottom - top) > 0)) {
        return atomic_load_explicit(&brood->slots[bottom % WEFT_BROOD_SLOTS],
                                    memory_order_relaxed);
    }
    struct weft_node *node = NULL;
    if (bottom == top && weft_brood_claim(brood, top)) {
        node = atomic_load_explicit(&brood->slots[bottom % WEFT_BROOD_SLOTS],
                                    memory_order_relaxed);
    }
    /* Empty: bottom is top again. Relaxed: nothing was pushed. */
    atomic_store_explicit(&brood->bottom, bottom + 1, memory_order_relaxed);
    return node;
}

/* The same where nobody steals: without a store that waits for all others.
 * Owner. */
static inline struct weft_node *weft_brood_pop_newest_alone(
    struct weft_brood *brood) {
    uint64_t bottom =
        atomic_load_explicit(&brood->bottom, memory_order_relaxed);
    if (bottom == atomic_load_explicit(&brood->top, memory_order_relaxed)) {
        return NULL;
    }
    atomic_store_explicit(&brood->bottom, bottom - 1, memory_order_relaxed);
    return atomic_load_explicit(&brood->slots[(bottom - 1) % WEFT_BROOD_SLOTS],
                                memory_order_relaxed);
}

/* The oldest, or NULL. Owner: it needs no order to see its own bottom. */
static inline struct weft_node *weft_brood_pop_oldest(
    struct weft_brood *brood) {
    uint64_t bottom =
        atomic_load_explicit(&brood->bottom, memory_order_relaxed);
    for (;;) {
        uint64_t top = atomic_load_explicit(&brood->top, memory_order_relaxed);
        if (top == bottom) {
            return NULL;
        }
        struct weft_node *node = atomic_load_explicit(
            &brood->slots[top % WEFT_BROOD_SLOTS], memory_order_relaxed);
        if (weft_brood_claim(brood, top)) {
            return node;
        }
    }
}

/* The oldest, or NULL: empty, or another was quicker. Any thread. */
static inline struct weft_node *weft_brood_steal(struct weft_brood *brood) {
    /* Both: see the columns; they pair with the two in weft_brood_pop_newest(),
     * the second also with the release in weft_brood_push(). */
    uint64_t top = atomic_load_explicit(&brood->top, memory_order_seq_cst);
    uint64_t bottom =
        atomic_load_explicit(&brood->bottom, memory_order_seq_cst);
    if ((int64_t)(bottom - top) <= 0) {
        return NULL;
    }
    struct weft_node *node = atomic_load_explicit(
        &brood->slots[top % WEFT_BROOD_SLOTS], memory_order_relaxed);
    return weft_brood_claim(brood, top) ? node : NULL;
}

#endif
