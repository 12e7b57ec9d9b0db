/* SPDX-License-Identifier: MIT */
/* ARM64: the kernel returns through a stub in the vDSO. */
#define _GNU_SOURCE /* names of registers */
#include <errno.h>
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

WEFT_TEXT bool weft_frame_cut_short(const void *ucontext) {
    const ucontext_t *frame = ucontext;
    const uint32_t *pc = (const uint32_t *)weft_frame_pc(ucontext);
    /* The instruction before it is read on the page that it is on itself. */
    return frame->uc_mcontext.regs[0] == (unsigned long long)-EINTR &&
           (uintptr_t)pc % 4096 >= sizeof *pc && pc[-1] == 0xd4000001; /* svc */
}

void weft_frame_restorer(void (**restorer)(void), unsigned long *flags) {
    *restorer = NULL;
    *flags = 0;
}
