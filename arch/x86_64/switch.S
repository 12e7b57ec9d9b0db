/* SPDX-License-Identifier: MIT */
/* The change of stacks on x86-64 (System V AMD64 ABI, 3.2.1 to 3.2.3).
 *
 *   void weft_switch(void **save, void *to);           rdi, rsi
 *   void weft_switch_fp(void **save, void *to);        rdi, rsi
 *   void weft_switch_last(void *to) noreturn;          rdi
 *   weft_task_entry: where a new stack begins; not a C function
 *
 * Kept: rbx, rbp, r12 to r15, rsp; weft_switch_fp() also MXCSR and the x87
 * control word. Not kept, as a call would not: all else, vector registers
 * included. The direction flag is clear on both sides, as the ABI has it.
 *
 * They end in a jump, not in `ret`: the return predictor expects the caller of
 * the stack that left, and a `ret` would miss each time (7.7 against 2.3 ns).
 * The jump goes into the middle of a function, behind a call, where no endbr64
 * is; hence `notrack`. Shadow stacks are not switched: this object does not
 * claim to support them, so the linker leaves them off.
 *
 * CFI: as soon as a routine begins to load from the new frame, the frame that
 * is unwound is the new one, found by the register that points to it. Unwinding
 * ends at weft_task_entry, whose own return address is undefined. */
#include "weft/arch/x86_64/layout.h"

    .hidden weft_fp_base

    .macro save_kept
    movq %r15, WEFT_FRAME_R15(%rsp)
    movq %r14, WEFT_FRAME_R14(%rsp)
    movq %r13, WEFT_FRAME_R13(%rsp)
    movq %r12, WEFT_FRAME_R12(%rsp)
    movq %rbx, WEFT_FRAME_RBX(%rsp)
    movq %rbp, WEFT_FRAME_RBP(%rsp)
    .endm

/* The frame that \to points to, described; then resumed. */
    .macro resume to
    .cfi_def_cfa \to, WEFT_FRAME_SIZE
    .cfi_offset %r15, WEFT_FRAME_R15 - WEFT_FRAME_SIZE
    .cfi_offset %r14, WEFT_FRAME_R14 - WEFT_FRAME_SIZE
    .cfi_offset %r13, WEFT_FRAME_R13 - WEFT_FRAME_SIZE
    .cfi_offset %r12, WEFT_FRAME_R12 - WEFT_FRAME_SIZE
    .cfi_offset %rbx, WEFT_FRAME_RBX - WEFT_FRAME_SIZE
    .cfi_offset %rbp, WEFT_FRAME_RBP - WEFT_FRAME_SIZE
    .cfi_offset %rip, WEFT_FRAME_PC - WEFT_FRAME_SIZE
    movq WEFT_FRAME_PC(\to), %rcx
    movq WEFT_FRAME_R15(\to), %r15
    movq WEFT_FRAME_R14(\to), %r14
    movq WEFT_FRAME_R13(\to), %r13
    movq WEFT_FRAME_R12(\to), %r12
    movq WEFT_FRAME_RBX(\to), %rbx
    movq WEFT_FRAME_RBP(\to), %rbp
    leaq WEFT_FRAME_SIZE(\to), %rsp
    notrack jmp *%rcx
    .endm

    .section weft_text, "ax", @progbits

    .globl weft_switch
    .type weft_switch, @function
    .p2align 6
weft_switch:
    .cfi_startproc
    endbr64
    subq $WEFT_FRAME_KEPT, %rsp
    .cfi_adjust_cfa_offset WEFT_FRAME_KEPT
    save_kept
    movq %rsp, (%rdi)
    resume %rsi
    .cfi_endproc
    .size weft_switch, .-weft_switch

    .globl weft_switch_fp
    .type weft_switch_fp, @function
    .p2align 6
weft_switch_fp:
    .cfi_startproc
    endbr64
    subq $WEFT_FRAME_FP_SIZE, %rsp
    .cfi_adjust_cfa_offset WEFT_FRAME_FP_SIZE
    stmxcsr WEFT_FRAME_MXCSR(%rsp)
    fnstcw WEFT_FRAME_X87CW(%rsp)
    leaq .Lwith_words(%rip), %rax
    movq %rax, WEFT_FRAME_PC(%rsp)
    save_kept
    movq %rsp, (%rdi)
    ldmxcsr weft_fp_base(%rip)
    fldcw (weft_fp_base + WEFT_FRAME_X87CW - WEFT_FRAME_MXCSR)(%rip)
    resume %rsi
    .cfi_endproc

/* Its second half: rsp points to the words, above them the return address. */
    .cfi_startproc
    .cfi_def_cfa %rsp, 16
    nop /* an unwinder that takes the pc for a return address looks here */
.Lwith_words:
    ldmxcsr (WEFT_FRAME_MXCSR - WEFT_FRAME_SIZE)(%rsp)
    fldcw (WEFT_FRAME_X87CW - WEFT_FRAME_SIZE)(%rsp)
    movq (WEFT_FRAME_FP_SIZE - WEFT_FRAME_SIZE)(%rsp), %rcx
    addq $(WEFT_FRAME_FP_SIZE - WEFT_FRAME_SIZE + 8), %rsp
    .cfi_def_cfa_offset 0
    .cfi_register %rip, %rcx
    notrack jmp *%rcx
    .cfi_endproc
    .size weft_switch_fp, .-weft_switch_fp

    .globl weft_switch_last
    .type weft_switch_last, @function
    .p2align 4
weft_switch_last:
    .cfi_startproc
    endbr64
    resume %rdi
    .cfi_endproc
    .size weft_switch_last, .-weft_switch_last

/* rbx is the function, r12 its argument, rsp a multiple of 16, so the call
 * leaves it as the ABI wants it at a function's entry. rbp is 0, the end of the
 * chain of frame pointers. */
    .globl weft_task_entry
    .hidden weft_task_entry
    .type weft_task_entry, @function
    .p2align 4
weft_task_entry:
    .cfi_startproc
    .cfi_undefined %rip
    endbr64
    movq %r12, %rdi
    callq *%rbx
    ud2 /* it returned */
    .cfi_endproc
    .size weft_task_entry, .-weft_task_entry

    .section .note.GNU-stack, "", @progbits
