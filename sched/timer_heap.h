/* SPDX-License-Identifier: MIT */
/* The timers of one processor: a 4-ary min-heap of nodes that live in whatever
 * waits (a task, a test's array), and where there are thousands, bags for those
 * that come later. Knows neither tasks nor clocks.
 *
 * Context of all, unless said otherwise: any thread that holds the lock of the
 * heap's owner, preemption off. Nothing here blocks or switches. */
#ifndef WEFT_SCHED_TIMER_HEAP_H_
#define WEFT_SCHED_TIMER_HEAP_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/clock.h"

/* A node's index while it is in no heap: all zeroes is an idle node. */
#define WEFT_TIMER_IDLE 0

/* One timer, embedded in what waits. `when` and `index` under the heap's lock,
 * but for weft_timer_is_armed(). */
struct weft_timer_node {
    uint64_t when;          /* ns on CLOCK_MONOTONIC; set by insert */
    _Atomic uint32_t index; /* its tier and place; WEFT_TIMER_IDLE: nowhere */
    _Atomic uint32_t turn;  /* the user's: the heap does not look at it */
};

static inline uint32_t weft_timer_index(const struct weft_timer_node *node) {
    return atomic_load_explicit(&node->index, memory_order_relaxed);
}

/* Is it in a heap? Without the lock: true may be out of date, false is not, as
 * long as nobody but the caller inserts it. */
static inline bool weft_timer_is_armed(const struct weft_timer_node *node) {
    /* Acquire: pairs with the release in take() (timer_heap.c): the heap does
     * not touch the node any more. */
    return atomic_load_explicit(&node->index, memory_order_acquire) !=
           WEFT_TIMER_IDLE;
}

/* What the heap's array holds: the time beside the pointer, so that a
 * comparison touches no node. Four of them, the children of one, are a line. */
struct weft_timer_entry {
    uint64_t when;
    struct weft_timer_node *node;
};

/* Block 0 holds 256 entries (a page), block k > 0 as many as all before it. */
#define WEFT_TIMER_BLOCK_BITS 8
#define WEFT_TIMER_BLOCKS     22

/* Tier 0 is the heap of what is next, the others are bags. */
#define WEFT_TIMER_TIERS 4

/* All under the lock. */
struct weft_timer_tier {
    uint64_t until; /* nothing here is later, nothing in the next is earlier */
    uint32_t count; /* nodes in it */
    uint32_t room;  /* entries in the mapped blocks, the first 3 unused */
    uint32_t limit; /* with so many the later half goes to the next tier */
    struct weft_timer_entry *blocks[WEFT_TIMER_BLOCKS];
};

struct weft_timer_heap {
    /* Any thread, atomic; written under the lock: the earliest time. */
    _Atomic uint64_t earliest;
    /* Under the lock. */
    uint32_t count; /* nodes in all tiers */
    struct weft_timer_tier tiers[WEFT_TIMER_TIERS];
    /* Fixed after init: so many tier 0 holds if it can, each further one 16
     * times as many. */
    uint32_t near;
    /* Fixed after init. Maps that many zeroed bytes on a page boundary, NULL
     * when there are none; tests put one here that fails. */
    void *(*map)(size_t size);
};

/* An empty heap; maps nothing. Context: before anybody else sees it. */
void weft_timer_heap_init(struct weft_timer_heap *h);

/* The same with `near` (at least 2) timers in the heap before it has bags, for
 * tests. */
void weft_timer_heap_init_near(struct weft_timer_heap *h, uint32_t near);

/* Gives the memory back. The heap must be empty. Context: nobody else sees it
 * any more. */
void weft_timer_heap_fini(struct weft_timer_heap *h);

/* Puts `node`, which is in no heap, into `h` at time `when`. Returns 0, or
 * -ENOMEM when the array had to grow and could not: then nothing changed. Takes
 * O(log n) for what is among the next few thousand, O(1) on the average else;
 * growing is one mmap(2) and copies nothing. */
int weft_timer_heap_insert(struct weft_timer_heap *h,
                           struct weft_timer_node *node, uint64_t when);

/* Takes `node` out. Returns false when it was idle (its time came first).
 * `node` must not be in another heap. As insert. */
bool weft_timer_heap_remove(struct weft_timer_heap *h,
                            struct weft_timer_node *node);

/* Takes out and returns the earliest node when its time is `now` or before;
 * NULL when there is none. Nodes of one and the same time come in any order.
 * O(log n) on the average, and one comparison when nothing has expired; one in
 * thousands looks through a bag. */
struct weft_timer_node *weft_timer_heap_pop(struct weft_timer_heap *h,
                                            uint64_t now);

/* The earliest time, WEFT_FOREVER when empty. Context: any thread, signal
 * handlers too, also without the lock: then it is a snapshot. */
static inline uint64_t weft_timer_heap_next(const struct weft_timer_heap *h) {
    /* Relaxed: a hint. Who acts upon it takes the lock and looks again. */
    return atomic_load_explicit(&h->earliest, memory_order_relaxed);
}

/* How many nodes are in it. */
static inline uint32_t weft_timer_heap_count(const struct weft_timer_heap *h) {
    return h->count;
}

/* Whether all invariants of timer_heap.c hold: O(n), for tests. */
bool weft_timer_heap_valid(const struct weft_timer_heap *h);

#endif
