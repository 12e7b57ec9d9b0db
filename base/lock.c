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
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0) {
        weft_futex_wait(&lock->word, 2, WEFT_FOREVER);
    }
}

WEFT_TEXT void weft_lock_wake(struct weft_lock *lock) {
    weft_futex_wake(&lock->word, 1);
}
