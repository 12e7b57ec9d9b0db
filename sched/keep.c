/* SPDX-License-Identifier: MIT */
/* Involuntary preemption: a task that is interrupted keeps its OS thread.
 *
 * C code can be interrupted inside malloc, between a failing call and its
 * errno, with a recursive mutex in hand. No other task may run on that thread
 * then, and the task may not go on on another. So the worker gives its
 * processor to another worker and sleeps where it is, in the signal handler,
 * on the task's stack. The task is runnable and bound to this worker: whoever
 * picks it hands the processor over instead of switching.
 *
 *     worker A, interrupted in task T        worker B
 *     1. picks the next task N, and who      .
 *        runs it: B (a spare, or the
 *        worker that N is bound to)
 *     2. T: bound = A, into the hog queue    .
 *     3. gives the processor to B            wakes, runs N
 *     4. sleeps on its mailbox               ...
 *     .                                      picks T: bound to A
 *     .                                      becomes a spare
 *     wakes, T is running again              gives the processor to A
 *     returns from the handler
 *
 * From 2 on T may be picked by anybody, before A sleeps: the mailbox keeps the
 * processor until A looks. Giving is the last thing a giver does with a
 * processor (handover.h).
 *
 * Retaking. A thread that sleeps in the kernel without having told weft holds a
 * processor that others need. The monitor takes it, without a signal, so the
 * call is not interrupted:
 *
 *     monitor                                the worker, from outside
 *     1. retake: NONE -> ASKED, by CAS       1. gate closed
 *     2. membarrier: a full fence on all     2. retake != NONE? then it waits
 *        CPUs that run this process             for the answer
 *     3. gate open, the task's too, and
 *        the processor still there?
 *        TAKEN, else NONE
 *
 * The membarrier makes one of the two see the other, and leaves the worker's
 * side two plain instructions. A worker that finds TAKEN when it enters the
 * runtime (or the handler) is without a processor, a stray: its task becomes
 * runnable, bound to it, and it sleeps until a processor is given to it. So
 * whoever closes an open gate looks at the word: weft_enter() does both.
 *
 * The word `retake`, and who may move it:
 *
 *     NONE --- monitor -----> ASKED   by CAS; the worker waits while it is so
 *     ASKED -- monitor -----> TAKEN   gate open: the processor is the monitor's
 *     ASKED -- monitor -----> NONE    gate closed: the worker keeps it
 *     NONE --- the worker --> TAKEN   by CAS, in weft_blocking()
 *     TAKEN -- the worker --> NONE    when it next closes its gate; then it
 *                                     asks for a processor
 *
 * tests/model/retake_model_test.c runs them in every order.
 *
 * weft_blocking() says TAKEN itself, NONE -> TAKEN by CAS: neither of the two
 * may write over what the other has just written. An ASKED that was lost would
 * let the worker go on with a processor that is being taken; a TAKEN that was
 * lost, without one.
 *
 * Always true: who sleeps here has its gate closed and holds no lock; its task
 * is in a queue or on its way from one to its mailbox. */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "weft/base/futex.h"
#include "weft/base/syscall.h"
#include "weft/sched/alarms.h"
#include "weft/sched/core.h"
#include "weft/sched/pin.h"
#include "weft/sched/reserve.h"

/* Of so many that are preempted early in their life one goes to the end of the
 * hogs, so that those at the head get their turn however many come. */
enum { LET_BY = 4 };

/* Sleeps with the task, which was bound and can be found by others, until a
 * processor comes for it. */
WEFT_TEXT void weft_sleep_with_task(struct weft_worker *w,
                                    struct weft_task *t) {
    weft_thread_take_asked(&w->thread);
    struct weft_processor *p = weft_handover_wait(&w->handover, WEFT_FOREVER);
    WEFT_CHECK_OP(p->next, ==, t);
    p->next = NULL;
    t->bound = NULL;
    atomic_fetch_sub_explicit(&w->runtime->bound, 1, memory_order_relaxed);
    weft_task_become(t, WEFT_TASK_RUNNABLE, WEFT_TASK_RUNNING);
    weft_processor_take(w, p);
    weft_slice_begin(p, t);
}

/* From here on others may know `t`, which runs on `w`, the caller. */
WEFT_TEXT void weft_bind(struct weft_worker *w, struct weft_task *t) {
    weft_alarms_rest(w);
    atomic_store_explicit(&w->status, WEFT_WORKER_KEPT, memory_order_relaxed);
    atomic_store_explicit(&w->processor, NULL, memory_order_relaxed);
    t->bound = w;
    t->context.sp = WEFT_SP_BOUND;
    atomic_fetch_add_explicit(&w->runtime->bound, 1, memory_order_relaxed);
}

/* Who is to run `*n`, which was picked for `p`. Where nobody is to be had, `*n`
 * goes back and one that has its own thread takes its place; NULL when there is
 * none. */
WEFT_TEXT struct weft_worker *weft_host(const struct weft_processor *p,
                                        struct weft_task **n) {
    struct weft_runtime *rt = p->runtime;
    struct weft_worker *to =
        weft_task_is_bound(*n) ? (*n)->bound
                               : weft_spare_pop(rt, p->node, *n);
    if (WEFT_UNLIKELY(to == NULL)) {
        weft_put_back(rt, *n);
        atomic_fetch_add_explicit(&rt->skipped, 1, memory_order_relaxed);
        if (weft_reserve_is_low(rt)) {
            weft_reserve_say(rt); /* else they are on their way */
        }
        *n = weft_pick_bound(rt);
        to = *n != NULL ? (*n)->bound : NULL;
    }
    return to;
}

/* Is the request that brought the caller here still about what runs now, and
 * does the task allow it? If it was an alarm, it is looked after first. */
WEFT_TEXT bool weft_keep_wanted(struct weft_worker *w) {
    if (WEFT_UNLIKELY(w->thread.rang)) {
        w->thread.rang = false;
        (void)weft_alarms_look(w);
    }
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *t = weft_worker_task(w);
    if (p == NULL || t == NULL ||
        atomic_load_explicit(&p->asked_seq, memory_order_relaxed) !=
            atomic_load_explicit(&p->seq, memory_order_relaxed)) {
        return false;
    }
    if (weft_gate_is_closed(&t->gate)) {
        weft_gate_defer(&t->gate);
        return false;
    }
    return true;
}

/* Gives the processor to another and sleeps with the task until its turn comes
 * again. Gate closed; on the task's stack, perhaps in the handler. */
WEFT_TEXT void weft_keep(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *t = weft_worker_task(w);
    struct weft_task *n = weft_pick(p);
    struct weft_worker *to = n != NULL ? weft_host(p, &n) : NULL;
    if (to == NULL) {
        weft_slice_begin(p, t); /* nobody waits any more, or can run */
        return;
    }
    bool spent = weft_task_strike(p, t);
    t->hog = true; /* it waits with the hogs: only its own thread can run it */
    atomic_fetch_add_explicit(&rt->kept, 1, memory_order_relaxed);
    weft_bind(w, t);
    weft_task_become(t, WEFT_TASK_RUNNING, WEFT_TASK_RUNNABLE);
    if (spent || ++p->let_by % LET_BY == 0) {
        weft_push_global(rt, t);
    } else {
        weft_put_back(rt, t); /* before those: it may be about to wait */
    }
    weft_wake(rt); /* it may go on at once where a processor is idle */
    weft_processor_give_here(p, to, n);
    weft_sleep_with_task(w, t);
}

/* What fell due while the gate was closed. */
WEFT_TEXT void weft_leave_slowly(struct weft_worker *w) {
    do {
        (void)weft_enter(); /* the processor may have been taken */
        weft_thread_take_asked(&w->thread);
        if (weft_keep_wanted(w)) {
            weft_keep(w);
        }
    } while (weft_gate_open(&w->thread.gate));
}

/* A check that the compiler has put anywhere: the caller keeps its thread, and
 * its errno, since it knows of no call here. */
WEFT_TEXT void weft_check_in_place(void) {
    struct weft_worker *w = weft_worker_self();
    if (!weft_asked_outside(w)) {
        return;
    }
    int saved = errno;
    w = weft_enter();
    weft_gate_defer(&w->thread.gate);
    weft_leave(w);
    errno = saved;
}

/* What the monitor, if it has asked, has answered. */
static uint32_t await_answer(struct weft_worker *w) {
    uint32_t retake;
    /* Acquire: pairs with the release in weft_retake(). */
    while ((retake = atomic_load_explicit(&w->retake, memory_order_acquire)) ==
           WEFT_RETAKE_ASKED) {
        weft_futex_wait(&w->retake, WEFT_RETAKE_ASKED, WEFT_FOREVER);
    }
    return retake;
}

/* Its task is on a processor again, or in a queue; not before, or the clock
 * might jump over it. Release: pairs with the acquire in is_still()
 * (virtual_clock.c). */
static void stray_no_longer(struct weft_runtime *rt) {
    atomic_fetch_sub_explicit(&rt->strays, 1, memory_order_release);
}

WEFT_TEXT void weft_worker_regain(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    if (await_answer(w) != WEFT_RETAKE_TAKEN) {
        return;
    }
    atomic_store_explicit(&w->retake, WEFT_RETAKE_NONE, memory_order_relaxed);
    struct weft_task *t = weft_worker_task(w);
    struct weft_processor *p =
        atomic_load_explicit(&rt->stopped, memory_order_relaxed)
            ? NULL
            : weft_idle_pop(rt, w->node);
    if (p != NULL) {
        weft_processor_take(w, p);
        stray_no_longer(rt);
        weft_slice_begin(p, t);
        return;
    }
    weft_bind(w, t);
    weft_task_become(t, WEFT_TASK_RUNNING, WEFT_TASK_RUNNABLE);
    weft_push_global(rt, t);
    stray_no_longer(rt);
    weft_wake(rt);
    weft_sleep_with_task(w, t);
}

/* Has the task of `w`, which is outside, said weft_preempt_disable()? The
 * monitor asks, after it has asked for the processor: if the thread's gate is
 * open, the task's was closed before that (weft_preempt_disable() closes both),
 * or will be once the monitor has answered. */
static bool undisturbed(struct weft_worker *w) {
    struct weft_task *t = weft_worker_task(w);
    return t != NULL && weft_gate_is_closed(&t->gate);
}

/* The monitor: takes `p` away from `w`, which sleeps in the kernel, unless it
 * comes back just now, or is not to be disturbed: it may sleep in a page fault,
 * with a lock in its hand that others spin for. */
WEFT_TEXT void weft_retake(struct weft_runtime *rt, struct weft_processor *p,
                           struct weft_worker *w) {
    bool taken = false;
    uint32_t none = WEFT_RETAKE_NONE;
    if (!atomic_compare_exchange_strong_explicit(
            &w->retake, &none, WEFT_RETAKE_ASKED, memory_order_relaxed,
            memory_order_relaxed)) {
        return; /* it has let go of it by itself */
    }
    weft_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0,
                 0);
    /* Acquire (inside): pairs with the release in weft_gate_open(); what the
     * worker did with the processor is seen here. */
    if (!weft_gate_is_closed(&w->thread.gate) &&
        weft_worker_processor(w) == p && !undisturbed(w)) {
        atomic_store_explicit(&w->processor, NULL, memory_order_relaxed);
        atomic_store_explicit(&w->status, WEFT_WORKER_STRAY,
                              memory_order_relaxed);
        atomic_fetch_add_explicit(&rt->strays, 1, memory_order_relaxed);
        weft_thread_take_asked(&w->thread);
        weft_alarms_rest(w); /* its call is to end in its own time */
        if (weft_worker_task(w) != NULL && w->in_call) {
            weft_worker_task(w)->sleeps = true;
        }
        taken = true;
    }
    /* Release: pairs with the acquire in await_answer(). */
    atomic_store_explicit(&w->retake,
                          taken ? WEFT_RETAKE_TAKEN : WEFT_RETAKE_NONE,
                          memory_order_release);
    weft_futex_wake(&w->retake, 1);
    if (taken) {
        atomic_fetch_add_explicit(&rt->retaken, 1, memory_order_relaxed);
        weft_processor_hand_off(rt, p);
    }
}

WEFT_TEXT void *weft_blocking(void *(*fn)(void *), void *arg) {
    struct weft_worker *w = weft_enter();
    if (w == NULL) {
        return fn(arg);
    }
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    uint32_t seen = WEFT_RETAKE_NONE;
    /* As if the monitor had taken it: whichever call enters the runtime next
     * asks for a processor first. If the monitor has just asked, it will find
     * the gate closed. */
    while (!atomic_compare_exchange_strong_explicit(
        &w->retake, &seen, WEFT_RETAKE_TAKEN, memory_order_relaxed,
        memory_order_relaxed)) {
        seen = await_answer(w);
        WEFT_CHECK_OP(seen, ==, (uint32_t)WEFT_RETAKE_NONE);
    }
    atomic_store_explicit(&w->processor, NULL, memory_order_relaxed);
    atomic_store_explicit(&w->status, WEFT_WORKER_BLOCKED,
                          memory_order_relaxed);
    atomic_fetch_add_explicit(&rt->strays, 1, memory_order_relaxed);
    weft_thread_take_asked(&w->thread);
    weft_alarms_rest(w);
    weft_processor_hand_off(rt, p);
    (void)weft_gate_open(&w->thread.gate);
    void *result = fn(arg);
    weft_leave(weft_enter());
    return result;
}

/* --- the handler's questions -------------------------------------------
 */

static bool may_preempt(void *runtime, struct weft_thread *thread) {
    struct weft_worker *w = (struct weft_worker *)thread;
    (void)runtime;
    return atomic_load_explicit(&w->retake, memory_order_relaxed) !=
               WEFT_RETAKE_NONE ||
           weft_keep_wanted(w);
}

static bool alarm(void *runtime, struct weft_interrupt *interrupt) {
    struct weft_worker *w = (struct weft_worker *)interrupt->thread;
    struct weft_task *t = weft_worker_task(w);
    (void)runtime;
    if (interrupt->cut_short && t != NULL) {
        t->sleeps = true;
    }
    /* Asked or taken, the processor is not this thread's to look after. */
    return atomic_load_explicit(&w->retake, memory_order_relaxed) ==
               WEFT_RETAKE_NONE &&
           weft_alarms_look(w);
}

static void preempt(void *runtime, struct weft_interrupt *interrupt) {
    struct weft_worker *w = (struct weft_worker *)interrupt->thread;
    (void)runtime;
    if (atomic_load_explicit(&w->retake, memory_order_relaxed) !=
        WEFT_RETAKE_NONE) {
        weft_worker_regain(w);
    } else if (!weft_worker_task(w)->migratable ||
               weft_worker_task(w)->pins != 0 || !weft_migrate(w, interrupt)) {
        weft_keep(w);
    }
}

int weft_keep_install(struct weft_runtime *rt) {
    struct weft_signals_config config = {
        .mode = rt->config.preempt,
        .may = may_preempt,
        .alarm = alarm,
        .preempt = preempt,
        .arg = rt,
    };
    rt->can_retake =
        weft_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
                     0, 0, 0, 0, 0) == 0;
    weft_alarms_start(rt);
    return weft_signals_install(&config);
}
