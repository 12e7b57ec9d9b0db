/* SPDX-License-Identifier: MIT */
/* x86-64: rip, rsp and rbp. REG_RIP is a GNU name (_GNU_SOURCE); its value is
 * part of the kernel's ABI (struct sigcontext), hence the numbers.
 * See weft/arch/registers.h. */
#ifndef WEFT_ARCH_X86_64_REGISTERS_H_
#define WEFT_ARCH_X86_64_REGISTERS_H_

#include <stdint.h>
#include <ucontext.h>

enum { WEFT_REG_RBP = 10, WEFT_REG_RSP = 15, WEFT_REG_RIP = 16 };

static inline uintptr_t weft_registers_pc(const void *ucontext) {
    const ucontext_t *uc = (const ucontext_t *)ucontext;
    return (uintptr_t)uc->uc_mcontext.gregs[WEFT_REG_RIP];
}

static inline uintptr_t weft_registers_sp(const void *ucontext) {
    const ucontext_t *uc = (const ucontext_t *)ucontext;
    return (uintptr_t)uc->uc_mcontext.gregs[WEFT_REG_RSP];
}

static inline uintptr_t weft_registers_fp(const void *ucontext) {
    const ucontext_t *uc = (const ucontext_t *)ucontext;
    return (uintptr_t)uc->uc_mcontext.gregs[WEFT_REG_RBP];
}

#endif
