/* SPDX-License-Identifier: MIT */
/* x86-64: the kernel has no return stub of its own and refuses a handler
 * without one; restorer_x86_64.S is ours. */
#define _GNU_SOURCE /* names of registers */
#include <errno.h>
#include <ucontext.h>

#include "frame.h"
#include "weft/base/compiler.h"

#define SA_RESTORER_FLAG 0x04000000UL

void weft_frame_return(void);

WEFT_TEXT uintptr_t weft_frame_pc(const void *ucontext) {
    const ucontext_t *frame = ucontext;
    return (uintptr_t)frame->uc_mcontext.gregs[REG_RIP];
}

WEFT_TEXT uintptr_t weft_frame_sp(const void *ucontext) {
    const ucontext_t *frame = ucontext;
    return (uintptr_t)frame->uc_mcontext.gregs[REG_RSP];
}

WEFT_TEXT bool weft_frame_cut_short(const void *ucontext) {
    const ucontext_t *frame = ucontext;
    const uint8_t *pc = (const uint8_t *)weft_frame_pc(ucontext);
    /* Two bytes before it are read on the page that it is on itself. */
    return frame->uc_mcontext.gregs[REG_RAX] == -EINTR &&
           (uintptr_t)pc % 4096 >= 2 && pc[-2] == 0x0f && pc[-1] == 0x05;
}

void weft_frame_restorer(void (**restorer)(void), unsigned long *flags) {
    *restorer = weft_frame_return;
    *flags = SA_RESTORER_FLAG;
}
