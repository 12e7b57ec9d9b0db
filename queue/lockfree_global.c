/* SPDX-License-Identifier: MIT */
/* Push, and what is done under the lock. Overview, invariants and the steps
 * that the comments count: the header. */
#include "weft/queue/lockfree_global.h"

#include <sched.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/base/relax.h"

/* Turns of waiting for a link before the CPU is given away. */
enum { PATIENCE = 1000 };

/* A pusher writes it while a taker reads it, hence atomic. */
static inline _Atomic(struct weft_node *) *link_of(struct weft_node *node) {
    return (_Atomic(struct weft_node *) *)&node->next;
}

WEFT_TEXT void weft_lockfree_global_init(struct weft_lockfree_global *global) {
    atomic_init(&global->inbox_last, NULL);
    atomic_init(&global->inbox_first, NULL);
    atomic_init(&global->pushed, 0);
    atomic_init(&global->popped, 0);
    atomic_init(&global->lock.word, 0);
    global->first = NULL;
    global->last = NULL;
}

static inline void push(struct weft_lockfree_global *global,
                        struct weft_node *first, struct weft_node *last,
                        uint32_t count) {
    atomic_store_explicit(link_of(last), NULL, memory_order_relaxed);
    /* Relaxed: whoever gets the nodes acquires what comes below. */
    atomic_fetch_add_explicit(&global->pushed, count, memory_order_relaxed);
    /* Release: pairs with the acquire in take_inbox(), on account of the NULL
     * above. Acquire: pairs with the release of the exchange before, the
     * pusher's or take_inbox()'s: our 3 comes after its NULL. */
    struct weft_node *before = atomic_exchange_explicit(
        &global->inbox_last, last, memory_order_acq_rel);
    _Atomic(struct weft_node *) *place =
        before == NULL ? &global->inbox_first : link_of(before);
    /* Release: pairs with the acquires in take_inbox() and next_of(): the nodes
     * and what they stand for. */
    atomic_store_explicit(place, first, memory_order_release);
}

WEFT_TEXT void weft_lockfree_global_push(struct weft_lockfree_global *global,
                                         struct weft_node *node) {
    push(global, node, node, 1);
}

WEFT_TEXT void weft_lockfree_global_push_batch(
    struct weft_lockfree_global *global, struct weft_batch *batch) {
    if (batch->count == 0) {
        return;
    }
    push(global, batch->head, batch->tail, batch->count);
    batch->count = 0;
}

/* Under the lock, which is let go of: `count` nodes were taken. */
static inline void unlock(struct weft_lockfree_global *global, uint32_t count) {
    uint32_t popped =
        atomic_load_explicit(&global->popped, memory_order_relaxed);
    /* Release: pairs with the acquire in weft_lockfree_global_length(). */
    atomic_store_explicit(&global->popped, popped + count,
                          memory_order_release);
    weft_lock_release(&global->lock);
}

/* Under the lock, the front list being empty: makes the inbox the front list.
 * False: nothing there. */
static bool take_inbox(struct weft_lockfree_global *global) {
    /* Acquire: pairs with the release of the link in push(). */
    struct weft_node *first =
        atomic_load_explicit(&global->inbox_first, memory_order_acquire);
    if (first == NULL) {
        return false;
    }
    atomic_store_explicit(&global->inbox_first, NULL, memory_order_relaxed);
    global->first = first;
    /* Acquire: pairs with the release of the exchange in push(), and with all
     * before it, which are read-modify-writes: where a link is missing, we see
     * its NULL. Release: pairs with the acquire there: the next pusher's store
     * to inbox_first comes after ours. */
    global->last = atomic_exchange_explicit(&global->inbox_last, NULL,
                                            memory_order_acq_rel);
    return true;
}

/* Under the lock: what comes after `node`, which is not the last. */
static struct weft_node *next_of(struct weft_node *node) {
    struct weft_node *next;
    /* Acquire: pairs with the release of the link in push(). */
    for (uint32_t turns = 1;
         WEFT_UNLIKELY((next = atomic_load_explicit(
                            link_of(node), memory_order_acquire)) == NULL);
         turns++) {
        if (turns % PATIENCE == 0) {
            sched_yield();
        } else {
            weft_relax();
        }
    }
    return next;
}

/* Under the lock: takes the oldest node, or NULL. */
static inline struct weft_node *take(struct weft_lockfree_global *global) {
    if (global->first == NULL && !take_inbox(global)) {
        return NULL;
    }
    struct weft_node *node = global->first;
    global->first = node == global->last ? NULL : next_of(node);
    return node;
}

/* Under the lock: puts `batch` before all others. */
static void put_back(struct weft_lockfree_global *global,
                     struct weft_batch *batch) {
    if (batch->count == 0) {
        return;
    }
    if (global->first == NULL) {
        global->last = batch->tail;
    } else {
        atomic_store_explicit(link_of(batch->tail), global->first,
                              memory_order_relaxed);
    }
    global->first = batch->head;
}

WEFT_TEXT void weft_lockfree_global_push_front(
    struct weft_lockfree_global *global, struct weft_node *node) {
    struct weft_batch one;
    weft_batch_init(&one);
    weft_batch_push(&one, node);
    atomic_fetch_add_explicit(&global->pushed, 1, memory_order_relaxed);
    weft_lock_acquire(&global->lock);
    put_back(global, &one);
    unlock(global, 0);
}

WEFT_TEXT struct weft_node *weft_lockfree_global_pop(
    struct weft_lockfree_global *global) {
    if (weft_lockfree_global_length(global) == 0) {
        return NULL;
    }
    weft_lock_acquire(&global->lock);
    struct weft_node *node = take(global);
    unlock(global, node != NULL);
    return node;
}

WEFT_TEXT uint32_t weft_lockfree_global_pop_batch(
    struct weft_lockfree_global *global, uint32_t max, struct weft_batch *out) {
    struct weft_node *node;
    uint32_t count = 0;
    if (max == 0 || weft_lockfree_global_length(global) == 0) {
        return 0;
    }
    weft_lock_acquire(&global->lock);
    while (count < max && (node = take(global)) != NULL) {
        weft_batch_push(out, node);
        count++;
    }
    unlock(global, count);
    return count;
}

WEFT_TEXT uint32_t weft_lockfree_global_clear(
    struct weft_lockfree_global *global, struct weft_batch *out) {
    return weft_lockfree_global_pop_batch(global, UINT32_MAX, out);
}

WEFT_TEXT struct weft_node *weft_lockfree_global_find(
    struct weft_lockfree_global *global,
    bool (*fits)(const struct weft_node *)) {
    struct weft_batch before;
    struct weft_node *node;
    if (weft_lockfree_global_length(global) == 0) {
        return NULL;
    }
    weft_batch_init(&before);
    weft_lock_acquire(&global->lock);
    while ((node = take(global)) != NULL && !fits(node)) {
        weft_batch_push(&before, node);
    }
    put_back(global, &before);
    unlock(global, node != NULL);
    return node;
}

WEFT_TEXT bool weft_lockfree_global_valid(struct weft_lockfree_global *global) {
    weft_lock_acquire(&global->lock);
    uint32_t length = weft_lockfree_global_length(global);
    uint32_t count = 0;
    struct weft_node *node = global->first;
    for (; node != NULL && count <= length; count++) {
        node = node == global->last ? NULL : next_of(node);
    }
    weft_lock_release(&global->lock);
    return count <= length;
}
