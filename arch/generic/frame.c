/* SPDX-License-Identifier: MIT */
/* The first frame of a stack by makecontext(3). It passes only ints, so the
 * frame's address travels in two of them. */
#include <stdalign.h>
#include <stdint.h>

#include "weft/arch/generic/layout.h"
#include "weft/arch/switch.h"
#include "weft/base/check.h"

static void start(unsigned high, unsigned low) {
    uint64_t address = (uint64_t)high << 32 | low;
    struct weft_frame *frame = (struct weft_frame *)(uintptr_t)address;
    frame->entry(frame->arg);
    weft_fatal("a context's entry returned");
}

void *weft_frame_make(void *low, size_t size, void (*entry)(void *),
                      void *arg) {
    uintptr_t top = (uintptr_t)low + size - sizeof(struct weft_frame);
    struct weft_frame *frame =
        (struct weft_frame *)(top & ~(uintptr_t)(alignof(max_align_t) - 1));
    WEFT_CHECK_OP(size, >=, sizeof(*frame) + 2048);
    WEFT_CHECK_OP(getcontext(&frame->context), ==, 0);
    frame->context.uc_stack.ss_sp = low;
    frame->context.uc_stack.ss_size = (size_t)((char *)frame - (char *)low);
    frame->context.uc_stack.ss_flags = 0;
    frame->context.uc_link = NULL;
    frame->entry = entry;
    frame->arg = arg;
    makecontext(&frame->context, (void (*)(void))start, 2,
                (unsigned)((uint64_t)(uintptr_t)frame >> 32),
                (unsigned)(uintptr_t)frame);
    return &frame->context;
}
