/* SPDX-License-Identifier: MIT */
/* The change of stacks on AArch64 (AAPCS64, 6.1 and 6.2).
 *
 *   void weft_switch(void **save, void *to);           x0, x1
 *   void weft_switch_fp(void **save, void *to);        x0, x1
 *   void weft_switch_last(void *to) noreturn;          x0
 *   weft_task_entry: where a new stack begins; not a C function
 *
 * Kept: x19 to x30, d8 to d15, sp; weft_switch_fp() also FPCR. Not kept, as a
 * call would not: all else, the upper halves of v8 to v15 included. SVE and SME
 * state is the caller's in a normal call; streaming mode is off here (SME's ABI
 * does not let a plain function be called in it).
 *
 * They end in `br`, not in `ret`: the return predictor expects the caller of
 * the stack that left. The landing pads at the entries are `bti c`; but `br`
 * goes behind a call, where there is none, so this object does not claim BTI.
 *
 * CFI: as on x86-64. As soon as a routine begins to load from the new frame,
 * the frame that is unwound is the new one. Unwinding ends at weft_task_entry.
 */
#include "weft/arch/aarch64/layout.h"

    .hidden weft_fp_base

    .macro save_kept
    stp x19, x20, [sp, #WEFT_FRAME_X19]
    stp x21, x22, [sp, #WEFT_FRAME_X21]
    stp x23, x24, [sp, #WEFT_FRAME_X23]
    stp x25, x26, [sp, #WEFT_FRAME_X25]
    stp x27, x28, [sp, #WEFT_FRAME_X27]
    stp d8, d9, [sp, #WEFT_FRAME_D8]
    stp d10, d11, [sp, #WEFT_FRAME_D10]
    stp d12, d13, [sp, #WEFT_FRAME_D12]
    stp d14, d15, [sp, #WEFT_FRAME_D14]
    .endm

/* The frame that \to (x1 or x0) points to, described; then resumed. */
    .macro resume to
    .cfi_def_cfa \to, WEFT_FRAME_SIZE
    .cfi_offset x19, WEFT_FRAME_X19 - WEFT_FRAME_SIZE
    .cfi_offset x20, WEFT_FRAME_X19 + 8 - WEFT_FRAME_SIZE
    .cfi_offset x21, WEFT_FRAME_X21 - WEFT_FRAME_SIZE
    .cfi_offset x22, WEFT_FRAME_X21 + 8 - WEFT_FRAME_SIZE
    .cfi_offset x23, WEFT_FRAME_X23 - WEFT_FRAME_SIZE
    .cfi_offset x24, WEFT_FRAME_X23 + 8 - WEFT_FRAME_SIZE
    .cfi_offset x25, WEFT_FRAME_X25 - WEFT_FRAME_SIZE
    .cfi_offset x26, WEFT_FRAME_X25 + 8 - WEFT_FRAME_SIZE
    .cfi_offset x27, WEFT_FRAME_X27 - WEFT_FRAME_SIZE
    .cfi_offset x28, WEFT_FRAME_X27 + 8 - WEFT_FRAME_SIZE
    .cfi_offset x29, WEFT_FRAME_X29 - WEFT_FRAME_SIZE
    .cfi_offset x30, WEFT_FRAME_PC - WEFT_FRAME_SIZE
    ldp x29, x30, [\to, #WEFT_FRAME_X29]
    ldp x19, x20, [\to, #WEFT_FRAME_X19]
    ldp x21, x22, [\to, #WEFT_FRAME_X21]
    ldp x23, x24, [\to, #WEFT_FRAME_X23]
    ldp x25, x26, [\to, #WEFT_FRAME_X25]
    ldp x27, x28, [\to, #WEFT_FRAME_X27]
    ldp d8, d9, [\to, #WEFT_FRAME_D8]
    ldp d10, d11, [\to, #WEFT_FRAME_D10]
    ldp d12, d13, [\to, #WEFT_FRAME_D12]
    ldp d14, d15, [\to, #WEFT_FRAME_D14]
    add sp, \to, #WEFT_FRAME_SIZE
    br x30
    .endm

    .section weft_text, "ax", %progbits

    .globl weft_switch
    .type weft_switch, %function
    .p2align 6
weft_switch:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #WEFT_FRAME_SIZE
    .cfi_adjust_cfa_offset WEFT_FRAME_SIZE
    save_kept
    stp x29, x30, [sp, #WEFT_FRAME_X29]
    mov x9, sp
    str x9, [x0]
    resume x1
    .cfi_endproc
    .size weft_switch, .-weft_switch

    .globl weft_switch_fp
    .type weft_switch_fp, %function
    .p2align 6
weft_switch_fp:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #WEFT_FRAME_FP_SIZE
    .cfi_adjust_cfa_offset WEFT_FRAME_FP_SIZE
    save_kept
    mrs x9, fpcr
    stp x9, x30, [sp, #WEFT_FRAME_FPCR]
    adr x10, .Lwith_words
    stp x29, x10, [sp, #WEFT_FRAME_X29]
    mov x11, sp
    str x11, [x0]
    adrp x10, weft_fp_base
    ldr x10, [x10, #:lo12:weft_fp_base]
    cmp x9, x10 /* writing FPCR may drain the pipeline */
    b.eq .Lsame_going
    msr fpcr, x10
.Lsame_going:
    resume x1
    .cfi_endproc

/* Its second half: sp points to FPCR, after it the return address. */
    .cfi_startproc
    .cfi_def_cfa sp, WEFT_FRAME_FP_SIZE - WEFT_FRAME_SIZE
    .cfi_offset x30, -8
    nop /* an unwinder that takes the pc for a return address looks here */
.Lwith_words:
    ldp x9, x30, [sp], #(WEFT_FRAME_FP_SIZE - WEFT_FRAME_SIZE)
    .cfi_def_cfa_offset 0
    .cfi_restore x30
    mrs x10, fpcr
    cmp x9, x10
    b.eq .Lsame_coming
    msr fpcr, x9
.Lsame_coming:
    br x30
    .cfi_endproc
    .size weft_switch_fp, .-weft_switch_fp

    .globl weft_switch_last
    .type weft_switch_last, %function
    .p2align 4
weft_switch_last:
    .cfi_startproc
    hint #34 /* bti c */
    resume x0
    .cfi_endproc
    .size weft_switch_last, .-weft_switch_last

/* x19 is the function, x20 its argument; x29 is 0, the end of the chain of
 * frame pointers. */
    .globl weft_task_entry
    .hidden weft_task_entry
    .type weft_task_entry, %function
    .p2align 4
weft_task_entry:
    .cfi_startproc
    .cfi_undefined x30
    hint #36 /* bti j */
    mov x0, x20
    blr x19
    udf #0 /* it returned */
    .cfi_endproc
    .size weft_task_entry, .-weft_task_entry

    .section .note.GNU-stack, "", %progbits
