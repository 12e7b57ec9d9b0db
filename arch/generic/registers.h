/* SPDX-License-Identifier: MIT */
/* Other CPUs: not known.
 * See weft/arch/registers.h. */
#ifndef WEFT_ARCH_GENERIC_REGISTERS_H_
#define WEFT_ARCH_GENERIC_REGISTERS_H_

#include <stdint.h>
#include <ucontext.h>

static inline uintptr_t weft_registers_pc(const void *ucontext) {
    (void)ucontext;
    return 0;
}

static inline uintptr_t weft_registers_sp(const void *ucontext) {
    (void)ucontext;
    return 0;
}

static inline uintptr_t weft_registers_fp(const void *ucontext) {
    (void)ucontext;
    return 0;
}

#endif
