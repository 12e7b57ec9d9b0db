/* SPDX-License-Identifier: MIT */
/* The runtime's own lock: one word, a short spin, then a futex.
 *
 * Always true: a holder is a thread that cannot be preempted by weft (its gate
 * is closed), so no task sleeps in a signal handler with it; critical sections
 * are a few lines that neither block nor allocate. The kernel may still take
 * the holder's CPU away, hence the futex rather than a pure spin.
 * Algorithm: mutex2 of Drepper, "Futexes Are Tricky" (2011), section 6. */
#ifndef WEFT_BASE_LOCK_H_
#define WEFT_BASE_LOCK_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_lock {
    /* 0 free, 1 held, 2 held and somebody may sleep. Any thread, atomic. */
    WEFT_ATOMIC(uint32_t) word;
};

void weft_lock_wait(struct weft_lock *lock);
void weft_lock_wake(struct weft_lock *lock);

static inline bool weft_lock_try(struct weft_lock *lock) {
    uint32_t free_word = 0;
    /* Acquire: pairs with the release in weft_lock_release(). */
    return atomic_compare_exchange_strong_explicit(
        &lock->word, &free_word, 1, memory_order_acquire, memory_order_relaxed);
}

/* Context: any thread with preemption off, signal handlers of the runtime. */
static inline void weft_lock_acquire(struct weft_lock *lock) {
    if (WEFT_UNLIKELY(!weft_lock_try(lock))) {
        weft_lock_wait(lock);
    }
}

#ifdef WEFT_LOCK_COUNTS
/* For //bench:contention_bench, built with --copt=-DWEFT_LOCK_COUNTS: how often
 * the code of each file has taken a lock, and how often it had to wait for it.
 * Context: any thread. */
struct weft_lock_count {
    WEFT_ATOMIC(const char *) file;
    WEFT_ATOMIC(uint64_t) taken, waited;
};
enum { WEFT_LOCK_FILES = 64 };
extern struct weft_lock_count weft_lock_counts[WEFT_LOCK_FILES];
void weft_lock_acquire_counted(struct weft_lock *lock, const char *file);
#define weft_lock_acquire(lock) weft_lock_acquire_counted((lock), __FILE__)
#endif

/* False: somebody may sleep, weft_lock_wake() is to follow. For functions that
 * call nothing on their usual path. Context: the holder. */
static inline bool weft_lock_release_quickly(struct weft_lock *lock) {
    /* Release: pairs with the acquires in weft_lock_try() and _wait(). */
    return WEFT_LIKELY(
        atomic_exchange_explicit(&lock->word, 0, memory_order_release) != 2);
}

/* Context: the holder. */
static inline void weft_lock_release(struct weft_lock *lock) {
    if (WEFT_UNLIKELY(!weft_lock_release_quickly(lock))) {
        weft_lock_wake(lock);
    }
}

#ifdef __cplusplus
}
#endif

#endif
