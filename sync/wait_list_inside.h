/* SPDX-License-Identifier: MIT */
/* The wait list's short functions, inlined where tasks wait and wake most: in
 * the channel and in wait_list.c, which tells what is always true and makes the
 * functions of wait_list.h of them. For sync's own .c files.
 *
 * One section without preemption does for the lock and for what follows it:
 *     task = enter; ...; unlock; grant_and_leave, or leave_and_wait */
#ifndef WEFT_SYNC_WAIT_LIST_INSIDE_H_
#define WEFT_SYNC_WAIT_LIST_INSIDE_H_

#include <stdatomic.h>
#include <stddef.h>

#include "weft/base/compiler.h"
#include "weft/sched/park.h"
#include "weft/sync/wait_list.h"

/* As weft_wait_list_enter(). Returns the calling task, NULL on a thread. */
static WEFT_ALWAYS_INLINE struct weft_task *weft_waiters_enter(
    struct weft_wait_list *list) {
    struct weft_task *task = weft_runtime_enter();
    weft_lock_acquire(&list->lock);
    return task;
}

/* wait_list.c: `w` has become the last of a long list. */
void weft_waiters_mark(struct weft_wait_list *list, struct weft_waiter *w);

/* Links `w`, of `task`, in between two neighbours, either of which may be NULL.
 * Context: the task or, for NULL, the thread; lock held. */
static WEFT_ALWAYS_INLINE void weft_waiters_link(struct weft_wait_list *list,
                                                 struct weft_waiter *w,
                                                 struct weft_task *task,
                                                 struct weft_waiter *prev,
                                                 struct weft_waiter *next) {
    w->task = task;
    w->prev = prev;
    w->next = next;
    w->queued = true;
    w->claim = NULL;
    atomic_store_explicit(&w->granted, 0, memory_order_relaxed);
    *(prev != NULL ? &prev->next : &list->head) = w;
    *(next != NULL ? &next->prev : &list->tail) = w;
    w->ahead = NULL;
    if (WEFT_UNLIKELY(++list->count > WEFT_WAIT_AHEAD) && next == NULL) {
        weft_waiters_mark(list, w);
    }
}

/* The same where the list is empty. */
static WEFT_ALWAYS_INLINE void weft_waiters_link_first(
    struct weft_wait_list *list, struct weft_waiter *w,
    struct weft_task *task) {
    w->task = task;
    w->prev = w->next = w->ahead = NULL;
    w->queued = true;
    w->claim = NULL;
    atomic_store_explicit(&w->granted, 0, memory_order_relaxed);
    list->head = list->tail = w;
    list->count = 1;
}

/* Takes `w` out. Context: lock held. */
static WEFT_ALWAYS_INLINE void weft_waiters_unlink(struct weft_wait_list *list,
                                                   struct weft_waiter *w) {
    *(w->prev != NULL ? &w->prev->next : &list->head) = w->next;
    *(w->next != NULL ? &w->next->prev : &list->tail) = w->prev;
    if (WEFT_UNLIKELY(list->mark == w)) {
        list->mark = w->next;
    }
    w->next = w->prev = NULL;
    w->queued = false;
    list->count--;
}

/* As weft_wait_list_choose(), but for a waiter that goes into no chain. */
static WEFT_ALWAYS_INLINE struct weft_waiter *weft_waiters_choose(
    struct weft_wait_list *list) {
    struct weft_waiter *w = list->head;
    if (w == NULL || WEFT_UNLIKELY(w->claim != NULL)) {
        return w == NULL ? NULL : weft_wait_list_choose(list);
    }
    struct weft_waiter *next = w->next;
    list->head = next;
    if (WEFT_UNLIKELY(list->mark == w)) {
        list->mark = next;
    }
    if (WEFT_LIKELY(next == NULL)) {
        list->tail = NULL;
    } else {
        next->prev = NULL;
    }
    w->queued = false;
    list->count--;
    return w;
}

/* The wait of `w` is over: the last store to it. The caller wakes the task, or
 * the thread, that it has read from it before. */
static WEFT_ALWAYS_INLINE void weft_waiter_set(struct weft_waiter *w,
                                               int result) {
    w->result = result;
    /* Release: pairs with the acquire in weft_waiter_is_granted(). */
    atomic_store_explicit(&w->granted, 1, memory_order_release);
}

static WEFT_ALWAYS_INLINE bool weft_waiter_is_granted(
    const struct weft_waiter *w) {
    /* Acquire: pairs with the release in weft_waiter_set(). */
    return atomic_load_explicit(&w->granted, memory_order_acquire) != 0;
}

/* As weft_waiter_grant_and_leave(). */
static WEFT_ALWAYS_INLINE void weft_waiters_grant_and_leave(
    struct weft_waiter *w, int result) {
    struct weft_task *task = w->task;
    if (WEFT_LIKELY(task != NULL)) {
        weft_waiter_set(w, result);
        weft_unpark_and_leave(task);
    } else {
        weft_waiter_grant_and_leave(w, result);
    }
}

/* The rest of a wait whose first sleep has ended with `error`: wait_list.c. */
int weft_wait_list_wait_on(struct weft_wait_list *list, struct weft_waiter *w,
                           uint64_t deadline, const char *why, int error);

/* As weft_wait_list_leave_and_wait(). `task` is w->task. */
static WEFT_ALWAYS_INLINE int weft_waiters_leave_and_wait(
    struct weft_wait_list *list, struct weft_waiter *w, struct weft_task *task,
    uint64_t deadline, const char *why) {
    int error = 0;
    weft_lock_release(&list->lock);
    if (WEFT_LIKELY(task != NULL)) {
        error = weft_park_and_leave(deadline, why);
    } else {
        weft_runtime_leave();
    }
    return WEFT_LIKELY(weft_waiter_is_granted(w))
               ? w->result
               : weft_wait_list_wait_on(list, w, deadline, why, error);
}

#endif
