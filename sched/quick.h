/* SPDX-License-Identifier: MIT */
/* From one task to the next, the usual way: the parts of pick.c and ready.c
 * that are inlined where tasks yield, wait and wake. Part of core.h's target.
 *
 * Nearly every pick is one of two: the slot, or the oldest of the local queue.
 * So weft_pick() (pick.c), which looks at everything, says until which pick
 * nothing else can be due (processor->look_at); what may become due at any time
 * is asked here: a task of high priority, a brood, the cap on threads. Whatever
 * is not usual goes to weft_pick(), which begins anew.
 *
 * Always true: what is picked here weft_pick() would have picked, too.
 *
 * Who calls owns the processor. Rejected: one word that says "nothing special",
 * set by whoever makes something special: each such place would have to write
 * to all processors, to save two loads of lines that every core shares. */
#ifndef WEFT_SCHED_QUICK_H_
#define WEFT_SCHED_QUICK_H_

#include "weft/sched/core.h"

enum {
    WEFT_SLOT_STREAK = 3, /* Tokio's worker has the same bound */
};

/* Empties the slot of `p`. */
static WEFT_ALWAYS_INLINE struct weft_task *weft_slot_take(
    struct weft_processor *p) {
    struct weft_task *t = atomic_load_explicit(&p->slot, memory_order_relaxed);
    if (t == NULL) {
        return NULL;
    }
    if (p->queue.alone) { /* no thief: no exchange, which waits for stores */
        atomic_store_explicit(&p->slot, NULL, memory_order_relaxed);
        return t;
    }
    /* Acquire: pairs with the release in weft_slot_put() (by another worker
     * that held this processor). A thief may have been quicker. */
    return atomic_exchange_explicit(&p->slot, NULL, memory_order_acquire);
}

/* Puts `t` into the slot, which is empty or has just been emptied. */
static WEFT_ALWAYS_INLINE void weft_slot_put(struct weft_processor *p,
                                             struct weft_task *t) {
    /* Release: pairs with the acquires in weft_slot_take(), in steal_slot()
     * (worker.c), and in weft_processor_hand_off(). */
    atomic_store_explicit(&p->slot, t, memory_order_release);
}

/* Among many tasks each switch would wait for the record and for the stack of
 * the next: they are asked for one and two switches ahead. A guess may be
 * wrong; records are never unmapped. */
static WEFT_ALWAYS_INLINE void weft_fetch_ahead(struct weft_processor *p) {
#if !WEFT_CONTEXT_TOLD
    const struct weft_task *next =
        weft_node_task(weft_local_guess(&p->queue, 0));
    __builtin_prefetch(weft_local_guess(&p->queue, 1), 1);
    if (next != NULL) {
        const char *sp = next->context.sp;
        __builtin_prefetch(sp, 1);
        __builtin_prefetch(sp + WEFT_CACHE_LINE, 1);
        __builtin_prefetch(sp + 2 * WEFT_CACHE_LINE, 1);
    }
#else
    (void)p;
#endif
}

/* As weft_pick(). */
static WEFT_ALWAYS_INLINE struct weft_task *weft_pick_quickly(
    struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    if (WEFT_UNLIKELY((int32_t)(p->look_at - p->picks) <= 1 ||
                      p->newest_first || weft_global_length(&rt->high) > 0 ||
                      weft_reserve_is_low(rt))) {
        return weft_pick(p);
    }
    struct weft_task *t = NULL;
    if (p->slot_streak < WEFT_SLOT_STREAK && (t = weft_slot_take(p)) != NULL) {
        p->slot_streak++;
    } else if ((t = weft_node_task(weft_local_pop(&p->queue))) != NULL) {
        p->slot_streak = 0;
        weft_fetch_ahead(p);
    } else {
        return weft_pick(p);
    }
    p->picks++;
    return t;
}

static WEFT_ALWAYS_INLINE bool weft_task_is_ordinary(
    const struct weft_task *t) {
    return WEFT_LIKELY(!t->hog && t->priority == WEFT_PRIORITY_NORMAL);
}

/* As weft_ready(). */
static WEFT_ALWAYS_INLINE void weft_ready_quickly(struct weft_runtime *rt,
                                                  struct weft_worker *w,
                                                  struct weft_task *t) {
    struct weft_processor *p = w == NULL ? NULL : weft_worker_processor(w);
    if (WEFT_LIKELY(p != NULL) && weft_task_is_ordinary(t) &&
        atomic_load_explicit(&p->slot, memory_order_relaxed) == NULL) {
        weft_slot_put(p, t);
    } else {
        weft_ready(rt, w, t);
    }
}

/* As weft_ready_behind(), for a task that has run. */
static WEFT_ALWAYS_INLINE void weft_ready_behind_quickly(struct weft_worker *w,
                                                         struct weft_task *t) {
    struct weft_processor *p = weft_worker_processor(w);
    if (WEFT_UNLIKELY(p == NULL) || !weft_task_is_ordinary(t) ||
        !weft_local_push_quickly(&p->queue, &t->node)) {
        weft_ready_behind(w, t);
    } else if (!p->queue.alone) {
        weft_wake(w->runtime);
    }
}

/* As weft_runtime_borrow(). */
static WEFT_ALWAYS_INLINE struct weft_runtime *weft_runtime_of(
    struct weft_worker *w) {
    return WEFT_LIKELY(w != NULL) ? w->runtime : weft_runtime_borrow(NULL);
}

#endif
