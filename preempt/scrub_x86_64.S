/* SPDX-License-Identifier: MIT */
/* void weft_scrub_registers(void);
 *
 * Zeroes what the AMD64 ABI (3.2.1) lets a call destroy: eight general registers
 * and all vector registers, as far as weft_scrub_level says that they exist. */
#include "scrub.h"

    .data
    .globl weft_scrub_level
    .hidden weft_scrub_level
    .type weft_scrub_level, @object
    .p2align 2
weft_scrub_level:
    .long WEFT_SCRUB_SSE
    .size weft_scrub_level, 4

    .section weft_text, "ax", @progbits
    .globl weft_scrub_registers
    .hidden weft_scrub_registers
    .type weft_scrub_registers, @function
    .p2align 4
weft_scrub_registers:
    .cfi_startproc
    endbr64
    movl weft_scrub_level(%rip), %eax
    cmpl $WEFT_SCRUB_AVX, %eax
    jb .Lsse
    vzeroall
    je .Lgeneral
    .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    vpxord %zmm\n, %zmm\n, %zmm\n
    .endr
    jmp .Lgeneral
.Lsse:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    xorps %xmm\n, %xmm\n
    .endr
.Lgeneral:
    .irp reg, eax, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
    xorl %\reg, %\reg
    .endr
    ret
    .cfi_endproc
    .size weft_scrub_registers, .-weft_scrub_registers
    .section .note.GNU-stack, "", @progbits
