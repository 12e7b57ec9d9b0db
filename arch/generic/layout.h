/* SPDX-License-Identifier: MIT */
/* What a suspended stack looks like where only ucontext(3) is used: somewhere
 * on it lies a ucontext_t, and the word that stands for the stack is its
 * address. The first one, made by weft_frame_make(), lies at the very top with
 * what its entry needs. */
#ifndef WEFT_ARCH_GENERIC_LAYOUT_H_
#define WEFT_ARCH_GENERIC_LAYOUT_H_

#include <ucontext.h>

struct weft_frame {
    ucontext_t context;
    void (*entry)(void *);
    void *arg;
};

#endif
