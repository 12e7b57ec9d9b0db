/* SPDX-License-Identifier: MIT */
/* Who waits for a grant, first come first served: what every structure of sync
 * is built on. Users of sync embed it and need not know more.
 *
 * Who waits is a task, which parks, or an OS thread that weft does not know,
 * which blocks.
 *
 * The functions are for sync itself; wait_list.c tells how they are used. All
 * zeroes is an empty list, so a structure that holds one needs no init. */
#ifndef WEFT_SYNC_WAIT_LIST_H_
#define WEFT_SYNC_WAIT_LIST_H_

#include <stdbool.h>
#include <stdint.h>

/* C++ only reserves the room: nothing but the C code here looks inside. */
#ifdef __cplusplus
#define WEFT_SYNC_ATOMIC(type) type
#define WEFT_SYNC_LOCK         uint32_t
extern "C" {
#else
#include "weft/base/lock.h"
#define WEFT_SYNC_ATOMIC(type) _Atomic type
#define WEFT_SYNC_LOCK         struct weft_lock
#endif

struct weft_task;

/* One that waits; lives on its stack. */
struct weft_waiter {
    /* The waiter's until it is pushed; then under the list's lock; then, once
     * chosen, the chooser's until it is granted. */
    struct weft_waiter *next, *prev;
    struct weft_task *task; /* NULL: a thread that weft does not know */
    /* A guess, to prefetch: one that was pushed WEFT_WAIT_AHEAD later, NULL, or
     * gone. As `next`. */
    struct weft_waiter *ahead;
    bool queued; /* in the list; under the list's lock */
    /* Of one that waits in several lists at once, else NULL: the word that they
     * share. It is 0 until a chooser sets it to its waiter's `number`. */
    WEFT_SYNC_ATOMIC(uint32_t) * claim;
    uint32_t number;
    int result; /* written by the chooser before `granted` */
    /* Any thread: 0, then 1 for ever. Once it is 1 the node may be gone. The
     * futex of a thread that waits. */
    WEFT_SYNC_ATOMIC(uint32_t) granted;
};

struct weft_wait_list {
    WEFT_SYNC_LOCK lock; /* of the list, and of what its structure says */
    uint32_t count;      /* waiters in it; under the lock */
    struct weft_waiter *head, *tail; /* under the lock; the head came first */
    struct weft_waiter *mark; /* under the lock: in the list or NULL, and next
                               * to learn who is ahead of it */
};

/* Waiters that were chosen and not yet granted: the chooser's own. */
struct weft_wait_chain {
    struct weft_waiter *head, *tail;
};

/* How far ahead waiters are sent for, in lists that are longer. */
#define WEFT_WAIT_AHEAD 16

/* How many waiters are chosen under one hold of the lock, or granted in one
 * section without preemption, before others get a turn. */
#define WEFT_WAIT_BATCH 64

/* Takes the list's lock with preemption off, and gives it back.
 * Context: any thread; leave may switch. */
void weft_wait_list_enter(struct weft_wait_list *list);
void weft_wait_list_leave(struct weft_wait_list *list);

/* Makes `w` a waiter for the calling task or thread and puts it at the end, or
 * at the front for one that has waited before. Context: any thread, lock held.
 */
void weft_wait_list_push(struct weft_wait_list *list, struct weft_waiter *w);
void weft_wait_list_push_front(struct weft_wait_list *list,
                               struct weft_waiter *w);

/* The same, at the end, for one of several waiters of the caller, of which one
 * will be granted: `claim` is theirs, 0, and `number` neither 0 nor
 * WEFT_CLAIM_GIVEN_UP. */
#define WEFT_CLAIM_GIVEN_UP UINT32_MAX
void weft_wait_list_push_one_of(struct weft_wait_list *list,
                                struct weft_waiter *w,
                                WEFT_SYNC_ATOMIC(uint32_t) * claim,
                                uint32_t number);

/* The waiter that came first, or NULL. Context: lock held. */
static inline struct weft_waiter *weft_wait_list_first(
    const struct weft_wait_list *list) {
    return list->head;
}

/* Takes the first waiter out, for the caller to grant once it has let go of the
 * lock: from here on the waiter waits for that, whatever its deadline says.
 * NULL when there is none. Context: lock held. */
struct weft_waiter *weft_wait_list_choose(struct weft_wait_list *list);

/* The same for `w`, which is in the list; false when it was chosen in another
 * list before (it is out of this one then, too). Context: lock held. */
bool weft_wait_list_choose_this(struct weft_wait_list *list,
                                struct weft_waiter *w);

/* Chooses up to `max` waiters, at most WEFT_WAIT_BATCH, and appends them to
 * `chain`; returns how many. Context: lock held. */
uint32_t weft_wait_list_choose_batch(struct weft_wait_list *list, uint32_t max,
                                     struct weft_wait_chain *chain);

/* Ends the wait of `w`, which was chosen, with `result`, and wakes who waits.
 * Touches nothing but `w`, and that for the last time. Context: any thread,
 * lock not held. */
void weft_waiter_grant(struct weft_waiter *w, int result);

/* The same, and leaves the section without preemption that the caller entered
 * before it chose. Context: any thread, after weft_runtime_enter(), lock not
 * held; may switch. */
void weft_waiter_grant_and_leave(struct weft_waiter *w, int result);

/* Grants all of `chain`, oldest first, and leaves the section without
 * preemption that the caller entered before it chose (a long chain opens it in
 * between). Context: any thread, after weft_runtime_enter(), lock not held; may
 * switch. */
void weft_wait_chain_grant_and_leave(struct weft_wait_chain *chain, int result);

/* Waits until `w`, which was pushed, is granted, and returns the result; or
 * withdraws it and returns -ETIMEDOUT, -ECANCELED or -ENOMEM as weft_park()
 * does. A grant that is on its way wins. `why` is a static string for dumps.
 * Context: who pushed, lock not held; may switch; blocks a thread that weft
 * does not know, which nobody can cancel. */
int weft_wait_list_wait(struct weft_wait_list *list, struct weft_waiter *w,
                        uint64_t deadline, const char *why);

/* weft_wait_list_leave() and then weft_wait_list_wait(), for less.
 * Context: who pushed, lock held; otherwise the same. */
int weft_wait_list_leave_and_wait(struct weft_wait_list *list,
                                  struct weft_waiter *w, uint64_t deadline,
                                  const char *why);

/* As weft_wait_list_wait(), but cancellation does not end it. */
int weft_wait_list_wait_uncancellable(struct weft_wait_list *list,
                                      struct weft_waiter *w, uint64_t deadline,
                                      const char *why);

/* For one with several waiters: waits until one of them is chosen and returns
 * 0, with its number in `*claim`; or gives all of them up and returns an error
 * as above. In both cases the caller withdraws the others, and awaits the grant
 * of the one. Context: who pushed, no lock held; may switch, or block. */
int weft_wait_any(WEFT_SYNC_ATOMIC(uint32_t) * claim, uint64_t deadline,
                  const char *why);

/* Takes `w` out of the list unless it has been chosen; returns whether it was
 * still in it. Context: who pushed, lock not held. */
bool weft_wait_list_withdraw(struct weft_wait_list *list,
                             struct weft_waiter *w);

/* Waits for the grant of `w`, which was chosen, and returns the result.
 * Context: who pushed, lock not held; may switch, or block. */
int weft_waiter_await(struct weft_waiter *w, const char *why);

/* Whether links, flags and the count agree. Context: lock held. */
bool weft_wait_list_valid(const struct weft_wait_list *list);

#ifdef __cplusplus
}
#endif

#endif
