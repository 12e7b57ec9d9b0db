/* SPDX-License-Identifier: MIT */
/* void weft_frame_return(void);
 *
 * A signal handler returns to here; rt_sigreturn (15) gives the interrupted
 * context back and does not return. Keeps nothing.
 *
 * Debuggers and unwinders without call frame information know a signal frame
 * by exactly these two instructions, so they are spelled as libc spells them
 * and have no .cfi of their own; the nop is there because unwinders look up
 * the address before a return address. */
    .section weft_text, "ax", @progbits
    .globl weft_frame_return
    .hidden weft_frame_return
    .type weft_frame_return, @function
    .p2align 4
    nop
weft_frame_return:
    movq $15, %rax
    syscall
    .size weft_frame_return, .-weft_frame_return
    .section .note.GNU-stack, "", @progbits
