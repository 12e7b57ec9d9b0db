/* SPDX-License-Identifier: MIT */
/* Contexts: a flow of control on a stack of its own, and the switch from one to
 * another. This layer knows no tasks and no queues; docs/context_switch.md
 * tells how it works and what it costs.
 *
 * Always true: a context is either running on one thread or suspended in a
 * switch; `sp` means something only while it is suspended. Whoever resumes it
 * needs to see what was written before it was suspended: the queue that carried
 * it from thread to thread (an acquire that met a release) sees to that.
 *
 * What a switch keeps: the registers that a function call keeps. It does not
 * keep: the signal mask, errno, thread-locals, and - in weft_context_switch() -
 * the floating-point control words. What comes back from a switch may be on
 * another thread than the one that left: nothing that belongs to a thread, not
 * even the address of a thread-local, may be kept across it.
 *
 * In builds with -fsanitize=address or thread the sanitizer is told of every
 * switch; these builds have more fields here, and all files agree on them. */
#ifndef WEFT_ARCH_CONTEXT_H_
#define WEFT_ARCH_CONTEXT_H_

#include <stddef.h>

#include "weft/arch/switch.h"
#include "weft/base/compiler.h"

/* Set when each switch is told to a sanitizer. */
#define WEFT_CONTEXT_TOLD (WEFT_ASAN || WEFT_TSAN)

struct weft_context {
    void *sp; /* the frame it is suspended in; written by its last switch */
#if WEFT_CONTEXT_TOLD
    void (*entry)(void *); /* fixed after init */
    void *arg;             /* fixed after init */
    const void *low;       /* the stack, fixed after init or adopt */
    size_t size;
    void *shadow; /* ASan's fake stack while suspended, TSan's fiber always */
#endif
};

/* Prepares `ctx` so that the first switch to it calls entry(arg) on the stack
 * [stack_low, stack_low + size), which it uses from the top. `entry` never
 * returns (a return is an illegal instruction): it ends in
 * weft_context_exit(). The stack may have been used before, by a context
 * that is finished. stack_low + size need not be aligned.
 * Context: any thread. */
void weft_context_init(struct weft_context *ctx, void *stack_low, size_t size,
                       void (*entry)(void *), void *arg);

/* Makes `ctx` stand for the calling thread's own stack; the first switch away
 * saves into it, and only this thread may resume it. The thread's
 * floating-point control words become the baseline that
 * weft_context_switch_fp() gives to others, in the whole process.
 * Context: a thread that runs on its own stack. */
void weft_context_adopt(struct weft_context *ctx);

/* After weft_context_exit(): gives back what sanitizers hold for `ctx`.
 * Also for a context that was never started. Not for adopted ones.
 * Context: any other stack. */
void weft_context_fini(struct weft_context *ctx);

/* The running context ends and `heir` goes on in its place, on its stack and in
 * its very frames, as if it had been running there all the time: no switch. So
 * `heir` has nothing of its own yet (`sp` is NULL, nothing to fini), and from
 * here on `dying` has nothing left.
 * Context: the flow of `dying`. */
static inline void weft_context_inherit(struct weft_context *heir,
                                        struct weft_context *dying) {
    *heir = *dying;
    heir->sp = NULL;
    dying->sp = NULL;
#if WEFT_CONTEXT_TOLD
    dying->shadow = NULL;
#endif
}

#if WEFT_CONTEXT_TOLD

void weft_context_switch(struct weft_context *save, struct weft_context *to);
void weft_context_switch_fp(struct weft_context *save, struct weft_context *to);
void weft_context_exit(struct weft_context *dying, struct weft_context *to)
    __attribute__((noreturn));
void weft_context_exit_fp(struct weft_context *dying, struct weft_context *to)
    __attribute__((noreturn));

#else

/* Suspends the running context as *save and resumes *to. Returns when somebody
 * switches to *save, perhaps on another thread. Nobody may do that before *to
 * runs: whoever makes *save known to others does so from *to.
 * Context: any, with preemption off (the runtime's own text is enough). */
static inline void weft_context_switch(struct weft_context *save,
                                       struct weft_context *to) {
    weft_switch_by_jump(&save->sp, to->sp);
}

/* The same for a context that changed its floating-point control words
 * (MXCSR and the x87 control word, FPCR): it finds them as it left them, and
 * everybody else has the baseline. The one that leaves decides: it is resumed
 * by either kind of switch. */
static inline void weft_context_switch_fp(struct weft_context *save,
                                          struct weft_context *to) {
    weft_switch_fp(&save->sp, to->sp);
}

/* The last switch of a context that will not be resumed. Its stack is free as
 * soon as *to runs, not before. */
__attribute__((noreturn)) static inline void weft_context_exit(
    struct weft_context *dying, struct weft_context *to) {
    dying->sp = NULL;
    weft_switch_last(to->sp);
}

/* The same for a context that changed its control words: *to has the baseline.
 * (What it suspends here, nobody resumes.) */
__attribute__((noreturn)) static inline void weft_context_exit_fp(
    struct weft_context *dying, struct weft_context *to) {
    weft_switch_fp(&dying->sp, to->sp);
    __builtin_unreachable();
}

#endif
#endif
