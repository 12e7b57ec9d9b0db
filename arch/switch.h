/* SPDX-License-Identifier: MIT */
/* What a CPU's folder (or generic/) provides: the bare change of stacks, known
 * to weft/arch/context.h alone.
 *
 * A suspended stack is one word, the address of the frame that its last switch
 * (or weft_frame_make()) left on it. Every frame begins the same way, so any of
 * the switches resumes what any other suspended.
 *
 * Context of all: any thread, any stack; the frame resumed belongs to nobody
 * else, and nobody resumes it twice. */
#ifndef WEFT_ARCH_SWITCH_H_
#define WEFT_ARCH_SWITCH_H_

#include <stddef.h>

/* Leaves a frame on this stack and its address in *save, and resumes `to`.
 * Returns when somebody resumes *save, on whatever thread that is. Keeps the
 * registers that a call keeps, not the floating-point control words. */
void weft_switch(void **save, void *to);

/* The same where it matters that the CPU predicts the returns that follow. Part
 * of the function that calls it. */
#if defined(__x86_64__)
#include "weft/arch/x86_64/jump.h"
#else
static inline void weft_switch_by_jump(void **save, void *to) {
    weft_switch(save, to);
}
#endif

/* The same, and keeps the control words of the stack that leaves: it gets them
 * back when it is resumed; `to` starts from the baseline. */
void weft_switch_fp(void **save, void *to);

/* Resumes `to`; this stack is never resumed. */
void weft_switch_last(void *to) __attribute__((noreturn));

/* Makes the frame on which entry(arg) starts, at the upper end of the stack
 * [low, low + size), and returns its address. */
void *weft_frame_make(void *low, size_t size, void (*entry)(void *), void *arg);

/* Takes the calling thread's control words as the baseline of weft_switch_fp().
 */
void weft_fp_baseline(void);

#endif
