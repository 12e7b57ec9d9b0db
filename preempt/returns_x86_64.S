/* SPDX-License-Identifier: MIT */
/* The end of a function that is marked WEFT_RETURNS_ELSEWHERE (returns.h):
 *
 *   __x86_return_thunk      by a jump, as a `ret` would be met; the name is the
 *                           compiler's
 *
 * Kept: all that a function keeps for its caller, and rax, its result.
 * Used: rcx, rdx, flags. */
#include "weft/preempt/returns_layout.h"

    .section weft_text, "ax", @progbits

    .globl __x86_return_thunk
    .type __x86_return_thunk, @function
    .p2align 5
__x86_return_thunk:
    .cfi_startproc
    movq weft_thread_self_@gottpoff(%rip), %rcx
    movq (%rsp), %rdx
    movq %fs:(%rcx), %rcx
    testq %rcx, %rcx
    jz 1f
    cmpq %rdx, WEFT_THREAD_RETURNS_TO(%rcx)
    jne 2f
1:  ret
2:  addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rdx
    notrack jmp *%rdx
    .cfi_endproc
    .size __x86_return_thunk, .-__x86_return_thunk

    .section .note.GNU-stack, "", @progbits
