/* SPDX-License-Identifier: MIT */
/* The first frame of a stack on x86-64, and the baseline of the floating-point
 * control words (see layout.h and switch.S). */
#include <stdatomic.h>
#include <stdint.h>

#include "weft/arch/switch.h"
#include "weft/arch/x86_64/layout.h"
#include "weft/base/check.h"

/* What a process starts with (AMD64 ABI 3.4.1) until somebody adopts. The
 * threads of a runtime write the same words, unless the user made them differ.
 */
__attribute__((visibility("hidden"))) struct weft_fp_words weft_fp_base = {
    .mxcsr = 0x1f80,
    .x87cw = 0x037f,
};

void weft_task_entry(void);

void *weft_frame_make(void *low, size_t size, void (*entry)(void *),
                      void *arg) {
    uintptr_t top = ((uintptr_t)low + size) & ~(uintptr_t)15;
    struct weft_frame *frame = (struct weft_frame *)(top - sizeof(*frame));
    WEFT_CHECK_OP(size, >=, 1024UL);
    *frame = (struct weft_frame){
        .rbx = (uintptr_t)entry,
        .r12 = (uintptr_t)arg,
        .pc = (uintptr_t)weft_task_entry,
    };
    return frame;
}

void weft_fp_baseline(void) {
    uint32_t mxcsr;
    uint16_t x87cw;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87cw));
    atomic_store_explicit(&weft_fp_base.mxcsr, mxcsr, memory_order_relaxed);
    atomic_store_explicit(&weft_fp_base.x87cw, x87cw, memory_order_relaxed);
}
