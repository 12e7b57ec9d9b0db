/* SPDX-License-Identifier: MIT */
/* A stack overflow is named, not a bare crash:
 *
 *   weft: stack overflow in task "parser" (id 7), created by serve: stack of
 *   65536 bytes at 0x7f0000004000, fault at 0x7f0000003ff8, pc 0x55d000001234
 *
 * (on one line, to standard error), after which the process dies by the signal
 * as it would have. The faults looked at are SIGSEGV and SIGBUS; those that are
 * no overflow of a stack of the pool go to the handler that was there before,
 * untouched.
 *
 * One installation in a process at a time. */
#ifndef WEFT_ARCH_OVERFLOW_H_
#define WEFT_ARCH_OVERFLOW_H_

#include <stddef.h>

#include "weft/arch/stack.h"

/* Writes who runs on the stack, as `task "NAME" (id 7), created by X`, into
 * `buf` of `size` bytes, terminated. Runs in a signal handler. */
typedef void (*weft_overflow_describe)(void *arg,
                                       const struct weft_stack *stack,
                                       char *buf, size_t size);

/* Watches the stacks of `pool`; `describe` may be NULL. Returns 0, -EBUSY when
 * already installed, or a negative errno of sigaction(2).
 * Context: any thread, at start. */
int weft_overflow_install(struct weft_stack_pool *pool,
                          weft_overflow_describe describe, void *arg);

/* The previous handlers come back, unless somebody put theirs on top of ours:
 * then ours stays below it and passes everything on.
 * Context: any thread, when no task runs. */
void weft_overflow_uninstall(void);

/* Gives the calling thread an alternate signal stack, without which the handler
 * cannot run after an overflow. A thread that has one keeps it. Returns 0 or
 * -ENOMEM. Context: a thread that will run tasks, on its own stack. */
int weft_overflow_thread_init(void);

/* Takes away what weft_overflow_thread_init() gave, if it is still in place.
 * Context: the same thread, on its own stack. */
void weft_overflow_thread_fini(void);

#endif
