/* SPDX-License-Identifier: MIT */
/* What a suspended AArch64 stack looks like, for C and assembler.
 *
 *   to  -> x19 to x28   what a callee keeps (AAPCS64, 6.1.1)
 *          x29          frame pointer
 *          pc           where it goes on: x30 of the one that left
 *          d8 to d15    the kept halves of v8 to v15 (AAPCS64, 6.1.2)
 *   sp when it goes on is `to` + WEFT_FRAME_SIZE, whatever the pc.
 *
 * weft_switch_fp() puts FPCR and its return address above the frame, and its
 * own second half as the pc: who resumes it does not know. */
#ifndef WEFT_ARCH_AARCH64_LAYOUT_H_
#define WEFT_ARCH_AARCH64_LAYOUT_H_

#define WEFT_FRAME_X19  0
#define WEFT_FRAME_X21  16
#define WEFT_FRAME_X23  32
#define WEFT_FRAME_X25  48
#define WEFT_FRAME_X27  64
#define WEFT_FRAME_X29  80
#define WEFT_FRAME_PC   88
#define WEFT_FRAME_D8   96
#define WEFT_FRAME_D10  112
#define WEFT_FRAME_D12  128
#define WEFT_FRAME_D14  144
#define WEFT_FRAME_SIZE 160

/* FPCR, seen from the frame, and after it the return address. */
#define WEFT_FRAME_FPCR    160
#define WEFT_FRAME_FP_SIZE 176

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct weft_frame {
    uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
    uint64_t x29;
    uint64_t pc;
    uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
};

_Static_assert(offsetof(struct weft_frame, x19) == WEFT_FRAME_X19, "x19");
_Static_assert(offsetof(struct weft_frame, x21) == WEFT_FRAME_X21, "x21");
_Static_assert(offsetof(struct weft_frame, x23) == WEFT_FRAME_X23, "x23");
_Static_assert(offsetof(struct weft_frame, x25) == WEFT_FRAME_X25, "x25");
_Static_assert(offsetof(struct weft_frame, x27) == WEFT_FRAME_X27, "x27");
_Static_assert(offsetof(struct weft_frame, x29) == WEFT_FRAME_X29, "x29");
_Static_assert(offsetof(struct weft_frame, pc) == WEFT_FRAME_PC, "pc");
_Static_assert(offsetof(struct weft_frame, d8) == WEFT_FRAME_D8, "d8");
_Static_assert(offsetof(struct weft_frame, d10) == WEFT_FRAME_D10, "d10");
_Static_assert(offsetof(struct weft_frame, d12) == WEFT_FRAME_D12, "d12");
_Static_assert(offsetof(struct weft_frame, d14) == WEFT_FRAME_D14, "d14");
_Static_assert(sizeof(struct weft_frame) == WEFT_FRAME_SIZE, "frame");
_Static_assert(WEFT_FRAME_SIZE % 16 == 0, "sp is a multiple of 16, always");
_Static_assert(WEFT_FRAME_FP_SIZE % 16 == 0, "so it is here");
#endif
#endif
