/* SPDX-License-Identifier: MIT */
/* long weft_syscall(long nr, long a, long b, long c, long d, long e, long f);
 *
 * From the System V ABI's argument registers (AMD64 ABI 3.2.3) to the kernel's
 * (A.2.1): rdi..r9 and one stack word become rax, rdi, rsi, rdx, r10, r8, r9.
 * The kernel leaves rcx and r11 changed, which a caller does not keep. */
    .section weft_text, "ax", @progbits
    .globl weft_syscall
    .type weft_syscall, @function
    .p2align 4
weft_syscall:
    .cfi_startproc
    endbr64
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %r10
    movq %r9, %r8
    movq 8(%rsp), %r9
    syscall
    ret
    .cfi_endproc
    .size weft_syscall, .-weft_syscall
    .section .note.GNU-stack, "", @progbits
