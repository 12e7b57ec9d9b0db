/* SPDX-License-Identifier: MIT */
/* uint64_t weft_probe_switch(void **save, void *to, const uint64_t *in,
 *                            uint64_t *out);
 * See weft/arch/probe.h. rdi and rsi go on to weft_switch() as they are. */
    .text
    .globl weft_probe_switch
    .type weft_probe_switch, @function
    .p2align 4
weft_probe_switch:
    .cfi_startproc
    endbr64
    .irp reg, rbp, rbx, r12, r13, r14, r15, rcx
    pushq %\reg
    .cfi_adjust_cfa_offset 8
    .endr
    movq 0(%rdx), %rbp
    movq 8(%rdx), %rbx
    movq 16(%rdx), %r12
    movq 24(%rdx), %r13
    movq 32(%rdx), %r14
    movq 40(%rdx), %r15
    call weft_switch
    popq %rcx
    .cfi_adjust_cfa_offset -8
    movq %rbp, 0(%rcx)
    movq %rbx, 8(%rcx)
    movq %r12, 16(%rcx)
    movq %r13, 24(%rcx)
    movq %r14, 32(%rcx)
    movq %r15, 40(%rcx)
    .irp reg, r15, r14, r13, r12, rbx, rbp
    popq %\reg
    .cfi_adjust_cfa_offset -8
    .endr
    movl $6, %eax
    ret
    .cfi_endproc
    .size weft_probe_switch, .-weft_probe_switch
    .section .note.GNU-stack, "", @progbits
