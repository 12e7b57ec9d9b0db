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
    w->result = 0;
    w->claim = NULL;
    atomic_store_explicit(&w->granted, 0, memory_order_relaxed);
    *(prev != NULL ? &prev->next : &list->head) = w;
    *(next != NULL ? &next->prev : &list->tail) = w;
    list->count++;
}

/* Takes `w` out. Context: lock held. */
static WEFT_ALWAYS_INLINE void weft_waiters_unlink(struct weft_wait_list *list,
                                                   struct weft_waiter *w) {
    *(w->prev != NULL ? &w->prev->next : &list->head) = w->next;
    *(w->next != NULL ? &w->next->prev : &list->tail) = w->prev;
    w->next = w->prev = NULL;
    w->queued = false;
    list->count--;
}

/* As weft_wait_list_choose(). */
static WEFT_ALWAYS_INLINE struct weft_waiter *weft_waiters_choose(
    struct weft_wait_list *list) {
    struct weft_waiter *w = list->head;
    if (WEFT_LIKELY(w == NULL || w->claim == NULL)) {
        if (w != NULL) {
            weft_waiters_unlink(list, w);
        }
        return w;
    }
    return weft_wait_list_choose(list);
}

#endif
