/* SPDX-License-Identifier: MIT */
/* What a suspended x86-64 stack looks like, for C and assembler.
 *
 *   to  -> r15 r14 r13 r12 rbx rbp   what a callee keeps (AMD64 ABI 3.2.1)
 *          pc                        where it goes on
 *   sp when it goes on is `to` + WEFT_FRAME_SIZE, whatever the pc.
 *
 * weft_switch_fp() puts its control words between the frame and its return
 * address, and its own second half as the pc: who resumes it does not know. */
#ifndef WEFT_ARCH_X86_64_LAYOUT_H_
#define WEFT_ARCH_X86_64_LAYOUT_H_

#define WEFT_FRAME_R15  0
#define WEFT_FRAME_R14  8
#define WEFT_FRAME_R13  16
#define WEFT_FRAME_R12  24
#define WEFT_FRAME_RBX  32
#define WEFT_FRAME_RBP  40
#define WEFT_FRAME_PC   48
#define WEFT_FRAME_SIZE 56

/* Bytes of registers below the return address that `call` pushed. */
#define WEFT_FRAME_KEPT 48

/* The control words, seen from the frame; then the return address. */
#define WEFT_FRAME_MXCSR   56
#define WEFT_FRAME_X87CW   60
#define WEFT_FRAME_FP_SIZE 64

#ifndef __ASSEMBLER__
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct weft_frame {
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t pc;
};

/* Any thread, atomic: read by weft_switch_fp(), whole words. */
struct weft_fp_words {
    _Atomic uint32_t mxcsr;
    _Atomic uint16_t x87cw;
    uint16_t unused;
};

_Static_assert(offsetof(struct weft_frame, r15) == WEFT_FRAME_R15, "r15");
_Static_assert(offsetof(struct weft_frame, r14) == WEFT_FRAME_R14, "r14");
_Static_assert(offsetof(struct weft_frame, r13) == WEFT_FRAME_R13, "r13");
_Static_assert(offsetof(struct weft_frame, r12) == WEFT_FRAME_R12, "r12");
_Static_assert(offsetof(struct weft_frame, rbx) == WEFT_FRAME_RBX, "rbx");
_Static_assert(offsetof(struct weft_frame, rbp) == WEFT_FRAME_RBP, "rbp");
_Static_assert(offsetof(struct weft_frame, pc) == WEFT_FRAME_PC, "pc");
_Static_assert(sizeof(struct weft_frame) == WEFT_FRAME_SIZE, "frame");
_Static_assert(WEFT_FRAME_KEPT == WEFT_FRAME_PC, "the call pushed the pc");
_Static_assert(WEFT_FRAME_SIZE + offsetof(struct weft_fp_words, mxcsr) ==
                   WEFT_FRAME_MXCSR,
               "mxcsr");
_Static_assert(WEFT_FRAME_SIZE + offsetof(struct weft_fp_words, x87cw) ==
                   WEFT_FRAME_X87CW,
               "x87cw");
_Static_assert(WEFT_FRAME_SIZE + sizeof(struct weft_fp_words) ==
                   WEFT_FRAME_FP_SIZE,
               "the return address follows the words");
#endif
#endif
