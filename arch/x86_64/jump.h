/* SPDX-License-Identifier: MIT */
/* weft_switch() on x86-64 without a `call`; see weft/arch/switch.h.
 *
 * Calls and returns are paired by a predictor in the CPU. The switch is entered
 * by one and ends in a jump, so a `call` there has no return: the predictor
 * would be one entry off from then on, and every function on the way back to
 * the task's code mispredict its return, some 4 ns each. So the return address
 * is pushed by hand, and the predictor knows of nothing: two tasks that wait in
 * the same function return as if they were one.
 *
 * What is below the stack pointer may be in use: the red zone, which the compiler
 * leaves to functions that call nothing. It is stepped over, and rbx holds the
 * stack pointer meanwhile; where there is none, nothing has to be held. */
#ifndef WEFT_ARCH_X86_64_JUMP_H_
#define WEFT_ARCH_X86_64_JUMP_H_

/* 0 where every function that switches calls others, too. */
#ifndef WEFT_RED_ZONE
#define WEFT_RED_ZONE 128
#endif

/* What a call leaves undefined, vectors apart. */
#define WEFT_CALL_CLOBBERS                                                     \
    "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory", "st",       \
        "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0", \
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",        \
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#ifdef __AVX512F__
#define WEFT_CALL_CLOBBERS_512                                                \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", \
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",        \
        "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define WEFT_CALL_CLOBBERS_512
#endif

static inline __attribute__((always_inline)) void weft_switch_by_jump(
    void **save, void *to) {
#if WEFT_RED_ZONE == 0
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "jmp weft_switch@PLT\n"
        "1:"
        : "+D"(save), "+S"(to)
        :
        : WEFT_CALL_CLOBBERS WEFT_CALL_CLOBBERS_512);
#else
    __asm__ volatile(
        "movq %%rsp, %%rbx\n\t"
        "leaq -%c2(%%rsp), %%rsp\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "jmp weft_switch@PLT\n"
        "1:\n\t"
        "movq %%rbx, %%rsp"
        : "+D"(save), "+S"(to)
        : "i"(WEFT_RED_ZONE)
        : "rbx", WEFT_CALL_CLOBBERS WEFT_CALL_CLOBBERS_512);
#endif
}

#endif
