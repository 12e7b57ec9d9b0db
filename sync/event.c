/* SPDX-License-Identifier: MIT */
/* An event in one word: SET, or a bit WAITERS.
 *
 * Always true:
 *  - WAITERS is set under the list's lock, in the step that finds the event not
 *    set; it is cleared under the lock by the set that has emptied the list;
 *  - SET never comes with WAITERS: a set first empties the list. So the step to
 *    SET is its last touch of the event, and whoever sees it, or is granted
 *    after it, may free the memory.
 *
 * Those that were chosen are granted whatever a reset does meanwhile: the event
 * has been set in between. */
#include "weft/sync/event.h"

#include <stddef.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"

enum { SET = 1, WAITERS = 2 };

/* Acquire: pairs with the release in change(). */
static uint32_t look(const struct weft_event *e) {
    return atomic_load_explicit(&e->word, memory_order_acquire);
}

/* Release, in a set: pairs with the acquires in look() and here. The acquire is
 * for a set that passes on, by a grant, what the sets before it did. */
static bool change(struct weft_event *e, uint32_t *word, uint32_t next) {
    return atomic_compare_exchange_weak_explicit(
        &e->word, word, next, memory_order_acq_rel, memory_order_acquire);
}

static WEFT_NOINLINE void set_slowly(struct weft_event *e) {
    struct weft_wait_chain chain = {0};
    uint32_t word = look(e);
    weft_runtime_enter();
    for (;;) {
        if ((word & WAITERS) != 0) {
            weft_lock_acquire(&e->waiters.lock);
            weft_wait_list_choose_batch(&e->waiters, WEFT_WAIT_BATCH, &chain);
            if (weft_wait_list_first(&e->waiters) == NULL) {
                /* Relaxed: the exchange below releases. */
                atomic_fetch_and_explicit(&e->word, ~(uint32_t)WAITERS,
                                          memory_order_relaxed);
            }
            weft_lock_release(&e->waiters.lock);
            word = look(e);
        } else if (change(e, &word, SET)) {
            break;
        }
    }
    /* From here on the event may be gone. */
    weft_wait_chain_grant_and_leave(&chain, 0);
}

void weft_event_set(struct weft_event *e) {
    uint32_t word = look(e);
    /* Also where it is set: what this caller did is to be seen as well. */
    while ((word & WAITERS) == 0) {
        if (change(e, &word, SET)) {
            return;
        }
    }
    set_slowly(e);
}

void weft_event_reset(struct weft_event *e) {
    /* Relaxed: it hands nothing over. */
    atomic_fetch_and_explicit(&e->word, ~(uint32_t)SET, memory_order_relaxed);
}

int weft_event_wait_until(struct weft_event *e, uint64_t deadline) {
    struct weft_waiter w;
    if (WEFT_LIKELY(look(e) == SET)) {
        return 0;
    }
    weft_wait_list_enter(&e->waiters);
    uint32_t word = look(e);
    while ((word & SET) == 0 && !change(e, &word, word | WAITERS)) {
    }
    bool waits = (word & SET) == 0;
    if (waits) {
        weft_wait_list_push(&e->waiters, &w);
    }
    weft_wait_list_leave(&e->waiters);
    return waits ? weft_wait_list_wait(&e->waiters, &w, deadline, "event") : 0;
}

int weft_event_wait(struct weft_event *e) {
    return weft_event_wait_until(e, WEFT_FOREVER);
}

bool weft_event_try_wait(const struct weft_event *e) {
    return (look(e) & SET) != 0;
}
