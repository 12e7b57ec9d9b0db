/* SPDX-License-Identifier: MIT */
/* The list of waiting tasks that all of sync shares.
 *
 * Always true:
 *  - a waiter is on the stack of the task that waits, and is in one of three
 *    states: queued (in the list), chosen (out of it, granted false), granted;
 *  - queued -> chosen happens under the lock, by whoever will grant it soon;
 *    queued -> withdrawn happens under the lock, by the waiter itself;
 *  - a chosen waiter does not go away before it was granted, so the chooser may
 *    use it after it has let go of the lock;
 *  - a structure's memory is touched by the chooser before the grant only: what
 *    a waiter was waiting in may be freed as soon as its wait returns.
 *
 * The protocol:
 *
 *   waiter                                  waker
 *   enter: preemption off, lock             enter
 *     looks once more, push                   w = choose
 *   leave                                   unlock
 *   until granted (acquire): park           task = w->task
 *                                           result; granted = 1 (release)
 *                                           unpark(task)
 *
 * A park that ends with an error goes back under the lock: still queued, the
 * waiter takes itself out and the error counts; chosen, it waits for the grant,
 * which counts. So no grant is ever lost, and none is given to a task that has
 * gone. The unpark may come after the waiter saw `granted` and left: then the
 * task has a token too many, and its next park returns for no reason.
 *
 * Who waits in several lists has a waiter in each, and one word, `claim`, that
 * they share: 0, then the number of the waiter that was chosen, or that the
 * whole was given up. Whoever finds such a waiter at the head of a list takes
 * it out and sets the word; who finds the word set drops the waiter and goes on
 * to the next. So one is chosen at most, and none once the wait was given up.
 * The word is touched under the lock of a list that the waiter is in, or by its
 * owner, who leaves all lists before it goes.
 *
 * A thread that weft does not know sleeps on the futex `granted` instead. Its
 * wake-up too may come after the node has gone: the kernel looks for sleepers
 * at the address and touches no memory there, and whoever sleeps at that
 * address by then wakes for no reason, which futexes allow.
 *
 * From choosing to granting the chooser is not preempted, or a waiter past its
 * deadline would sit out the chooser's absence. Where very many are chosen at
 * once, that absence is the lesser evil, and preemption is let in at times.
 *
 * Each waiter is on a page of its own, and to go from one to the next in a long
 * list costs a miss of the TLB and one of the caches. So a waiter knows one
 * that is some places further on, which is sent for in time (jump pointers: Luk
 * and Mowry 1996). The list's `mark` goes along so many places behind the tail,
 * and learns of each new waiter; what was withdrawn since is sent for in vain.
 *
 * Rejected: granting under the lock (the lock would be in the structure that
 * the woken task frees); one global table of locks and lists by address
 * (primitives of one word, but strangers contend for a bucket). */
#include "weft/sync/wait_list.h"

#include <errno.h>
#include <stddef.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/futex.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"
#include "weft/sync/wait_list_inside.h"

/* So many of a chain are woken one by one. The checker has fewer tasks. */
#ifndef WEFT_WAIT_FEW
#define WEFT_WAIT_FEW 4
#endif

void weft_wait_list_enter(struct weft_wait_list *list) {
    (void)weft_waiters_enter(list);
}

void weft_wait_list_leave(struct weft_wait_list *list) {
    weft_lock_release(&list->lock);
    weft_runtime_leave();
}

void weft_waiters_mark(struct weft_wait_list *list, struct weft_waiter *w) {
    if (list->count == WEFT_WAIT_AHEAD + 1) {
        list->mark = list->head; /* wherever it was */
    }
    if (list->mark != NULL) {
        list->mark->ahead = w;
        list->mark = list->mark->next;
    }
}

void weft_wait_list_push(struct weft_wait_list *list, struct weft_waiter *w) {
    weft_waiters_link(list, w, weft_self(), list->tail, NULL);
}

void weft_wait_list_push_front(struct weft_wait_list *list,
                               struct weft_waiter *w) {
    weft_waiters_link(list, w, weft_self(), NULL, list->head);
}

void weft_wait_list_push_one_of(struct weft_wait_list *list,
                                struct weft_waiter *w, _Atomic uint32_t *claim,
                                uint32_t number) {
    weft_wait_list_push(list, w);
    w->claim = claim;
    w->number = number;
}

bool weft_wait_list_choose_this(struct weft_wait_list *list,
                                struct weft_waiter *w) {
    uint32_t open = 0;
    weft_waiters_unlink(list, w);
    /* Relaxed: it decides who grants; the grant has the order. */
    return WEFT_LIKELY(w->claim == NULL) ||
           atomic_compare_exchange_strong_explicit(w->claim, &open, w->number,
                                                   memory_order_relaxed,
                                                   memory_order_relaxed);
}

struct weft_waiter *weft_wait_list_choose(struct weft_wait_list *list) {
    struct weft_waiter *w = list->head;
    while (w != NULL && !weft_wait_list_choose_this(list, w)) {
        w = list->head;
    }
    return w;
}

uint32_t weft_wait_list_choose_batch(struct weft_wait_list *list, uint32_t max,
                                     struct weft_wait_chain *chain) {
    uint32_t chosen = 0;
    if (max > WEFT_WAIT_BATCH) {
        max = WEFT_WAIT_BATCH;
    }
    while (chosen < max) {
        struct weft_waiter *w = weft_wait_list_choose(list);
        if (w == NULL) {
            break;
        }
        __builtin_prefetch(w->ahead, 1);
        *(chain->tail != NULL ? &chain->tail->next : &chain->head) = w;
        chain->tail = w;
        chosen++;
    }
    return chosen;
}

/* Who is to be woken: a task, or NULL when a thread was. */
static WEFT_ALWAYS_INLINE struct weft_task *grant(struct weft_waiter *w,
                                                  int result) {
    /* Read first: `w` is on a stack that the store below gives up. */
    struct weft_task *task = w->task;
    _Atomic uint32_t *claim = w->claim;
    weft_waiter_set(w, result);
    if (WEFT_UNLIKELY(task == NULL)) {
        weft_futex_wake(&w->granted, 1);
        if (claim != NULL) {
            weft_futex_wake(claim, 1);
        }
    }
    return task;
}

void weft_waiter_grant(struct weft_waiter *w, int result) {
    struct weft_task *task = grant(w, result);
    if (WEFT_LIKELY(task != NULL)) {
        weft_unpark(task);
    }
}

void weft_waiter_grant_and_leave(struct weft_waiter *w, int result) {
    struct weft_task *task = grant(w, result);
    if (WEFT_LIKELY(task != NULL)) {
        weft_unpark_and_leave(task);
    } else {
        weft_runtime_leave();
    }
}

/* The same for many: they are woken in batches (crowd.c in sched), and while
 * one is looked at, one further on is on its way into the cache. */
static WEFT_NOINLINE void grant_many(struct weft_waiter *w, int result) {
    while (w != NULL) {
        struct weft_task *tasks[WEFT_WAIT_BATCH];
        int count = 0;
        for (int n = 0; w != NULL && n < WEFT_WAIT_BATCH; n++) {
            struct weft_waiter *next = w->next;
            __builtin_prefetch(w->ahead, 1);
            struct weft_task *task = grant(w, result);
            if (WEFT_LIKELY(task != NULL)) {
                __builtin_prefetch(task, 1);
                tasks[count++] = task;
            }
            w = next;
        }
        weft_unpark_many(tasks, count);
        if (w != NULL) {
            weft_runtime_pause();
        }
    }
}

void weft_wait_chain_grant_and_leave(struct weft_wait_chain *chain,
                                     int result) {
    struct weft_waiter *w = chain->head;
    for (int n = 0; w != NULL && n < WEFT_WAIT_FEW; n++) {
        struct weft_waiter *next = w->next;
        weft_waiter_grant(w, result);
        w = next;
    }
    if (WEFT_UNLIKELY(w != NULL)) {
        grant_many(w, result);
    }
    weft_runtime_leave();
}

/* One sleep of who waits: 0, for no reason perhaps, or why it shall wait no
 * longer. */
static int sleep(struct weft_waiter *w, uint64_t deadline, const char *why,
                 int (*park)(uint64_t, const char *)) {
    if (WEFT_LIKELY(w->task != NULL)) {
        return park(deadline, why);
    }
    int error = weft_futex_wait(&w->granted, 0, deadline);
    return error == -ETIMEDOUT ? error : 0;
}

int weft_waiter_await(struct weft_waiter *w, const char *why) {
    while (!weft_waiter_is_granted(w)) {
        (void)sleep(w, WEFT_FOREVER, why, weft_park_uncancellable);
    }
    return w->result;
}

bool weft_wait_list_withdraw(struct weft_wait_list *list,
                             struct weft_waiter *w) {
    weft_wait_list_enter(list);
    bool queued = w->queued;
    if (queued) {
        weft_waiters_unlink(list, w);
    }
    weft_wait_list_leave(list);
    return queued;
}

/* One sleep has ended with `error` (0: for no reason perhaps, or none was yet).
 * The rest of a wait; those that use it differ in how they park. */
static WEFT_ALWAYS_INLINE int wait(struct weft_wait_list *list,
                                   struct weft_waiter *w, uint64_t deadline,
                                   const char *why, int error,
                                   int (*park)(uint64_t, const char *)) {
    for (;; error = sleep(w, deadline, why, park)) {
        if (weft_waiter_is_granted(w)) {
            return w->result;
        }
        if (error != 0) {
            return weft_wait_list_withdraw(list, w) ? error
                                                    : weft_waiter_await(w, why);
        }
    }
}

int weft_wait_list_wait(struct weft_wait_list *list, struct weft_waiter *w,
                        uint64_t deadline, const char *why) {
    return wait(list, w, deadline, why, 0, weft_park);
}

int weft_wait_list_leave_and_wait(struct weft_wait_list *list,
                                  struct weft_waiter *w, uint64_t deadline,
                                  const char *why) {
    return weft_waiters_leave_and_wait(list, w, w->task, deadline, why);
}

int weft_wait_list_wait_on(struct weft_wait_list *list, struct weft_waiter *w,
                           uint64_t deadline, const char *why, int error) {
    return wait(list, w, deadline, why, error, weft_park);
}

int weft_wait_list_wait_uncancellable(struct weft_wait_list *list,
                                      struct weft_waiter *w, uint64_t deadline,
                                      const char *why) {
    return wait(list, w, deadline, why, 0, weft_park_uncancellable);
}

int weft_wait_any(_Atomic uint32_t *claim, uint64_t deadline, const char *why) {
    bool task = weft_self() != NULL;
    /* Relaxed, both: the grant, which is still to come, has the order. */
    while (atomic_load_explicit(claim, memory_order_relaxed) == 0) {
        uint32_t open = 0;
        int error = task ? weft_park(deadline, why)
                         : weft_futex_wait(claim, 0, deadline);
        if ((task ? error != 0 : error == -ETIMEDOUT) &&
            atomic_compare_exchange_strong_explicit(
                claim, &open, WEFT_CLAIM_GIVEN_UP, memory_order_relaxed,
                memory_order_relaxed)) {
            return error;
        }
    }
    return 0;
}

bool weft_wait_list_valid(const struct weft_wait_list *list) {
    uint32_t count = 0;
    const struct weft_waiter *prev = NULL;
    bool marked = list->mark == NULL;
    for (const struct weft_waiter *w = list->head; w != NULL; w = w->next) {
        if (w->prev != prev || !w->queued || count >= list->count) {
            return false;
        }
        prev = w;
        count++;
        marked |= w == list->mark;
    }
    return list->tail == prev && count == list->count && marked;
}
