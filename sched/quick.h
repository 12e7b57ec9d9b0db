/* SPDX-License-Identifier: MIT */
/* From one task to the next, the usual way: the parts of pick.c, ready.c and
 * birth.c that are inlined where tasks are made, yield, wait, wake and end.
 * Part of core.h's target.
 *
 * Nearly every pick is one of two: the slot, or the oldest of the local queue.
 * So weft_pick() (pick.c), which looks at everything, says until which pick
 * nothing else can be due (processor->look_at); what may become due at any time
 * is asked here: a task of high priority, a brood, the cap on threads. Whatever
 * is not usual goes to weft_pick(), which begins anew.
 *
 * Always true: what is picked here weft_pick() would have picked, too, but for
 * tasks that begin where one has ended (weft_take_fresh()).
 *
 * Who calls owns the processor. Rejected: one word that says "nothing special",
 * set by whoever makes something special: each such place would have to write
 * to all processors, to save two loads of lines that every core shares. */
#ifndef WEFT_SCHED_QUICK_H_
#define WEFT_SCHED_QUICK_H_

#include "weft/sched/core.h"
#include "weft/sched/reserve.h"

enum {
    WEFT_SLOT_STREAK = 3, /* Tokio's worker has the same bound */
    WEFT_PASS = 16,       /* tasks in a row that begin before the slot's */
    /* In the brood's time: */
    WEFT_LOCAL_INTERVAL = 4, /* one pick in so many is the local queue's */
    WEFT_OLDEST_CHECK = 64,  /* one off: the brood is first then */
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

/* The next of the two queues of `p`, if that is the usual one of them. */
static WEFT_ALWAYS_INLINE struct weft_node *weft_take_quickly(
    struct weft_processor *p, uint32_t pick) {
    struct weft_node *node;
    if (!p->newest_first) {
        node = weft_local_pop(&p->queue);
        weft_fetch_ahead(p);
        return node;
    }
    if (pick % WEFT_OLDEST_CHECK == 1 || (pick % WEFT_LOCAL_INTERVAL == 0 &&
                                          weft_local_length(&p->queue) != 0)) {
        return NULL;
    }
    return p->queue.alone ? weft_brood_pop_newest_alone(&p->brood)
                          : weft_brood_pop_newest(&p->brood);
}

/* The oldest of the local queue, if it has not begun and the slot's task, most
 * likely the joiner of the one that has ended, may let it pass: see pick.c. */
static WEFT_ALWAYS_INLINE struct weft_task *weft_take_fresh(
    struct weft_processor *p) {
    const struct weft_task *next;
    /* A thief might have taken the next one, and be writing to it. */
    if (!p->queue.alone || p->passed >= WEFT_PASS ||
        weft_local_length(&p->queue) == 0 ||
        (p->newest_first && weft_brood_length(&p->brood) != 0) ||
        (next = weft_node_task(weft_local_guess(&p->queue, 0))) == NULL ||
        !weft_task_is_fresh(next)) {
        return NULL;
    }
    struct weft_task *t = weft_node_task(weft_local_pop(&p->queue));
    __builtin_prefetch(weft_local_guess(&p->queue, 1), 1);
    return t;
}

/* As weft_pick(), for one that has ended: in a brood's time, too. */
static WEFT_ALWAYS_INLINE struct weft_task *weft_pick_after_end(
    struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    uint32_t picks = p->picks + 1;
    struct weft_task *t = NULL;
    if (WEFT_UNLIKELY((int32_t)(p->look_at - picks) <= 0 ||
                      weft_global_length(&rt->high) > 0 ||
                      weft_reserve_is_low(rt))) {
        return weft_pick(p);
    }
    bool full = atomic_load_explicit(&p->slot, memory_order_relaxed) != NULL;
    if (full && (t = weft_take_fresh(p)) != NULL) {
        p->passed++;
        p->picks = picks;
        return t;
    }
    p->passed = 0;
    if (p->slot_streak < WEFT_SLOT_STREAK && (t = weft_slot_take(p)) != NULL) {
        p->slot_streak++;
    } else if (!full &&
               (t = weft_node_task(weft_take_quickly(p, picks))) != NULL) {
        p->slot_streak = 0;
    } else {
        return weft_pick(p);
    }
    p->picks = picks;
    return t;
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
    } else if (weft_global_length(&rt->global) == 0 &&
               (t = weft_slot_take(p)) != NULL) {
        p->slot_streak = 0; /* nobody else was there */
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

/* As weft_ready(), for a task that has waited; false: it was not done. */
static WEFT_ALWAYS_INLINE bool weft_ready_quickly(struct weft_worker *w,
                                                  struct weft_task *t) {
    struct weft_processor *p = weft_worker_processor(w);
    if (WEFT_UNLIKELY(p == NULL || t->priority != WEFT_PRIORITY_NORMAL) ||
        atomic_load_explicit(&p->slot, memory_order_relaxed) != NULL) {
        return false;
    }
    weft_slot_put(p, t);
    return true;
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

/* ready.c: into the queue of `p` itself. Owner. */
void weft_push_local(struct weft_processor *p, struct weft_task *t);

/* Has it not begun yet, and will somebody wait for its end? */
static WEFT_ALWAYS_INLINE bool weft_task_is_child(const struct weft_task *t) {
    return weft_task_is_fresh(t) &&
           atomic_load_explicit(&t->joiner, memory_order_relaxed) !=
               WEFT_JOIN_DETACHED;
}

/* As weft_ready(), for a task of normal priority that has just been made. */
static WEFT_ALWAYS_INLINE void weft_ready_new(struct weft_processor *p,
                                              struct weft_task *t) {
    struct weft_task *old = weft_slot_take(p);
    weft_slot_put(p, t);
    if (WEFT_UNLIKELY(old == NULL)) {
        return;
    }
    if (WEFT_UNLIKELY(
            !(p->newest_first && weft_task_is_child(old)
                  ? weft_brood_push(&p->brood, &old->node)
                  : weft_local_push_quickly(&p->queue, &old->node)))) {
        weft_push_local(p, old);
    } else if (!p->queue.alone) {
        weft_wake(p->runtime);
    }
}

/* As weft_record_take(), or NULL: it would have to ask. Owner. */
static WEFT_ALWAYS_INLINE struct weft_task *weft_record_take_quickly(
    struct weft_processor *p) {
    return weft_node_task(weft_batch_pop(&p->free_tasks));
}

/* Stops the program: the record of a task that was given back is no task's. */
_Noreturn void weft_handle_is_gone(void);

/* The other way: `t` has ended, and nobody has anything to do with it. `p` is
 * the caller's processor, or NULL. */
static WEFT_ALWAYS_INLINE void weft_task_free(struct weft_runtime *rt,
                                              struct weft_processor *p,
                                              struct weft_task *t) {
    if (WEFT_UNLIKELY(atomic_load_explicit(&t->state, memory_order_relaxed) !=
                      WEFT_TASK_DEAD)) {
        weft_handle_is_gone();
    }
    atomic_store_explicit(&t->state, WEFT_TASK_IDLE, memory_order_relaxed);
    atomic_store_explicit(&t->id, 0, memory_order_relaxed);
    if (WEFT_LIKELY(p != NULL && t->pooled &&
                    p->free_tasks.count < WEFT_TASK_CACHE)) {
        weft_batch_push_front(&p->free_tasks, &t->node);
    } else {
        weft_record_give(rt, p, t);
    }
}

/* A task has ended, or will never be. Release: pairs with the acquires in
 * weft_tasks_all_ended(). */
static WEFT_ALWAYS_INLINE void weft_count_end(struct weft_runtime *rt,
                                              struct weft_processor *p) {
    if (WEFT_UNLIKELY(p == NULL)) {
        atomic_fetch_add_explicit(&rt->foreign_ended, 1, memory_order_release);
        return;
    }
    uint64_t ended = atomic_load_explicit(&p->ended, memory_order_relaxed);
    atomic_store_explicit(&p->ended, ended + 1, memory_order_release);
}

/* `t`, which ran on `w`, has ended; the caller keeps its stack. From the
 * exchange on the record is somebody else's. */
static WEFT_ALWAYS_INLINE void weft_task_ended(struct weft_worker *w,
                                               struct weft_processor *p,
                                               struct weft_task *t) {
    weft_task_become(t, WEFT_TASK_RUNNING, WEFT_TASK_DEAD);
    /* Release: the result is seen by who joins; pairs with the acquires in
     * weft_join_until() and weft_detach(). Acquire: pairs with the releases
     * there: who joins or detached has done with the record what it did before
     * it is woken, or the record used again. */
    uintptr_t joiner = atomic_exchange_explicit(&t->joiner, WEFT_JOIN_DONE,
                                                memory_order_acq_rel);
    if (joiner == WEFT_JOIN_DETACHED) {
        weft_task_free(w->runtime, p, t);
    } else if (joiner != WEFT_JOIN_NOBODY) {
        weft_unpark((struct weft_task *)joiner);
    }
    weft_count_end(w->runtime, p);
}

/* As weft_runtime_borrow(). */
static WEFT_ALWAYS_INLINE struct weft_runtime *weft_runtime_of(
    struct weft_worker *w) {
    return WEFT_LIKELY(w != NULL) ? w->runtime : weft_runtime_borrow(NULL);
}

#endif
