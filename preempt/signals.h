/* SPDX-License-Identifier: MIT */
/* Interrupts a thread at any instruction, by SIGURG, and asks a hook what to do
 * about it. It knows no task and no scheduler: any scheduler can use it.
 *
 * Always true:
 * - The hooks run in the handler, on the stack that was interrupted, with the
 *   thread's gate closed and SIGURG blocked. So handlers never nest, whoever
 *   sends how much: one signal frame at a time lies on a task's stack.
 * - At most one signal of ours is on its way to a thread (`in_flight`).
 * - A thread's own alarm (alarm.h) is the same signal, and asks the same
 *   questions, after one of its own: is anything to be done at all?
 * - A SIGURG of somebody else (a socket's urgent data, kill(2), another thread)
 *   goes to the handler that was there before.
 *
 * What the handler decides, in this order:
 *     not ours                        the previous handler gets it
 *     gate closed                     way 1: pending, return
 *     PC in the section weft_text     way 1: pending, return
 *     PC outside application text     put off, `libc_defer_ticks` times in a
 * row may() says no                   nothing else way 2: preempt(), in which
 * the thread may sleep and give its processor to another A request that was put
 * off is asked for again at the next tick.
 *
 * docs/preemption.md tells what interrupted code may assume. */
#ifndef WEFT_PREEMPT_SIGNALS_H_
#define WEFT_PREEMPT_SIGNALS_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/preempt/mode.h"
#include "weft/preempt/thread.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a thread was interrupted. */
struct weft_interrupt {
    struct weft_thread *thread;
    void *ucontext; /* the kernel's frame, a ucontext_t * */
    uintptr_t pc;
    uintptr_t sp;
    int error;   /* errno as the interrupted code has it */
    bool direct; /* surely nobody's handler stands between the kernel and us */
    bool moved;  /* by weft_signals_return() */
    bool alarm;  /* nobody has asked: the thread's own alarm went off */
    bool cut_short; /* it did so in a system call, which returns EINTR now */
};

struct weft_signals_config {
    /* DEFAULT is not allowed here: weft_preempt_mode_choose() first. */
    enum weft_preempt_mode mode;

    /* Is the request still wanted, and may the task be interrupted? False: the
     * hook has dropped or deferred it itself. NULL: always true.
     * Context: the handler, gate closed. May not touch libc. */
    bool (*may)(void *arg, struct weft_thread *thread);

    /* The thread's alarm has gone off: is it to be preempted? `may` is asked
     * after it. NULL: always false. Where the gate was closed it is not called;
     * thread->rang is set, and the note left, for whoever opens it.
     * Context: as `may`. */
    bool (*alarm)(void *arg, struct weft_interrupt *interrupt);

    /* Preempts: gives the processor away and sleeps until it comes back, say.
     * Returns when the thread may go on with what was interrupted.
     * Context: as `may`; on the interrupted stack, of which it and the frame
     * below it should take little. */
    void (*preempt)(void *arg, struct weft_interrupt *interrupt);

    void *arg;

    /* Ticks in a row that find the thread in libc before it is preempted there
     * all the same. 0 means the default of 2, UINT32_MAX none at all. */
    uint32_t libc_defer_ticks;

    /* An unanswered signal is sent again after so long. 0: 50 ms. */
    uint64_t resend_after_ns;
};

/* Begins: in SIGNAL mode the handler is installed, otherwise nothing is.
 * 0; -EBUSY when installed already; -EINVAL for a bad mode or no `preempt` in
 * SIGNAL mode; -ENOTSUP for SIGNAL in a build without signals; other errors as
 * of sigaction(2). Context: any thread, none entered yet. */
int weft_signals_install(const struct weft_signals_config *config);

/* Ends: the previous handler comes back. Does nothing when not installed. When
 * somebody has installed a handler over ours meanwhile, it stays, ours (which
 * it may call) passes everything on, and -EBUSY is returned; else 0.
 * Context: any thread, all others have left. */
int weft_signals_uninstall(void);

/* Asks that `thread`, which has entered, be interrupted; `now` is
 * weft_clock_now(). True: a signal was sent (or, in cooperative mode, `asked`
 * and the note in its gate were set). False: one is on its way, the thread has
 * left, or the mode is OFF. Costs the sender 1 to 7 us. Do not ask for a thread
 * that sleeps in the kernel: calls such as nanosleep and poll return EINTR.
 * Context: any thread, signal handlers. */
bool weft_signals_request(struct weft_thread *thread, uint64_t now);

/* For a `preempt` hook that leaves the stack by a context switch: does what the
 * handler would have done last, but leaves the gate closed. The interrupted
 * thread then handles SIGURG again. The hook never returns (its task is thrown
 * away), or calls weft_signals_return() before. Context: the `preempt` hook. */
void weft_signals_abandon(struct weft_interrupt *interrupt);

/* A switch came back into the hook that abandoned its handler, now on `thread`,
 * whose gate is closed once: when the hook returns the handler opens that gate,
 * touches nothing else of either thread, errno included, and the interrupted
 * code goes on there (see weft/preempt/migrate.h for what else that takes).
 * Context: the `preempt` hook. */
void weft_signals_return(struct weft_interrupt *interrupt,
                         struct weft_thread *thread);

/* The mode installed; OFF when none is. Context: anywhere. */
enum weft_preempt_mode weft_signals_mode(void);

/* SIGURGs passed on to the previous handler, or dropped when it had none, in
 * the whole process since the start. Context: any thread. */
uint64_t weft_signals_foreign(void);

#ifdef __cplusplus
}
#endif

#endif
