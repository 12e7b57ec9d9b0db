/* SPDX-License-Identifier: MIT */
/* Waking tasks that wait: giving the token of park.h. switch.c tells what it is
 * and who may move it; where a task goes then is ready.c's. */
#include "weft/sched/core.h"
#include "weft/sched/quick.h"

/* Gives the token. True when the task was parked: now it is out of its place
 * and the caller's, to be made ready. */
static WEFT_ALWAYS_INLINE bool give_token(struct weft_task *t) {
    uint8_t token = atomic_load_explicit(&t->token, memory_order_relaxed);
    for (;;) {
        if (WEFT_LIKELY(token == WEFT_TOKEN_PARKED)) {
            /* Acquire: pairs with the release in park_commit(): the task is off
             * its stack. Release: pairs with the acquire of whoever takes a
             * later token. */
            if (atomic_compare_exchange_weak_explicit(
                    &t->token, &token, WEFT_TOKEN_NONE, memory_order_acq_rel,
                    memory_order_relaxed)) {
                weft_task_turn(t, WEFT_TASK_RUNNABLE); /* as the token said */
                weft_task_forgive(t);                  /* it has waited */
                return true;
            }
            /* Release: pairs with the acquires in park() and park_commit(). It
             * is written again even when it is GIVEN already, so that the one
             * who takes it sees what this caller did. */
        } else if (atomic_compare_exchange_weak_explicit(
                       &t->token, &token, WEFT_TOKEN_GIVEN,
                       memory_order_release, memory_order_relaxed)) {
            return false;
        }
    }
}

WEFT_TEXT bool weft_token_give(struct weft_task *t) {
    return give_token(t);
}

/* The unusual ends of weft_unpark_and_leave(), which so calls nothing and needs
 * no frame. */
static WEFT_NOINLINE WEFT_TEXT int ready_and_leave(struct weft_worker *w,
                                                   struct weft_task *t) {
    weft_ready(w->runtime, w, t);
    weft_leave(w);
    return 0;
}

static WEFT_NOINLINE WEFT_TEXT int leave_slowly(struct weft_worker *w) {
    weft_leave_slowly(w);
    return 0;
}

/* There was nothing to enter. */
static WEFT_NOINLINE WEFT_TEXT int unpark_from_outside(struct weft_task *t) {
    weft_unpark(t);
    return 0;
}

WEFT_TEXT int weft_unpark_and_leave(struct weft_task *t) {
    struct weft_worker *w = weft_worker_self();
    if (WEFT_UNLIKELY(w == NULL)) {
        return unpark_from_outside(t);
    }
    if (give_token(t) && WEFT_UNLIKELY(!weft_ready_quickly(w, t))) {
        return ready_and_leave(w, t);
    }
    return WEFT_UNLIKELY(weft_gate_open(&w->thread.gate)) ? leave_slowly(w) : 0;
}

WEFT_TEXT void weft_unpark(struct weft_task *t) {
    struct weft_worker *w = weft_enter();
    struct weft_runtime *rt = weft_runtime_of(w);
    /* Without a runtime it has ended, the task with it. */
    if (WEFT_LIKELY(rt != NULL) && give_token(t) &&
        (w == NULL || !weft_ready_quickly(w, t))) {
        weft_ready(rt, w, t);
    }
    weft_leave_borrowed(w);
}

/* As weft_unpark(), into the queue that all share, whoever the caller is: tasks
 * that are woken one after the other run in that order. Any thread in the
 * runtime. */
WEFT_TEXT void weft_unpark_behind_all(struct weft_runtime *rt,
                                      struct weft_task *t) {
    if (give_token(t)) {
        weft_ready(rt, NULL, t);
    }
}
