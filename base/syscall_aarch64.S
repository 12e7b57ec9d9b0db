/* SPDX-License-Identifier: MIT */
/* long weft_syscall(long nr, long a, long b, long c, long d, long e, long f);
 *
 * From the AAPCS64 argument registers to Linux's: number in x8, arguments in
 * x0 to x5. The kernel changes x0 alone. */
    .section weft_text, "ax", %progbits
    .globl weft_syscall
    .type weft_syscall, %function
    .p2align 4
weft_syscall:
    .cfi_startproc
    hint #34 /* bti c */
    mov x8, x0
    mov x0, x1
    mov x1, x2
    mov x2, x3
    mov x3, x4
    mov x4, x5
    mov x5, x6
    svc #0
    ret
    .cfi_endproc
    .size weft_syscall, .-weft_syscall
    .section .note.GNU-stack, "", %progbits
