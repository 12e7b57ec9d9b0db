/* SPDX-License-Identifier: MIT */
/* AArch64: pc, sp and x29.
 * See weft/arch/registers.h. */
#ifndef WEFT_ARCH_AARCH64_REGISTERS_H_
#define WEFT_ARCH_AARCH64_REGISTERS_H_

#include <stdint.h>
#include <ucontext.h>

static inline uintptr_t weft_registers_pc(const void *ucontext) {
    const ucontext_t *uc = (const ucontext_t *)ucontext;
    return (uintptr_t)uc->uc_mcontext.pc;
}

static inline uintptr_t weft_registers_sp(const void *ucontext) {
    const ucontext_t *uc = (const ucontext_t *)ucontext;
    return (uintptr_t)uc->uc_mcontext.sp;
}

static inline uintptr_t weft_registers_fp(const void *ucontext) {
    const ucontext_t *uc = (const ucontext_t *)ucontext;
    return (uintptr_t)uc->uc_mcontext.regs[29];
}

#endif
