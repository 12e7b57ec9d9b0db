/* SPDX-License-Identifier: MIT */
/* The slow halves of the lock: about 1 us of spinning (a critical section of
 * the runtime is shorter), then sleep. A sleeper that gets the lock leaves 2 in
 * the word, since others may sleep behind it; that costs at most one wake-up
 * that nobody needed. */
#include "weft/base/lock.h"

#include "weft/base/clock.h"
#include "weft/base/futex.h"
#include "weft/base/relax.h"

#ifndef WEFT_LOCK_SPINS /* the model checker asks for fewer */
#define WEFT_LOCK_SPINS 40
#endif

WEFT_TEXT void weft_lock_wait(struct weft_lock *lock) {
    for (int i = 0; i < WEFT_LOCK_SPINS; i++) {
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
            weft_lock_try(lock)) {
            return;
        }
        weft_relax();
    }
    /* Acquire: pairs with the release in weft_lock_release(). */
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) !=
           0) {
        weft_futex_wait(&lock->word, 2, WEFT_FOREVER);
    }
}

WEFT_TEXT void weft_lock_wake(struct weft_lock *lock) {
    weft_futex_wake(&lock->word, 1);
}

#ifdef WEFT_LOCK_COUNTS
struct weft_lock_count weft_lock_counts[WEFT_LOCK_FILES];

/* The count of `file`, a literal: the same text may have several addresses. */
static struct weft_lock_count *count_of(const char *file) {
    for (int i = 0; i < WEFT_LOCK_FILES - 1; i++) {
        struct weft_lock_count *c = &weft_lock_counts[i];
        const char *seen = atomic_load_explicit(&c->file, memory_order_relaxed);
        if (seen == file ||
            (seen == NULL && (atomic_compare_exchange_strong_explicit(
                                  &c->file, &seen, file, memory_order_relaxed,
                                  memory_order_relaxed) ||
                              seen == file))) {
            return c;
        }
    }
    return &weft_lock_counts[WEFT_LOCK_FILES - 1];
}

WEFT_TEXT void weft_lock_acquire_counted(struct weft_lock *lock,
                                         const char *file) {
    struct weft_lock_count *c = count_of(file);
    atomic_fetch_add_explicit(&c->taken, 1, memory_order_relaxed);
    if (!weft_lock_try(lock)) {
        atomic_fetch_add_explicit(&c->waited, 1, memory_order_relaxed);
        weft_lock_wait(lock);
    }
}
#endif
