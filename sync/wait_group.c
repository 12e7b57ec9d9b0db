/* SPDX-License-Identifier: MIT */
/* A wait group in one word: what is not done yet, and a bit WAITERS.
 *
 * Always true:
 *  - WAITERS is set under the list's lock, in the step that finds the count
 *    above zero, and cleared under it by the done that is about to make it
 * zero;
 *  - the count never becomes zero with WAITERS set: that done first empties the
 *    list. So the step to zero is the last touch of the group, and a waiter
 * that sees zero, or is granted after it, may free the memory;
 *  - waiters that were chosen when an add came in between are told to look
 *    again (LOOK_AGAIN); all others have seen zero, even if there was a new
 *    round before they ran. */
#include "weft/sync/wait_group.h"

#include <stdbool.h>
#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/park.h"

#define WAITERS 1u

/* What a waiter is granted. */
enum { ALL_DONE, LOOK_AGAIN };

static uint64_t left(uint64_t word) {
    return word >> 1;
}

/* Acquire: pairs with the release in change(). */
static uint64_t look(const struct weft_wait_group *g) {
    return atomic_load_explicit(&g->word, memory_order_acquire);
}

/* Release, for who waits: pairs with the acquires in look() and here. Acquire,
 * in the last done, for what the others did: pairs with their release here; the
 * grant passes it on. */
static bool change(struct weft_wait_group *g, uint64_t *word, uint64_t next) {
    return atomic_compare_exchange_weak_explicit(
        &g->word, word, next, memory_order_acq_rel, memory_order_acquire);
}

void weft_wait_group_add(struct weft_wait_group *g, uint32_t n) {
    /* Relaxed: what is to be done is handed over by whoever starts it. */
    uint64_t word = atomic_fetch_add_explicit(&g->word, (uint64_t)n << 1,
                                              memory_order_relaxed);
    if (WEFT_UNLIKELY(left(word) + n > UINT32_MAX)) {
        weft_fatal("weft_wait_group_add: more than %u things", UINT32_MAX);
    }
}

static void done_too_often(void) {
    weft_fatal(
        "weft_wait_group_done: nothing was left to be done; "
        "add before what is to be done begins, and say done once for each");
}

void weft_wait_group_done(struct weft_wait_group *g) {
    struct weft_wait_chain chain = {0};
    uint64_t word = look(g);
    if (WEFT_LIKELY(left(word) > 1 || (word & WAITERS) == 0)) {
        /* The common case, once: nobody to wake. */
        if (WEFT_UNLIKELY(left(word) == 0)) {
            done_too_often();
        }
        if (change(g, &word, word - 2)) {
            return;
        }
    }
    weft_runtime_enter();
    for (;;) {
        if (left(word) == 0) {
            done_too_often();
        }
        if (left(word) == 1 && (word & WAITERS) != 0) {
            weft_lock_acquire(&g->waiters.lock);
            weft_wait_list_choose_batch(&g->waiters, WEFT_WAIT_BATCH, &chain);
            if (weft_wait_list_first(&g->waiters) == NULL) {
                /* Relaxed: the CAS below releases. */
                atomic_fetch_and_explicit(&g->word, ~(uint64_t)WAITERS,
                                          memory_order_relaxed);
            }
            weft_lock_release(&g->waiters.lock);
            word = look(g);
        } else if (change(g, &word, word - 2)) {
            break;
        }
    }
    /* From here on the group may be gone. */
    weft_wait_chain_grant_and_leave(&chain,
                                    left(word) == 1 ? ALL_DONE : LOOK_AGAIN);
}

/* Shared by the three below, which differ in how they wait. */
static int wait(struct weft_wait_group *g, uint64_t deadline,
                int (*wait_in)(struct weft_wait_list *, struct weft_waiter *,
                               uint64_t, const char *)) {
    struct weft_waiter w;
    int result;
    do {
        uint64_t word = look(g);
        if (left(word) == 0) {
            return 0;
        }
        weft_wait_list_enter(&g->waiters);
        word = look(g);
        while (left(word) > 0 && !change(g, &word, word | WAITERS)) {
        }
        if (left(word) > 0) {
            weft_wait_list_push(&g->waiters, &w);
        }
        weft_wait_list_leave(&g->waiters);
        if (left(word) == 0) {
            return 0;
        }
        result = wait_in(&g->waiters, &w, deadline, "wait group");
    } while (result == LOOK_AGAIN);
    return result;
}

int weft_wait_group_wait_until(struct weft_wait_group *g, uint64_t deadline) {
    return wait(g, deadline, weft_wait_list_wait);
}

int weft_wait_group_wait(struct weft_wait_group *g) {
    return wait(g, WEFT_FOREVER, weft_wait_list_wait);
}

void weft_wait_group_wait_uncancellable(struct weft_wait_group *g) {
    (void)wait(g, WEFT_FOREVER, weft_wait_list_wait_uncancellable);
}

bool weft_wait_group_try_wait(const struct weft_wait_group *g) {
    return left(look(g)) == 0;
}

uint32_t weft_wait_group_count(const struct weft_wait_group *g) {
    return (uint32_t)left(look(g));
}
