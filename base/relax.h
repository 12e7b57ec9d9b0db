/* SPDX-License-Identifier: MIT */
/* One turn of a loop that waits for another CPU to write something. */
#ifndef WEFT_BASE_RELAX_H_
#define WEFT_BASE_RELAX_H_

#include "weft/base/atomic.h"

/* Tells the CPU to take it easy, where it can be told. Context: anywhere. */
static inline void weft_relax(void) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_ia32_pause)
    __builtin_ia32_pause();
#endif
#endif
    atomic_signal_fence(memory_order_seq_cst); /* the compiler keeps the loop */
}

#endif
