/* SPDX-License-Identifier: MIT */
/* A semaphore in one word: the free permits, and a bit WAITERS.
 *
 * Always true:
 *  - with WAITERS set there are no free permits: a release gives them to those
 *    that wait, so nobody can overtake;
 *  - WAITERS is set under the list's lock by a waiter that found none free, in
 *    the same step in which it looks; it is cleared under the lock when the
 *    list is empty. It may be stale after a waiter withdrew: the next release
 *    clears it;
 *  - a release touches the semaphore for the last time before anybody can have
 *    its permits: with the CAS that makes them free, or before the grant. */
#include "weft/sync/semaphore.h"

#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/park.h"

#define WAITERS 1u

static uint64_t permits(uint64_t word) {
    return word >> 1;
}

/* Relaxed: decides what is tried next; the CAS that follows has the order. */
static uint64_t look(const struct weft_semaphore *s) {
    return atomic_load_explicit(&s->word, memory_order_relaxed);
}

/* Acquire and release pair with each other: what was done before a release is
 * seen by who takes the permit. */
static bool change(struct weft_semaphore *s, uint64_t *word, uint64_t next) {
    return atomic_compare_exchange_weak_explicit(
        &s->word, word, next, memory_order_acq_rel, memory_order_relaxed);
}

void weft_semaphore_init(struct weft_semaphore *s, uint32_t n) {
    *s = (struct weft_semaphore){0};
    atomic_init(&s->word, (uint64_t)n << 1);
}

bool weft_semaphore_try_acquire(struct weft_semaphore *s) {
    uint64_t word = look(s);
    while (permits(word) > 0) {
        if (change(s, &word, word - 2)) {
            return true;
        }
    }
    return false;
}

int weft_semaphore_acquire_until(struct weft_semaphore *s, uint64_t deadline) {
    struct weft_waiter w;
    if (weft_semaphore_try_acquire(s)) {
        return 0;
    }
    weft_wait_list_enter(&s->waiters);
    uint64_t word = look(s);
    while (!change(s, &word, permits(word) > 0 ? word - 2 : (word | WAITERS))) {
    }
    bool taken = permits(word) > 0;
    if (!taken) {
        weft_wait_list_push(&s->waiters, &w);
    }
    weft_wait_list_leave(&s->waiters);
    return taken ? 0
                 : weft_wait_list_wait(&s->waiters, &w, deadline, "semaphore");
}

int weft_semaphore_acquire(struct weft_semaphore *s) {
    return weft_semaphore_acquire_until(s, WEFT_FOREVER);
}

/* Puts `n` permits into the word, or returns false when somebody may wait. */
static bool add(struct weft_semaphore *s, uint32_t n) {
    uint64_t word = look(s);
    while ((word & WAITERS) == 0) {
        if (permits(word) + n > WEFT_SEMAPHORE_MAX) {
            weft_fatal(
                "weft_semaphore_release: more than %u permits; "
                "release what was acquired, and that once",
                WEFT_SEMAPHORE_MAX);
        }
        if (change(s, &word, word + ((uint64_t)n << 1))) {
            return true;
        }
    }
    return false;
}

static WEFT_NOINLINE void release_slowly(struct weft_semaphore *s, uint32_t n) {
    struct weft_wait_chain chain = {0};
    weft_runtime_enter();
    do {
        weft_lock_acquire(&s->waiters.lock);
        n -= weft_wait_list_choose_batch(&s->waiters, n, &chain);
        if (weft_wait_list_first(&s->waiters) == NULL) {
            /* Relaxed: who adds permits next has a release of its own. */
            atomic_fetch_and_explicit(&s->word, ~(uint64_t)WAITERS,
                                      memory_order_relaxed);
        }
        weft_lock_release(&s->waiters.lock);
    } while (n > 0 && !add(s, n));
    /* From here on the semaphore may be gone. */
    weft_wait_chain_grant_and_leave(&chain, 0);
}

void weft_semaphore_release(struct weft_semaphore *s, uint32_t n) {
    if (n > 0 && !add(s, n)) {
        release_slowly(s, n);
    }
}

uint32_t weft_semaphore_value(const struct weft_semaphore *s) {
    return (uint32_t)permits(look(s));
}
