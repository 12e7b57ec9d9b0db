/* SPDX-License-Identifier: MIT */
/* From one task to the next: yield, park, exit.
 *
 * A task that gives way picks its successor itself and switches to it directly,
 * from task stack to task stack; the worker's native stack is used only when
 * there is nothing to run or the next task is bound to another thread.
 *
 * Always true: a task is put where others can find it, and a stack where others
 * can take it, only when nothing runs on that stack any more. So the one that
 * leaves says what is to be done (worker->left, worker->after), and the one
 * that comes does it, first thing after the switch, in weft_switch_finish().
 *
 * After a switch the thread may be another one: nothing that belongs to a
 * worker is kept in a variable across it; weft_thread_self() is asked again.
 *
 * The token of a task, and who may move it:
 *
 *     NONE --- unpark ---> GIVEN          the task finds it when it parks
 *     NONE --- commit ---> PARKED         weft_switch_finish(), off its stack
 *     PARKED - unpark ---> NONE           and the unparker makes it runnable
 *     GIVEN -- the task -> NONE           it takes the token
 *
 *     task                                  waker
 *     1. looks at its condition             1. makes the condition true
 *     2. token NONE -> PARKED (CAS)         2. token PARKED -> NONE (CAS), or
 *        fails when GIVEN: runnable            NONE -> GIVEN (CAS)
 * Both are read-modify-writes of one word, so one of them comes first, and
 * either the task sees GIVEN or the waker sees PARKED.
 *
 * Rejected: switching to the native stack each time and choosing there (two
 * switches instead of one, 3 to 5 ns of 20); putting the task into a queue
 * before the switch under a lock that the next one opens (a lock for each
 * yield). */
/* Who switches here calls others, too, if only weft_pick() or weft_fatal() on
 * another path: to have a red zone a function must call nothing at all. */
#define WEFT_RED_ZONE 0

#include <errno.h>

#include "weft/sched/core.h"
#include "weft/sched/pin.h"
#include "weft/sched/quick.h"

enum { POLL_INTERVAL = 61 }; /* lone yields between looks at the poller */

static WEFT_ALWAYS_INLINE void park_commit(struct weft_worker *w,
                                           struct weft_task *t) {
    uint8_t none = WEFT_TOKEN_NONE;
    weft_task_turn(t, WEFT_TASK_WAITING); /* it has run until now */
    /* Release: what the task wrote is seen by who runs it next; pairs with the
     * acquire in give_token(). Acquire on failure: pairs with the release
     * there, when the token was given. */
    if (WEFT_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &t->token, &none, WEFT_TOKEN_PARKED, memory_order_release,
            memory_order_acquire))) {
        weft_task_become(t, WEFT_TASK_WAITING, WEFT_TASK_RUNNABLE);
        weft_ready_behind(w, t);
    }
}

/* For the one that left, what `after` says. */
static WEFT_ALWAYS_INLINE void do_after(struct weft_worker *w,
                                        enum weft_after after) {
    struct weft_task *t = w->left;
    if (after == WEFT_AFTER_YIELD) {
        weft_task_become(t, WEFT_TASK_RUNNING, WEFT_TASK_RUNNABLE);
        weft_ready_behind_quickly(w, t);
    } else if (after == WEFT_AFTER_PARK) {
        park_commit(w, t);
    } else if (after == WEFT_AFTER_EXIT) {
        weft_context_fini(&w->dying);
        weft_stack_put(w, &w->dead_stack, w->dead_pooled);
    }
}

static WEFT_NOINLINE WEFT_TEXT struct weft_worker *finish_otherwise(
    struct weft_worker *w, enum weft_after after) {
    do_after(w, after);
    return w;
}

/* First thing after a switch, on whatever thread that is. Most that go on after
 * a yield, or a wait, follow one that left the same way. */
static WEFT_ALWAYS_INLINE struct weft_worker *finish(enum weft_after likely) {
    struct weft_worker *w = weft_worker_self();
    enum weft_after after = w->after;
    w->after = WEFT_AFTER_NOTHING;
    if (WEFT_UNLIKELY(after != likely)) {
        return finish_otherwise(w, after);
    }
    do_after(w, likely);
    return w;
}

WEFT_TEXT struct weft_worker *weft_switch_finish(void) {
    return finish(WEFT_AFTER_EXIT);
}

/* Makes `n` what runs next on `w` and returns its context; the native one,
 * where `n` (which may be NULL) is what it is to run next, if it cannot be
 * switched to from here. */
static WEFT_ALWAYS_INLINE struct weft_context *aim_at(struct weft_worker *w,
                                                      struct weft_processor *p,
                                                      struct weft_task *n) {
    if (WEFT_UNLIKELY(n == NULL) || WEFT_UNLIKELY(weft_task_is_bound(n)) ||
        (WEFT_UNLIKELY(weft_task_is_fresh(n)) && !weft_task_equip(p, n))) {
        w->next = n;
        atomic_store_explicit(&w->task, NULL, memory_order_relaxed);
        return &w->native;
    }
    weft_task_become(n, WEFT_TASK_RUNNABLE, WEFT_TASK_RUNNING);
    atomic_store_explicit(&w->task, n, memory_order_relaxed);
    weft_slice_begin(p, n);
    return &n->context;
}

/* Does `t`, which runs on `w`, keep something just now? */
static WEFT_ALWAYS_INLINE bool keeps_something(const struct weft_worker *w,
                                               const struct weft_task *t) {
    return WEFT_UNLIKELY(t->keeps != 0) &&
           (t->keeps != WEFT_KEEPS_EXCEPTIONS ||
            weft_exceptions_any(w->own.exceptions));
}

/* As switch_to() for a task that keeps something. Exceptions stay on its stack
 * while it is away, and go to whatever thread it is on then. */
WEFT_NOINLINE WEFT_TEXT static struct weft_worker *switch_keeping(
    struct weft_worker *w, struct weft_task *n, enum weft_after after) {
    struct weft_task *t = weft_worker_task(w);
    struct weft_exceptions exceptions;
    if ((t->keeps & WEFT_KEEPS_THREAD) != 0) {
        return weft_stay(w, n, after);
    }
    weft_exceptions_take(w->own.exceptions, &exceptions);
    w->left = t;
    w->after = after;
    struct weft_context *to = aim_at(w, weft_worker_processor(w), n);
    if ((t->keeps & WEFT_KEEPS_FP) != 0) {
        weft_context_switch_fp(&t->context, to);
    } else {
        weft_context_switch(&t->context, to);
    }
    w = weft_switch_finish();
    weft_exceptions_put(w->own.exceptions, &exceptions);
    return w;
}

/* Leaves `t`, which runs on `w` and `p`, for `n`. */
static WEFT_ALWAYS_INLINE struct weft_worker *switch_to(
    struct weft_worker *w, struct weft_processor *p, struct weft_task *t,
    struct weft_task *n, enum weft_after after) {
    if (keeps_something(w, t)) {
        return switch_keeping(w, n, after);
    }
    w->left = t;
    w->after = after;
    weft_context_switch(&t->context, aim_at(w, p, n));
    return finish(after);
}

/* Alone, it looks at the poller at times. */
static WEFT_NOINLINE WEFT_TEXT struct weft_task *pick_alone(
    struct weft_worker *w) {
    struct weft_processor *p = weft_worker_processor(w);
    return p->picks % POLL_INTERVAL == 0 && weft_look_around(w) > 0
               ? weft_pick(p)
               : NULL;
}

/* `t` runs on `w`. Returns the worker that it is on afterwards. */
static WEFT_ALWAYS_INLINE struct weft_worker *yield_inside(
    struct weft_worker *w, struct weft_task *t) {
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *n = weft_pick_quickly(p);
    if (WEFT_UNLIKELY(n == NULL) && (n = pick_alone(w)) == NULL) {
        return w;
    }
    return switch_to(w, p, t, n, WEFT_AFTER_YIELD);
}

WEFT_TEXT struct weft_worker *weft_yield_inside(struct weft_worker *w) {
    return yield_inside(w, weft_worker_task(w));
}

/* Yields to `n` (NULL: to the native loop) from within the signal handler. The
 * kernel gives a handler floating-point control words of its own, which the
 * next task must not inherit: a switch that keeps them sets the usual ones. */
WEFT_TEXT struct weft_worker *weft_switch_from_handler(struct weft_worker *w,
                                                       struct weft_task *n) {
    struct weft_task *t = weft_worker_task(w);
    uint8_t keeps = t->keeps;
    t->keeps = WEFT_KEEPS_FP;
    w = switch_to(w, weft_worker_processor(w), t, n, WEFT_AFTER_YIELD);
    t->keeps = keeps;
    return w;
}

/* Has `t`, which runs here, closed its own gate? Few ever do: it is not on the
 * line that each switch touches. */
static WEFT_ALWAYS_INLINE bool gate_is_closed(const struct weft_task *t) {
    return WEFT_UNLIKELY(t->gated) && weft_gate_is_closed(&t->gate);
}

/* Part of the first frame: weft_migrate_allowed() wants one of the runtime's.
 */
static WEFT_ALWAYS_INLINE void run_body(struct weft_task *t,
                                        const struct weft_flow *flow) {
    if (WEFT_UNLIKELY(t->migratable)) {
        t->stack = flow->stack;
        weft_migrate_scrub();
    }
    if (t->plain) {
        t->fn_plain(t->value);
    } else {
        t->value = t->fn(t->value);
    }
    if (WEFT_UNLIKELY(t->carries)) {
        t->carried->end(t->carried);
        t->carries = false;
    }
}

/* `t` has ended: what it kept is not kept any more. Exceptions that it leaves
 * (by a longjmp() out of a `catch`) are lost, and the next one's not. Returns
 * what the switch has to keep. */
WEFT_NOINLINE WEFT_TEXT static uint8_t end_keeping(struct weft_worker *w,
                                                   struct weft_task *t) {
    struct weft_exceptions left;
    if ((t->keeps & WEFT_KEEPS_THREAD) != 0) {
        weft_pin_ended(w, t);
    }
    weft_exceptions_take(w->own.exceptions, &left);
    return t->keeps & WEFT_KEEPS_FP;
}

/* The last switch of a flow whose task has ended: to `n`, or to the native
 * loop. The worker keeps the stack until something else runs. */
__attribute__((noreturn)) static WEFT_NOINLINE WEFT_TEXT void exit_to(
    struct weft_worker *w, struct weft_task *n, struct weft_context *dying,
    const struct weft_stack *stack, bool pooled, uint8_t keeps) {
    w->dead_stack = *stack;
    w->dead_pooled = pooled;
    weft_context_inherit(&w->dying, dying);
    w->after = WEFT_AFTER_EXIT;
    struct weft_context *to = aim_at(w, weft_worker_processor(w), n);
    if (WEFT_UNLIKELY(keeps != 0)) {
        weft_context_exit_fp(&w->dying, to);
    }
    weft_context_exit(&w->dying, to);
}

/* `t`, which runs, has ended: it is dead from here on, its joiner wakes, and
 * its record may be used again. What is left is the stack, on which this still
 * runs; the worker keeps it. The joiner is awake before a successor is picked,
 * so it may be the one; were it the other way round, each task that ends would
 * start another, and a tree of tasks grow in breadth.
 *
 * Returns the next task if it has not begun yet: it goes on in this very frame,
 * as if the stack had been its own, so that tasks which are made in numbers and
 * do not wait cost no change of stacks. Any other is switched to, and this does
 * not return. */
static WEFT_ALWAYS_INLINE struct weft_task *succeed(struct weft_worker *w,
                                                    struct weft_task *t,
                                                    struct weft_flow *flow) {
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_context dying;
    bool pooled = t->pooled;
    uint8_t keeps = keeps_something(w, t) ? end_keeping(w, t) : 0;
    weft_context_inherit(&dying, &t->context);
    atomic_store_explicit(&w->task, NULL, memory_order_relaxed);
    weft_task_ended(w, p, t);
    struct weft_task *n = weft_pick_after_end(p);
    if (WEFT_UNLIKELY(n == NULL || !weft_task_is_fresh(n) || !n->pooled ||
                      !pooled || keeps != 0)) {
        exit_to(w, n, &dying, &flow->stack, pooled, keeps);
    }
    flow->task = n;
    weft_context_inherit(&n->context, &dying);
    weft_task_become(n, WEFT_TASK_RUNNABLE, WEFT_TASK_RUNNING);
    atomic_store_explicit(&w->task, n, memory_order_relaxed);
    weft_slice_begin(p, n);
    return n;
}

/* A preemption at a point that may switch: needs no thread of its own. */
static struct weft_worker *give_way(struct weft_worker *w) {
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *t = weft_worker_task(w);
    weft_count(&p->yielded);
    t->hog = weft_task_strike(p, t);
    return weft_yield_inside(w);
}

/* Opens the gate at a point that may switch: what fell due becomes a yield. */
static void leave_switching(struct weft_worker *w) {
    if (WEFT_LIKELY(!weft_gate_open(&w->thread.gate))) {
        return;
    }
    w = weft_enter(); /* the processor may have been taken meanwhile */
    weft_thread_take_asked(&w->thread);
    if (weft_keep_wanted(w)) {
        w = give_way(w);
    }
    weft_leave(w);
}

/* The first frame of each stack: entered by a switch, gate closed. In the
 * runtime's text, where weft_migrate_allowed() wants the chain to end. */
WEFT_TEXT void weft_task_begin(void *flow) {
    struct weft_flow *f = flow;
    struct weft_task *t = f->task;
    struct weft_worker *w = weft_switch_finish();
    for (;;) {
        if (WEFT_UNLIKELY(t->migratable)) {
            weft_share_first(weft_worker_processor(w));
            leave_switching(w); /* what fell due needs no thread here either */
        } else {
            weft_leave(w);
        }
        run_body(t, f);
        w = weft_enter();
        if (WEFT_UNLIKELY(w == NULL)) {
            weft_fatal(
                "task \"%s\" ended in the child of a fork(), where no "
                "other task runs; call exec or _exit() there",
                weft_task_name(t));
        }
        WEFT_CHECK_OP(weft_worker_task(w), ==, t);
        if (gate_is_closed(t)) {
            weft_fatal(
                "task \"%s\" (id %llu) ended between weft_preempt_disable() "
                "and weft_preempt_enable(); enable on each way out",
                weft_task_name(t), (unsigned long long)weft_task_id(t));
        }
        t = succeed(w, t, f);
    }
}

WEFT_TEXT void weft_yield(void) {
    struct weft_worker *w = weft_enter();
    if (w == NULL) {
        return;
    }
    struct weft_task *t = weft_worker_task(w);
    weft_task_forgive(t); /* it gives way by itself */
    weft_leave(yield_inside(w, t));
}

/* Somebody is asked: is it the caller? */
WEFT_TEXT void weft_check_slowly(void) {
    struct weft_worker *w = weft_worker_self();
    if (!weft_asked_outside(w)) {
        return;
    }
    w = weft_enter();
    weft_gate_defer(&w->thread.gate);
    leave_switching(w);
}

/* Through the runtime: were the processor taken without the task's knowledge,
 * it would have to ask for one with preemption off, perhaps with a lock in hand
 * that all those spin for who have one. From here on it is not taken
 * (weft_retake()). */
WEFT_TEXT void weft_preempt_disable(void) {
    struct weft_worker *w = weft_enter();
    if (w != NULL) {
        weft_worker_task(w)->gated = true;
        weft_gate_close(&weft_worker_task(w)->gate);
        weft_leave(w);
    }
}

WEFT_TEXT void weft_preempt_enable(void) {
    struct weft_task *t = weft_self();
    if (t == NULL) {
        return;
    }
    if (!weft_gate_is_closed(&t->gate)) {
        weft_fatal(
            "weft_preempt_enable() without weft_preempt_disable() in "
            "task \"%s\"; enable once for each disable",
            weft_task_name(t));
    }
    if (weft_gate_open(&t->gate)) {
        struct weft_worker *w = weft_enter();
        if (weft_keep_wanted(w)) {
            w = give_way(w);
        }
        weft_leave(w);
    }
}

/* What is peculiar about a wait. */
enum {
    CANCELLABLE = 1,
    FOR_AN_END = 2, /* another task's, which may not have begun */
};

/* `w` is the calling worker, inside, or NULL; leaves. */
static WEFT_ALWAYS_INLINE int park(struct weft_worker *w, uint64_t deadline,
                                   const char *why, unsigned how) {
    int result = 0;
    struct weft_task *t = w == NULL ? NULL : weft_worker_task(w);
    if (WEFT_UNLIKELY(t == NULL)) {
        weft_fatal(
            "a call that waits (%s) was made outside a task; start one, by "
            "weft_run() or weft_go()",
            why);
    }
    /* Relaxed: weft_cancel() sets it and then gives a token, which is taken
     * with acquire; so a park that misses it here ends at once. */
    if ((how & CANCELLABLE) != 0 &&
        atomic_load_explicit(&t->cancelled, memory_order_relaxed) != 0) {
        result = -ECANCELED;
    } else if (atomic_load_explicit(&t->token, memory_order_relaxed) ==
               WEFT_TOKEN_NONE) {
        if (deadline != WEFT_FOREVER) {
            result = weft_timer_arm(w, t, deadline);
        }
        if (result == 0) {
            if (WEFT_UNLIKELY(gate_is_closed(t))) {
                weft_fatal(
                    "task \"%s\" waits (%s) after weft_preempt_disable(); "
                    "enable before what may wait, or lock a weft_mutex",
                    weft_task_name(t), why);
            }
            struct weft_processor *p = weft_worker_processor(w);
            if ((how & FOR_AN_END) != 0) {
                p->newest_first = true;
            }
            atomic_store_explicit(&t->why, why, memory_order_relaxed);
            w = switch_to(w, p, t, weft_pick_quickly(p), WEFT_AFTER_PARK);
            if (deadline != WEFT_FOREVER && !weft_timer_disarm(t)) {
                result = -ETIMEDOUT;
            }
            if ((how & CANCELLABLE) != 0 &&
                atomic_load_explicit(&t->cancelled, memory_order_relaxed) !=
                    0) {
                result = -ECANCELED;
            }
        }
    }
    /* Acquire: pairs with the release in give_token(): what the waker did
     * before is seen by the condition that the caller looks at next. */
    if (atomic_load_explicit(&t->token, memory_order_relaxed) ==
        WEFT_TOKEN_GIVEN) {
        atomic_exchange_explicit(&t->token, WEFT_TOKEN_NONE,
                                 memory_order_acquire);
    }
    leave_switching(w);
    return result;
}

/* The rare kinds. */
static WEFT_NOINLINE WEFT_TEXT int park_somehow(uint64_t deadline,
                                                const char *why, unsigned how) {
    return park(weft_worker_self(), deadline, why, how);
}

/* The usual wait, for a grant and without a deadline: who is granted it does
 * not ask for more, and who is not comes again. A token that was given
 * meanwhile is the next wait's. */
WEFT_TEXT int weft_park_and_leave(uint64_t deadline, const char *why) {
    struct weft_worker *w = weft_worker_self();
    struct weft_task *t = weft_worker_task(w);
    if (WEFT_UNLIKELY(
            deadline != WEFT_FOREVER ||
            atomic_load_explicit(&t->cancelled, memory_order_relaxed) != 0 ||
            atomic_load_explicit(&t->token, memory_order_relaxed) !=
                WEFT_TOKEN_NONE ||
            weft_gate_is_closed(&t->gate))) {
        return park_somehow(deadline, why, CANCELLABLE);
    }
    struct weft_processor *p = weft_worker_processor(w);
    atomic_store_explicit(&t->why, why, memory_order_relaxed);
    w = switch_to(w, p, t, weft_pick_quickly(p), WEFT_AFTER_PARK);
    atomic_store_explicit(&t->why, NULL, memory_order_relaxed);
    leave_switching(w);
    return 0;
}

WEFT_TEXT int weft_park(uint64_t deadline, const char *why) {
    return park(weft_enter(), deadline, why, CANCELLABLE);
}

WEFT_TEXT int weft_park_for_end(uint64_t deadline) {
    (void)weft_enter();
    return park_somehow(deadline, "join", CANCELLABLE | FOR_AN_END);
}

WEFT_TEXT int weft_park_uncancellable(uint64_t deadline, const char *why) {
    (void)weft_enter();
    return park_somehow(deadline, why, 0);
}
