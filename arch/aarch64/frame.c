/* SPDX-License-Identifier: MIT */
/* The first frame of a stack on AArch64, and the baseline of FPCR (see layout.h
 * and switch.S). */
#include <stdatomic.h>
#include <stdint.h>

#include "weft/arch/aarch64/layout.h"
#include "weft/arch/switch.h"
#include "weft/base/check.h"

/* 0 is round to nearest and no traps, what a process starts with. Any thread,
 * atomic; the threads of a runtime write the same word, unless the user made
 * them differ. */
__attribute__((visibility("hidden"))) _Atomic uint64_t weft_fp_base = 0;

void weft_task_entry(void);

void *weft_frame_make(void *low, size_t size, void (*entry)(void *),
                      void *arg) {
    uintptr_t top = ((uintptr_t)low + size) & ~(uintptr_t)15;
    struct weft_frame *frame = (struct weft_frame *)(top - sizeof(*frame));
    WEFT_CHECK_OP(size, >=, 1024UL);
    *frame = (struct weft_frame){
        .x19 = (uintptr_t)entry,
        .x20 = (uintptr_t)arg,
        .pc = (uintptr_t)weft_task_entry,
    };
    return frame;
}

void weft_fp_baseline(void) {
    uint64_t now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    atomic_store_explicit(&weft_fp_base, now, memory_order_relaxed);
}
