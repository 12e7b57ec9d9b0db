/* SPDX-License-Identifier: MIT */
/* ARM64: the kernel returns through a stub in the vDSO. */
#define _GNU_SOURCE /* names of registers */
#include <stddef.h>
#include <ucontext.h>

#include "frame.h"
#include "weft/base/compiler.h"

WEFT_TEXT uintptr_t weft_frame_pc(const void *ucontext) {
    const ucontext_t *frame = ucontext;
    return (uintptr_t)frame->uc_mcontext.pc;
}

WEFT_TEXT uintptr_t weft_frame_sp(const void *ucontext) {
    const ucontext_t *frame = ucontext;
    return (uintptr_t)frame->uc_mcontext.sp;
}

void weft_frame_restorer(void (**restorer)(void), unsigned long *flags) {
    *restorer = NULL;
    *flags = 0;
}
