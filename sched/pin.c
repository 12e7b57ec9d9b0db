/* SPDX-License-Identifier: MIT */
/* Pinned tasks: weft_pin_thread(), for code that belongs to an OS thread.
 *
 * A pinned task that waits or yields does what an interrupted one does
 * (keep.c): its worker gives the processor away and sleeps where it is, on the
 * task's stack, with the task bound to it. So nobody else uses the thread
 * meanwhile: its thread-locals, its errno, the exceptions that C++ is handling,
 * its contexts of GL and its windows are as the task left them.
 *
 *     the task, on worker A                  who wakes it, on B
 *     1. the timer, the waiter's node: as    .
 *        for any task
 *     2. bound = A, no processor in hand     .
 *     3. token NONE -> PARKED                4. token PARKED -> NONE, runnable
 *     5. gives its processor away            6. a worker picks it: bound to A,
 *     7. sleeps on A's mailbox                  so it gives A its processor
 *     8. wakes, is running again             .
 *
 * Others switch before 3, so that nobody runs a task on a stack that is in use;
 * here nobody can but A, and the mailbox keeps what comes before 7. A token
 * that came before 3 makes the task runnable at 3, and it goes on in its turn.
 *
 * So that the others have threads to run on, at most half of those beside one
 * for each processor can be taken so, and then the reserve (reserve.c) is not
 * touched.
 *
 * At the cap, where no spare is to be had, a yield does nothing; a task that
 * waits leaves its processor to a task that has its own thread, else idle, with
 * its queue where the next spare finds it (weft_processor_hand_off()).
 *
 * Its CPUs are the task's to set: while it is pinned weft leaves the thread's
 * affinity alone (nodes.c, weft_processor_give_here()).
 *
 * Always true: task->pins > 0 exactly while the task has WEFT_KEEPS_THREAD and
 * is counted in runtime->pinned.
 *
 * Rejected: a thread of its own for each pinned task and nothing else, with its
 * own loop (a second scheduler); going on with other tasks on the thread while
 * it waits (that is what must not happen: they would see its thread-locals, and
 * the thread might be busy when its time comes). */
#include "weft/sched/pin.h"

#include <errno.h>

#include "weft/sched/core.h"
#include "weft/sched/nodes.h"
#include "weft/sched/reserve.h"

/* As switch_to() (switch.c) for a pinned task: `n`, which may be NULL, is what
 * its processor is to run. Returns `w`, always. */
WEFT_TEXT struct weft_worker *weft_stay(struct weft_worker *w,
                                        struct weft_task *n,
                                        enum weft_after after) {
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *t = weft_worker_task(w);
    struct weft_worker *to = n != NULL ? weft_host(p, &n) : NULL;
    if (to == NULL && after == WEFT_AFTER_YIELD) {
        weft_slice_begin(p, t);
        return w;
    }
    weft_bind(w, t);
    w->left = t;
    w->after = after;
    (void)weft_switch_finish(); /* into a queue, or parked */
    if (to != NULL) {
        weft_processor_give_here(p, to, n);
    } else {
        weft_processor_hand_off(rt, p);
    }
    weft_sleep_with_task(w, t);
    return w;
}

/* The thread is anybody's again, on its node's CPUs: the task may have set
 * others. */
static void forget(struct weft_worker *w, struct weft_task *t) {
    struct weft_runtime *rt = w->runtime;
    w->pinned = false;
    weft_nodes_settle(w, weft_worker_processor(w));
    t->pins = 0;
    t->keeps &= (uint8_t)~WEFT_KEEPS_THREAD;
    atomic_fetch_sub_explicit(&rt->pinned, 1, memory_order_relaxed);
}

/* `t`, which was pinned, has ended. */
WEFT_TEXT void weft_pin_ended(struct weft_worker *w, struct weft_task *t) {
    forget(w, t);
}

/* One of the places for pinned tasks; false when all are taken. */
static bool take_place(struct weft_runtime *rt) {
    uint32_t all = weft_reserve_cap(rt);
    uint32_t others = rt->config.workers + 1;
    uint32_t most = all > others ? (all - others) / 2 : 0;
    uint32_t now = atomic_load_explicit(&rt->pinned, memory_order_relaxed);
    while (now < most) {
        if (atomic_compare_exchange_weak_explicit(&rt->pinned, &now, now + 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

WEFT_TEXT int weft_pin_thread(void) {
    struct weft_worker *w = weft_enter();
    int result = 0;
    if (w == NULL) {
        return -EPERM;
    }
    struct weft_task *t = weft_worker_task(w);
    if (t->pins == UINT16_MAX || (t->pins == 0 && !take_place(w->runtime))) {
        result = -EAGAIN;
    } else {
        w->pinned = true;
        t->pins++;
        t->keeps |= WEFT_KEEPS_THREAD;
    }
    weft_leave(w);
    return result;
}

WEFT_TEXT void weft_unpin_thread(void) {
    struct weft_worker *w = weft_enter();
    if (w == NULL) {
        return;
    }
    struct weft_task *t = weft_worker_task(w);
    if (t->pins == 0) {
        weft_fatal(
            "weft_unpin_thread() without weft_pin_thread() in task \"%s\"; "
            "unpin once for each pin, in the task that pinned",
            weft_task_name(t));
    }
    if (t->pins > 1) {
        t->pins--;
    } else {
        forget(w, t);
    }
    weft_leave(w);
}
