/* SPDX-License-Identifier: MIT */
/* Way 3: interrupted code goes on on another OS thread. What a scheduler needs
 * to leave a signal handler by a context switch and to return from it
 * elsewhere: may this code be moved, what must travel with it, what must not.
 *
 *     old thread, in the `preempt` hook      new thread
 *     1. weft_migrate_allowed()?             .
 *     2. weft_migrate_leave()                .
 *     3. switches to another context ------> 4. the switch returns
 *     .                                      5. weft_migrate_arrive()
 *     .                                      6. the hook returns, the handler
 *                                               opens this thread's gate
 *
 * Nothing proves that code may be moved: an errno that is about to be looked
 * at, a recursive mutex in hand, half of `tls = tls + 1` leave no trace in
 * registers or on the stack. So its author promises it, by putting each such
 * function into the section weft_migratable, and weft_migrate_allowed() looks
 * for what would show that the promise does not hold here and now:
 *
 *   - The interrupted instruction and every caller up to the start of the task
 *     lie in that section (callers are found by the chain of frame pointers:
 *     compile with -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer). So no
 *     frame of libc, nor of anything else, is in between.
 *   - No word of the live stack or of any register, vectors included, points
 *     into the thread's own memory: its native stack, its static thread-locals,
 *     its control block.
 *   - The signal mask is the one that all threads have, and the handler was
 *     called by the kernel itself, not by a handler that replaced it.
 *   - The stack has room for a second signal frame.
 *
 * The section is the whole rule, however the program is linked. "The program's
 * own text" would include libc in a static executable, and with it every
 * archive that was linked in, whose authors have promised nothing.
 *
 * Where it says no the caller takes way 2, which is always right. It always
 * says no under AddressSanitizer and ThreadSanitizer, which keep state of their
 * own for each thread, and on CPUs other than x86-64.
 *
 * What it cannot see: thread-locals of libraries that dlopen() brought (they
 * lie on the heap), and, in the first instructions of a function, a caller in
 * a library that was loaded after weft_migrate_prepare(). */
#ifndef WEFT_PREEMPT_MIGRATE_H_
#define WEFT_PREEMPT_MIGRATE_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/preempt/exceptions.h"
#include "weft/preempt/signals.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What belongs to an OS thread. Fixed after weft_migrate_thread_init(). */
struct weft_migrate_thread {
    uintptr_t low, high; /* its own memory; low is 0 when it is not known */
    int *error;          /* its errno */
    struct weft_exceptions *exceptions; /* as weft_exceptions_of_thread() */
};

/* The stack of the interrupted code and the mask that it should have. */
struct weft_migrate_stack {
    uintptr_t low, high; /* usable bytes */
    uint64_t mask;       /* as rt_sigprocmask(2) has it */
};

/* What travels with the code, kept on its stack; errno is in the interrupt. */
struct weft_migrate_luggage {
    struct weft_exceptions exceptions;
};

/* Notes what text there is. Context: any thread, outside handlers, before the
 * first weft_migrate_allowed() and again whenever libraries were loaded and no
 * task runs. */
void weft_migrate_prepare(void);

/* Notes what belongs to the calling thread.
 * Context: a thread of one's own making (not the process's first), outside
 * handlers. */
void weft_migrate_thread_init(struct weft_migrate_thread *self);

/* May what was interrupted go on on another thread? Takes 0.1 to 4 us by the
 * size of the live stack; one of more than 64 KiB may not.
 * Context: the `preempt` hook, on the interrupted stack. */
bool weft_migrate_allowed(const struct weft_migrate_thread *self,
                          const struct weft_interrupt *interrupt,
                          const struct weft_migrate_stack *stack);

/* Packs, and ends the handler as far as this thread is concerned: SIGURG may
 * come again. The gate stays closed. Switch away next, by
 * weft_context_switch_fp(): a handler has control words of its own.
 * Context: the `preempt` hook, which weft_migrate_allowed() was asked in. */
void weft_migrate_leave(const struct weft_migrate_thread *self,
                        struct weft_interrupt *interrupt,
                        struct weft_migrate_luggage *luggage);

/* Unpacks on the thread that the switch came back on, `thread` and `self`,
 * whose gate is closed exactly once; the hook then returns.
 * Context: as weft_migrate_leave(), after the switch. */
void weft_migrate_arrive(struct weft_thread *thread,
                         const struct weft_migrate_thread *self,
                         struct weft_interrupt *interrupt,
                         const struct weft_migrate_luggage *luggage);

/* Clears the registers that a call need not keep, so that nothing which an
 * earlier user of this thread left there looks like a use of its thread-locals.
 * Context: anywhere. */
void weft_migrate_scrub(void);

#ifdef __cplusplus
}
#endif

#endif
