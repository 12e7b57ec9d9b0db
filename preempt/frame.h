/* SPDX-License-Identifier: MIT */
/* What the handler must know of the CPU: where a frame was interrupted, and how
 * a handler returns to the kernel. One frame_<cpu>.c implements it.
 * Context of all: the signal handler, or anywhere. */
#ifndef WEFT_PREEMPT_FRAME_H_
#define WEFT_PREEMPT_FRAME_H_

#include <stdbool.h>
#include <stdint.h>

/* The interrupted program counter and stack pointer of a ucontext_t. */
uintptr_t weft_frame_pc(const void *ucontext);
uintptr_t weft_frame_sp(const void *ucontext);

/* Was a system call interrupted, and is it about to return EINTR because of the
 * signal? Read off the answer and the instruction before. */
bool weft_frame_cut_short(const void *ucontext);

/* Fills in what rt_sigaction(2) wants of a bare system call: the return stub,
 * and the flag that says that there is one. *restorer is NULL and *flags 0
 * where the kernel brings its own. */
void weft_frame_restorer(void (**restorer)(void), unsigned long *flags);

#endif
