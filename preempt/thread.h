/* SPDX-License-Identifier: MIT */
/* An OS thread that can be interrupted, and the question "which one am I?".
 *
 * This file holds the one thread-local variable of the runtime. Compilers keep
 * the address of a thread-local across calls, and a task may come back from a
 * call on another thread; so nobody but weft_thread_self() touches it, and that
 * is a function which is never inlined and returns the value, not an address;
 * and, where a call is too much, the assembly of thread_quick.h.
 *
 * A scheduler puts a struct weft_thread first into its own structure for a
 * worker thread and gets from one to the other by a cast. */
#ifndef WEFT_PREEMPT_THREAD_H_
#define WEFT_PREEMPT_THREAD_H_

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/base/atomic.h"
#include "weft/preempt/alarm.h"
#include "weft/preempt/asked.h"
#include "weft/preempt/gate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How often each thing happened. */
struct weft_preempt_counters {
    uint64_t requests;      /* weft_signals_request() that returned true */
    uint64_t deliveries;    /* own signals that reached the handler */
    uint64_t kept;          /* way 2: the `preempt` hook was called */
    uint64_t deferred_gate; /* way 1: the thread's gate was closed */
    uint64_t deferred_text; /* way 1: interrupted in the runtime's own text */
    uint64_t deferred_libc; /* put off: interrupted outside application text */
    uint64_t stale;         /* not wanted any more: by `may`, or came twice */
    uint64_t foreign;       /* somebody else's SIGURG, passed on */
    uint64_t resent;        /* sent again because no answer came */
    uint64_t alarms;        /* the thread's own alarm went off */
    uint64_t cut_short;     /* of those, in a call that then returned EINTR */
};

/* The value of `in_flight` on a thread that takes no requests. */
#define WEFT_THREAD_LEFT UINT32_MAX

/* weft_thread.asked */
enum {
    WEFT_ASKED_NOT,
    WEFT_ASKED_SET,
    WEFT_ASKED_LEFT, /* the thread takes no requests */
};

struct weft_thread {
    /* Closed while the thread is inside the runtime. Owner and handler. */
    struct weft_gate gate;

    /* Owner: where the last one to wait on it will return to (returns.h). */
    const void *returns_to;

    /* Any thread, atomic. */

    /* 0: no signal is on its way. Odd: one is, and the rest of the word is when
     * it was sent. Senders set it by CAS, the handler clears it last. */
    WEFT_ATOMIC(uint32_t) in_flight;
    /* A signal was sent twice, so one may arrive after its request was met. */
    WEFT_ATOMIC(uint32_t) late;
    /* Cooperative mode: give way at the next call into the scheduler. It moves
     * by read-modify-writes alone; weft_asked counts those that are SET. */
    WEFT_ATOMIC(uint32_t) asked; /* WEFT_ASKED_... */
    WEFT_ATOMIC(uint64_t) requests;
    WEFT_ATOMIC(uint64_t) resent;

    /* Written by the owner and the handler on it, atomic for readers. */

    /* The handler runs; asking again is pointless. */
    WEFT_ATOMIC(uint32_t) handling;
    /* Deferrals in a row because of libc. A scheduler may set it to 0 when it
     * puts another task on the thread. */
    WEFT_ATOMIC(uint32_t) libc_deferrals;
    WEFT_ATOMIC(uint64_t) deliveries;
    WEFT_ATOMIC(uint64_t) kept;
    WEFT_ATOMIC(uint64_t) deferred_gate;
    WEFT_ATOMIC(uint64_t) deferred_text;
    WEFT_ATOMIC(uint64_t) deferred_libc;
    WEFT_ATOMIC(uint64_t) stale;
    WEFT_ATOMIC(uint64_t) alarms;
    WEFT_ATOMIC(uint64_t) cut_short;

    /* Its own alarm, which it sets itself, or a scheduler that knows it to be
     * in the kernel; and whether it went off while the gate was closed. */
    struct weft_alarm alarm;
    bool rang;

    /* The kernel's number. Fixed from weft_thread_enter() on. */
    pid_t tid;
};

/* The calling thread, or NULL on one that never entered.
 * Context: anywhere, signal handlers too. Ask again after every wait. */
struct weft_thread *weft_thread_self(void);

/* The calling thread can be interrupted from now on, as *thread, which is set
 * up here, with its gate CLOSED once: open it when the thread is ready.
 * Context: a thread that has not entered. */
void weft_thread_enter(struct weft_thread *thread);

/* It cannot any more. Waits (up to 100 ms) for a signal that is on its way;
 * requests that come later are refused, and its alarm is no more. The gate is
 * left closed.
 * Context: an entered thread, its gate closed. */
void weft_thread_leave(void);

/* In the child of a fork(): the only thread there is none of weft's any more,
 * and nobody is asked. Context: the child's thread, gate open or not. */
void weft_thread_forget(void);

/* Cooperative mode: leaves a note. False: there is one already, or the thread
 * has left. Context: any thread. */
bool weft_thread_ask(struct weft_thread *thread);

/* Cooperative mode: is there a note? Context: anywhere. */
static inline bool weft_thread_is_asked(const struct weft_thread *thread) {
    return atomic_load_explicit(&thread->asked, memory_order_relaxed) ==
           WEFT_ASKED_SET;
}

/* Cooperative mode: takes the note that weft_signals_request() left. True: the
 * caller should give way. Context: the owner, gate closed or not; also others,
 * for a thread that has nothing to give any more. */
static inline bool weft_thread_take_asked(struct weft_thread *thread) {
    uint32_t set = WEFT_ASKED_SET;
    if (WEFT_LIKELY(!weft_thread_is_asked(thread)) ||
        !atomic_compare_exchange_strong_explicit(
            &thread->asked, &set, WEFT_ASKED_NOT, memory_order_relaxed,
            memory_order_relaxed)) {
        return false;
    }
    weft_asked_less();
    return true;
}

/* Adds what `thread` has counted to *sum. `foreign` is not a thread's, see
 * weft_signals_foreign(). Context: any thread; a snapshot. */
void weft_thread_counters(const struct weft_thread *thread,
                          struct weft_preempt_counters *sum);

#ifdef __cplusplus
}
#endif

#endif
