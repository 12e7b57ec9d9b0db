/* SPDX-License-Identifier: MIT */
/* weft_thread_self() without the call, for the scheduler, which asks ten times
 * in a channel round trip.
 *
 * Always true: the compiler sees no thread-local. It is read by assembly that
 * it may neither leave out nor move past other assembly, a switch of stacks
 * above all; and what that keeps in a register between its two instructions is
 * the variable's distance from a thread's base, the same for all threads. So a
 * switch between any two instructions does no harm, and no address can be kept
 * across one.
 *
 * Where this is not written for a CPU it is the call. Context: anywhere. */
#ifndef WEFT_PREEMPT_THREAD_QUICK_H_
#define WEFT_PREEMPT_THREAD_QUICK_H_

#include "weft/base/compiler.h"
#include "weft/preempt/thread.h"

/* The model checker has a thread of its own, by the name of the function. */
#if defined(__x86_64__) && defined(__LP64__) && !defined(weft_thread_self)

static WEFT_ALWAYS_INLINE struct weft_thread *weft_thread_self_quickly(void) {
    struct weft_thread *self;
    __asm__ volatile(
        "movq weft_thread_self_@gottpoff(%%rip), %0\n\t"
        "movq %%fs:(%0), %0"
        : "=r"(self)
        :
        : "memory");
    return self;
}

#else

static WEFT_ALWAYS_INLINE struct weft_thread *weft_thread_self_quickly(void) {
    return weft_thread_self();
}

#endif
#endif
