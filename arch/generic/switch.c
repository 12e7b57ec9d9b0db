/* SPDX-License-Identifier: MIT */
/* The change of stacks by swapcontext(3), for CPUs without a folder of their
 * own, and on any CPU with --//arch:backend=ucontext.
 *
 * Always true: the ucontext_t of a suspended stack lies on that very stack, in
 * the frame of the function that suspended it, so nothing is allocated.
 * swapcontext() also switches the signal mask, by a system call or two: 60
 * times the price of the assembly. It keeps the floating-point control words of
 * every context, so nobody has to be given a baseline. */
#include "weft/arch/switch.h"
#include "weft/arch/generic/layout.h"
#include "weft/base/check.h"

WEFT_TEXT void weft_switch(void **save, void *to) {
    ucontext_t here;
    *save = &here;
    WEFT_CHECK_OP(swapcontext(&here, (ucontext_t *)to), ==, 0);
}

WEFT_TEXT void weft_switch_fp(void **save, void *to) {
    weft_switch(save, to);
}

WEFT_TEXT void weft_switch_last(void *to) {
    setcontext((ucontext_t *)to);
    weft_fatal("setcontext() returned");
}

void weft_fp_baseline(void) {
}
