/* SPDX-License-Identifier: MIT */
/* Is any thread asked to give way? One word for the whole process, which a loop
 * can poll for a load and a branch, without finding out which thread it is on.
 *
 * Always true: the word is the number of threads whose `asked` (thread.h) is
 * set. So it is 0 nearly always, and not 0 for as long as it takes those that
 * were asked to come to a check; the checks of the others cost 3 ns meanwhile.
 *
 * Rejected:
 * - A word per thread, reached through the thread-local: a call (an address of
 *   a thread-local must not be kept across a switch) and two loads, 1.5 ns.
 * - A flag that the monitor raises and lowers at its ticks: without any atomic
 *   read-modify-write, but up for whole ticks, and on many processors always.
 *
 * For C and C++: what users' loops are compiled with. */
#ifndef WEFT_PREEMPT_ASKED_H_
#define WEFT_PREEMPT_ASKED_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define WEFT_ASKED_WORD uint32_t /* C++17 cannot name C's atomic types */
#else
#include <stdatomic.h>
#define WEFT_ASKED_WORD _Atomic uint32_t
#endif

/* Alone on its cache line: every loop that checks reads it. */
struct weft_asked {
    WEFT_ASKED_WORD threads;
} __attribute__((aligned(64)));

extern struct weft_asked weft_asked;

/* Relaxed: a hint. Context: anywhere. */
static inline bool weft_anybody_asked(void) {
#ifdef __cplusplus
    return __atomic_load_n(&weft_asked.threads, __ATOMIC_RELAXED) != 0;
#else
    return atomic_load_explicit(&weft_asked.threads, memory_order_relaxed) != 0;
#endif
}

/* One thread less is asked. Context: anywhere. */
static inline void weft_asked_less(void) {
#ifdef __cplusplus
    __atomic_fetch_sub(&weft_asked.threads, 1, __ATOMIC_RELAXED);
#else
    atomic_fetch_sub_explicit(&weft_asked.threads, 1, memory_order_relaxed);
#endif
}

#undef WEFT_ASKED_WORD

#ifdef __cplusplus
}
#endif

#endif
