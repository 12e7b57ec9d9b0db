/* SPDX-License-Identifier: MIT */
/* Contexts: what is not assembly, and what sanitizers are told.
 *
 * A plain build has nothing here but the making of the first frame: the switch
 * is inline in the header and goes straight to the CPU's routine.
 *
 * Under AddressSanitizer each thread has bounds of the stack that it runs on,
 * and perhaps a fake stack, where frames live that are looked at after their
 * return. The one who leaves announces the bounds of the stack to come and puts
 * its fake stack aside; the one who arrives confirms and takes its own back.
 * The one who leaves for ever has its fake stack destroyed. A stack that is
 * used again carries the red zones of frames that were never returned from, so
 * its shadow is wiped when a new context is made on it.
 *
 * Under ThreadSanitizer each context is a fiber with clocks of its own. A
 * switch orders all that the leaving one did before all that the arriving one
 * does: they share a thread, and what they share they need not make atomic.
 * (Rejected: __tsan_switch_to_fiber_no_sync, for whose sake the plain fields of
 * a scheduler's thread would have to be atomic.)
 *
 * The functions that switch are not instrumented: their entry would be counted
 * on one stack and their exit on another. */
#include "weft/arch/context.h"

#include "weft/base/check.h"

#if WEFT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if WEFT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if !WEFT_CONTEXT_TOLD

void weft_context_init(struct weft_context *ctx, void *stack_low, size_t size,
                       void (*entry)(void *), void *arg) {
    ctx->sp = weft_frame_make(stack_low, size, entry, arg);
}

void weft_context_adopt(struct weft_context *ctx) {
    ctx->sp = NULL;
    weft_fp_baseline();
}

void weft_context_fini(struct weft_context *ctx) {
    ctx->sp = NULL;
}

#else

/* clang counts entries and exits in spite of no_sanitize_thread. */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define UNTOLD __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#ifndef UNTOLD
#if WEFT_ASAN
#define UNTOLD __attribute__((no_sanitize_address))
#else
#define UNTOLD WEFT_NO_TSAN
#endif
#endif

/* The last thing on the stack that leaves; `ends` when it will not be back. */
UNTOLD static WEFT_ALWAYS_INLINE void leave(struct weft_context *from,
                                            struct weft_context *to, int ends) {
#if WEFT_ASAN
    __sanitizer_start_switch_fiber(ends ? NULL : &from->shadow, to->low,
                                   to->size);
#else
    (void)from;
    (void)ends;
    __tsan_switch_to_fiber(to->shadow, 0);
#endif
}

/* The first thing on the stack that goes on. */
UNTOLD static WEFT_ALWAYS_INLINE void arrive(struct weft_context *self) {
#if WEFT_ASAN
    __sanitizer_finish_switch_fiber(self->shadow, NULL, NULL);
#else
    (void)self;
#endif
}

UNTOLD static void start(void *arg) {
    struct weft_context *self = arg;
    arrive(self);
    self->entry(self->arg);
    weft_fatal("a context's entry returned");
}

void weft_context_init(struct weft_context *ctx, void *stack_low, size_t size,
                       void (*entry)(void *), void *arg) {
    ctx->entry = entry;
    ctx->arg = arg;
    ctx->low = stack_low;
    ctx->size = size;
    ctx->shadow = NULL;
#if WEFT_ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack_low, size);
#else
    ctx->shadow = __tsan_create_fiber(0);
#endif
    ctx->sp = weft_frame_make(stack_low, size, start, ctx);
}

/* ASan knows the bounds of the thread's stack and tells them to the one who
 * arrives from it. Two switches from here to here: one to be told, one to put
 * them back. */
UNTOLD void weft_context_adopt(struct weft_context *ctx) {
    ctx->sp = NULL;
    ctx->entry = NULL;
    ctx->arg = NULL;
    ctx->shadow = NULL;
#if WEFT_ASAN
    void *fake;
    char *here = __builtin_frame_address(0);
    __sanitizer_start_switch_fiber(&fake, here - 4096, 8192);
    __sanitizer_finish_switch_fiber(fake, &ctx->low, &ctx->size);
    __sanitizer_start_switch_fiber(&fake, ctx->low, ctx->size);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#else
    ctx->shadow = __tsan_get_current_fiber();
#endif
    weft_fp_baseline();
}

void weft_context_fini(struct weft_context *ctx) {
#if WEFT_TSAN
    __tsan_destroy_fiber(ctx->shadow);
#endif
    ctx->shadow = NULL;
    ctx->sp = NULL;
}

UNTOLD WEFT_TEXT void weft_context_switch(struct weft_context *save,
                                          struct weft_context *to) {
    leave(save, to, 0);
    weft_switch(&save->sp, to->sp);
    arrive(save);
}

UNTOLD WEFT_TEXT void weft_context_switch_fp(struct weft_context *save,
                                             struct weft_context *to) {
    leave(save, to, 0);
    weft_switch_fp(&save->sp, to->sp);
    arrive(save);
}

UNTOLD WEFT_TEXT void weft_context_exit(struct weft_context *dying,
                                        struct weft_context *to) {
    leave(dying, to, 1);
    dying->sp = NULL;
    weft_switch_last(to->sp);
}

UNTOLD WEFT_TEXT void weft_context_exit_fp(struct weft_context *dying,
                                           struct weft_context *to) {
    leave(dying, to, 1);
    weft_switch_fp(&dying->sp, to->sp);
    __builtin_unreachable();
}

#endif
