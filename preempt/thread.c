/* SPDX-License-Identifier: MIT */
/* The thread-local and the life of a struct weft_thread.
 *
 * Leaving closes the door for senders by one CAS of `in_flight`, 0 to LEFT:
 * where it succeeds, nothing is on its way and nothing will be. Where it fails
 * a signal is coming, and the thread, which can still answer it, waits. So no
 * signal of ours meets a thread that would not know it. */
#include "weft/preempt/thread.h"

#include <stddef.h>
#include <sys/syscall.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/futex.h"
#include "weft/base/syscall.h"

#define LEAVE_LIMIT (100 * WEFT_MS)

/* Known by its name to the assembly of thread_quick.h and returns_x86_64.S, and
 * to nobody else. */
__attribute__((used)) _Thread_local struct weft_thread *weft_thread_self_;

/* The empty assembly keeps compilers from proving that two calls in a row give
 * the same answer. */
WEFT_TEXT __attribute__((noinline)) struct weft_thread *weft_thread_self(void) {
    __asm__ volatile("" ::: "memory");
    return weft_thread_self_;
}

WEFT_TEXT static __attribute__((noinline)) void set_self(
    struct weft_thread *thread) {
    __asm__ volatile("" ::: "memory");
    weft_thread_self_ = thread;
}

void weft_thread_enter(struct weft_thread *thread) {
    WEFT_CHECK(weft_thread_self() == NULL);
    *thread = (struct weft_thread){
        .tid = (pid_t)weft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0),
    };
    weft_alarm_init(&thread->alarm, thread->tid);
    weft_gate_close(&thread->gate);
    set_self(thread);
}

void weft_thread_forget(void) {
    set_self(NULL);
    atomic_store_explicit(&weft_asked.threads, 0, memory_order_relaxed);
}

/* The count goes up first, so that it never counts too few: a poll that misses
 * a note would miss it until the next request. */
WEFT_TEXT bool weft_thread_ask(struct weft_thread *thread) {
    uint32_t not = WEFT_ASKED_NOT;
    if (atomic_load_explicit(&thread->asked, memory_order_relaxed) != not ) {
        return false;
    }
    atomic_fetch_add_explicit(&weft_asked.threads, 1, memory_order_relaxed);
    if (atomic_compare_exchange_strong_explicit(
            &thread->asked, &not, WEFT_ASKED_SET, memory_order_relaxed,
            memory_order_relaxed)) {
        return true;
    }
    atomic_fetch_sub_explicit(&weft_asked.threads, 1, memory_order_relaxed);
    return false;
}

void weft_thread_leave(void) {
    struct weft_thread *thread = weft_thread_self();
    WEFT_CHECK(thread != NULL);
    WEFT_CHECK(weft_gate_is_closed(&thread->gate));
    weft_alarm_fini(&thread->alarm);
    uint64_t now = weft_clock_now();
    uint64_t limit = now + LEAVE_LIMIT;
    for (;;) {
        uint32_t seen = 0;
        /* Acquire: pairs with the release of 0 by the handler. */
        if (atomic_compare_exchange_strong_explicit(
                &thread->in_flight, &seen, WEFT_THREAD_LEFT,
                memory_order_acquire, memory_order_relaxed)) {
            break;
        }
        if (now >= limit) { /* it was swallowed on its way */
            atomic_store_explicit(&thread->in_flight, WEFT_THREAD_LEFT,
                                  memory_order_relaxed);
            break;
        }
        /* The handler ends the sleep, by the signal if not by the word. */
        weft_futex_wait(&thread->in_flight, seen, now + WEFT_MS);
        now = weft_clock_now();
    }
    if (atomic_exchange_explicit(&thread->asked, WEFT_ASKED_LEFT,
                                 memory_order_relaxed) == WEFT_ASKED_SET) {
        atomic_fetch_sub_explicit(&weft_asked.threads, 1, memory_order_relaxed);
    }
    set_self(NULL);
}

static uint64_t count(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void weft_thread_counters(const struct weft_thread *thread,
                          struct weft_preempt_counters *sum) {
    sum->requests += count(&thread->requests);
    sum->resent += count(&thread->resent);
    sum->deliveries += count(&thread->deliveries);
    sum->kept += count(&thread->kept);
    sum->deferred_gate += count(&thread->deferred_gate);
    sum->deferred_text += count(&thread->deferred_text);
    sum->deferred_libc += count(&thread->deferred_libc);
    sum->stale += count(&thread->stale);
    sum->alarms += count(&thread->alarms);
    sum->cut_short += count(&thread->cut_short);
}
