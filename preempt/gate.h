/* SPDX-License-Identifier: MIT */
/* A gate says whether whoever it belongs to may be interrupted now, and keeps
 * note of a request that came while it was closed.
 *
 * Always true:
 * - A gate is written by one thread at a time: the one it belongs to (or that
 *   runs the task it belongs to), and by the signal handler on that very
 *   thread. So plain loads and stores do, no read-modify-write, and the only
 *   reordering to forbid is the compiler's: a signal fence. (Cooperative mode
 *   has no handler; see weft_gate_defer() for who leaves notes then.)
 * - Closing nests; the outermost opening reports a request that was deferred.
 *
 *     owner                           handler, on the same thread
 *     1. closed = 1                   a. closed != 0: pending = 1, return
 *     2. ... may not be interrupted   b. closed == 0: interrupt now
 *     3. closed = 0
 *     4. pending? take it, act
 *
 *   A handler between 3 and 4 finds the gate open and interrupts; it clears
 *   `pending` then, since the request has been met. One before 3 leaves
 *   `pending`, which 4 sees. There is no third place.
 *
 * Tried and dropped: one word with the pending bit in it. Opening then has to
 * be an atomic read-modify-write, or a handler between its load and its store
 * loses the bit; two words cost two moves. */
#ifndef WEFT_PREEMPT_GATE_H_
#define WEFT_PREEMPT_GATE_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

struct weft_gate {
    /* How often it was closed and not yet opened. Others may read it. */
    WEFT_ATOMIC(uint32_t) closed;
    /* A request was deferred. Others may read it. */
    WEFT_ATOMIC(uint32_t) pending;
};

/* Open, nothing pending. Context: before anybody else can see it. */
static inline void weft_gate_init(struct weft_gate *gate) {
    atomic_store_explicit(&gate->closed, 0, memory_order_relaxed);
    atomic_store_explicit(&gate->pending, 0, memory_order_relaxed);
}

/* No interruption from here to the matching weft_gate_open().
 * Context: the owner, the handler on its thread. */
static inline void weft_gate_close(struct weft_gate *gate) {
    uint32_t closed = atomic_load_explicit(&gate->closed, memory_order_relaxed);
    atomic_store_explicit(&gate->closed, closed + 1, memory_order_relaxed);
    /* What follows stays behind it, for a handler on this thread. */
    atomic_signal_fence(memory_order_seq_cst);
}

/* Ends the innermost weft_gate_close(). True when the gate is open now and a
 * request came meanwhile: the caller must act on it (give the thread away); the
 * note is cleared. Context: as weft_gate_close(). */
static inline bool weft_gate_open(struct weft_gate *gate) {
    uint32_t closed = atomic_load_explicit(&gate->closed, memory_order_relaxed);
    uint32_t left;
    WEFT_CHECK(!__builtin_sub_overflow(closed, 1U, &left));
    /* Release: pairs with the acquire in weft_gate_is_closed(), so that another
     * thread that sees an open gate sees what was done behind it. */
    atomic_store_explicit(&gate->closed, left, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (WEFT_UNLIKELY(left != 0) ||
        WEFT_LIKELY(
            !atomic_load_explicit(&gate->pending, memory_order_relaxed))) {
        return false;
    }
    atomic_store_explicit(&gate->pending, 0, memory_order_relaxed);
    return true;
}

/* Context: anywhere; on another thread the answer is already old. */
static inline bool weft_gate_is_closed(const struct weft_gate *gate) {
    /* Acquire: pairs with the release in weft_gate_open(). */
    return atomic_load_explicit(&gate->closed, memory_order_acquire) != 0;
}

/* Leaves a note for the opening. Context: as weft_gate_close(). And, where
 * there is no handler (cooperative mode), one other thread, which must not rely
 * on it: a note that comes between the opening's look and its clearing is lost
 * with the one that was seen, and the owner acts once for both. Asking again is
 * up to that thread. */
static inline void weft_gate_defer(struct weft_gate *gate) {
    atomic_store_explicit(&gate->pending, 1, memory_order_relaxed);
}

/* True when a request waits for the opening. Context: anywhere. */
static inline bool weft_gate_is_pending(const struct weft_gate *gate) {
    return atomic_load_explicit(&gate->pending, memory_order_relaxed) != 0;
}

/* Forgets a note: the request has been met in another way.
 * Context: as weft_gate_close(). */
static inline void weft_gate_clear(struct weft_gate *gate) {
    atomic_store_explicit(&gate->pending, 0, memory_order_relaxed);
}

#endif
