/* SPDX-License-Identifier: MIT */
/* x86-64: the kernel has no return stub of its own and refuses a handler
 * without one; restorer_x86_64.S is ours. */
#define _GNU_SOURCE /* names of registers */
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

void weft_frame_restorer(void (**restorer)(void), unsigned long *flags) {
    *restorer = weft_frame_return;
    *flags = SA_RESTORER_FLAG;
}
