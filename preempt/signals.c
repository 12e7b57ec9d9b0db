/* SPDX-License-Identifier: MIT */
/* Asking a thread to give way: who may send, and when again.
 *
 *     sender                              handler, on the thread asked
 *     1. in_flight: 0 -> when, by CAS     a. in_flight set: the signal is ours
 *     2. tgkill                           b. decide, perhaps sleep for long
 *                                         c. in_flight = 0, the last store
 *
 * So between 1 and c nobody else sends, and each signal finds its request. A
 * signal that vanishes on its way (a debugger, a user's handler that replaced
 * ours for a while) would end preemption of that thread for ever. Therefore a
 * request that finds `in_flight` older than resend_after_ns, and the thread not
 * in the handler, sends again. The old signal may yet come, after the second
 * one was answered: `late` says that one signal without a request is ours.
 *
 * One word holds both "on its way" and "since when": two words would let a
 * second sender see the first one's flag with an older time. */
#include "weft/preempt/signals.h"

#include <errno.h>
#include <stddef.h>

#include "handler.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"

#define DEFAULT_LIBC_DEFER_TICKS 2
#define DEFAULT_RESEND_AFTER     (50 * WEFT_MS)
#define LIBC_DEFER_NONE          UINT32_MAX

/* Units of in_flight's time: 2^16 ns, 65 us; it comes round after 39 hours. */
enum { STAMP_SHIFT = 16 };

static struct {
    /* enum weft_preempt_mode, DEFAULT when not installed. Any thread. */
    _Atomic uint32_t mode;
    uint64_t resend_after_ns; /* fixed while installed */
} state;

static inline uint32_t current_mode(void) {
    /* Acquire: pairs with the release in weft_signals_install(). */
    return atomic_load_explicit(&state.mode, memory_order_acquire);
}

enum weft_preempt_mode weft_signals_mode(void) {
    uint32_t mode = current_mode();
    return mode == WEFT_PREEMPT_DEFAULT ? WEFT_PREEMPT_OFF
                                        : (enum weft_preempt_mode)mode;
}

int weft_signals_install(const struct weft_signals_config *config) {
    if (config->mode <= WEFT_PREEMPT_DEFAULT ||
        config->mode > WEFT_PREEMPT_OFF ||
        (config->mode == WEFT_PREEMPT_SIGNAL && config->preempt == NULL)) {
        return -EINVAL;
    }
    if (current_mode() != WEFT_PREEMPT_DEFAULT) {
        return -EBUSY;
    }
    struct weft_signals_config full = *config;
    if (full.libc_defer_ticks == 0) {
        full.libc_defer_ticks = DEFAULT_LIBC_DEFER_TICKS;
    } else if (full.libc_defer_ticks == LIBC_DEFER_NONE) {
        full.libc_defer_ticks = 0;
    }
    if (full.resend_after_ns == 0) {
        full.resend_after_ns = DEFAULT_RESEND_AFTER;
    }
    state.resend_after_ns = full.resend_after_ns;
    if (full.mode == WEFT_PREEMPT_SIGNAL) {
        int error = weft_handler_install(&full);
        if (error != 0) {
            return error;
        }
    }
    /* Release: pairs with the acquire in current_mode(). */
    atomic_store_explicit(&state.mode, full.mode, memory_order_release);
    return 0;
}

int weft_signals_uninstall(void) {
    uint32_t mode = current_mode();
    atomic_store_explicit(&state.mode, WEFT_PREEMPT_DEFAULT,
                          memory_order_relaxed);
    return mode == WEFT_PREEMPT_SIGNAL ? weft_handler_uninstall() : 0;
}

/* The time as `in_flight` keeps it: odd, and never LEFT. */
static inline uint32_t stamp(uint64_t now) {
    uint32_t when = (uint32_t)(now >> STAMP_SHIFT) << 1 | 1;
    return when == WEFT_THREAD_LEFT ? when - 2 : when;
}

/* True when the signal of `seen` should have been answered by `when`. */
static inline bool is_overdue(uint32_t seen, uint32_t when) {
    int32_t age =
        (int32_t)(when - seen); /* the clocks of two CPUs may differ */
    return age > 0 &&
           (uint64_t)(age >> 1) << STAMP_SHIFT >= state.resend_after_ns;
}

/* Claims the right to send; false: somebody has it. */
WEFT_TEXT static bool claim(struct weft_thread *thread, uint32_t when) {
    uint32_t seen = 0;
    /* Acquire: pairs with the handler's release of 0. Release: pairs with the
     * handler's acquire of in_flight, so that the hooks see why it was sent. */
    if (atomic_compare_exchange_strong_explicit(&thread->in_flight, &seen, when,
                                                memory_order_acq_rel,
                                                memory_order_relaxed)) {
        return true;
    }
    if (seen == WEFT_THREAD_LEFT || !is_overdue(seen, when) ||
        atomic_load_explicit(&thread->handling, memory_order_relaxed) != 0) {
        return false;
    }
    /* As above. */
    if (!atomic_compare_exchange_strong_explicit(&thread->in_flight, &seen,
                                                 when, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        return false;
    }
    atomic_store_explicit(&thread->late, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&thread->resent, 1, memory_order_relaxed);
    return true;
}

WEFT_TEXT bool weft_signals_request(struct weft_thread *thread, uint64_t now) {
    uint32_t mode = current_mode();
    if (mode == WEFT_PREEMPT_COOPERATIVE) {
        bool added = weft_thread_ask(thread);
        if (weft_thread_is_asked(thread)) {
            /* At each request: see there how one can be lost. */
            weft_gate_defer(&thread->gate);
        }
        if (!added) {
            return false;
        }
    } else if (mode != WEFT_PREEMPT_SIGNAL || !claim(thread, stamp(now))) {
        return false;
    } else if (weft_handler_send(thread) != 0) {
        /* The thread has ended without leaving. */
        atomic_store_explicit(&thread->in_flight, WEFT_THREAD_LEFT,
                              memory_order_relaxed);
        return false;
    }
    atomic_fetch_add_explicit(&thread->requests, 1, memory_order_relaxed);
    return true;
}

WEFT_TEXT void weft_signals_abandon(struct weft_interrupt *interrupt) {
    weft_handler_abandon(interrupt);
}

WEFT_TEXT void weft_signals_return(struct weft_interrupt *interrupt,
                                   struct weft_thread *thread) {
    interrupt->thread = thread;
    interrupt->moved = true;
}

uint64_t weft_signals_foreign(void) {
    return weft_handler_foreign();
}
