/* SPDX-License-Identifier: MIT */
/* A ring and a wait list under one lock.
 *
 * Always true, when the lock is free:
 *  - receivers wait only while the ring is empty, senders only while it is
 *    full: one list is enough, `who` says who is in it. Both are in it only
 *    when a select of this unbuffered channel waits to send or to receive,
 *    and then a chooser looks for the first of the kind that it wants;
 *  - nobody waits in a closed channel;
 *  - so a value never overtakes another, and nobody who comes later is served
 *    before one who waits.
 *
 * A send, in order: closed? else a receiver that waits gets the value straight
 * into its memory; else room in the ring; else wait with a pointer to the
 * value. A receive: the oldest in the ring, whose room the first waiting
 * sender's value takes at once; else (capacity 0) a waiting sender's value;
 * else closed; else wait with a pointer to where the value goes. Who serves a
 * waiter copies for it, under the lock: the waiter's memory stays until it is
 * granted or withdraws (wait_list.c), which takes the lock too.
 *
 * The channel is touched last when the lock is let go, before any grant.
 *
 * Most sends and receipts are one of two, a send to who waits and a wait for a
 * send; those have functions of their own that do the same with a fraction of
 * the instructions ("the usual ways").
 *
 * Who may call: any thread. Values are copied with preemption off. malloc is
 * called outside of all that.
 *
 * Rejected: a lock-free ring (direct hand-off, closing and order among waiters
 * need the list's lock anyway; the uncontended lock is two atomic operations);
 * waking a receiver to find the value itself (it may be overtaken, and goes
 * round again). After Go's chan.go, which hands over directly too. */
#include "weft/sync/channel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/preempt/returns.h"
#include "weft/sched/park.h"
#include "weft/sched/park_inside.h"
#include "weft/sync/channel_inside.h"
#include "weft/sync/wait_list.h"
#include "weft/sync/wait_list_inside.h"

/* Relaxed in both: written under the lock, a snapshot without it. */
static size_t count_of(const struct weft_channel *ch) {
    return atomic_load_explicit(&ch->count, memory_order_relaxed);
}

static void set_count(struct weft_channel *ch, size_t count) {
    atomic_store_explicit(&ch->count, count, memory_order_relaxed);
}

static bool is_closed(const struct weft_channel *ch) {
    return atomic_load_explicit(&ch->closed, memory_order_relaxed);
}

/* Pointers and the like without a call. A value of size 0 may be NULL, which
 * memcpy() must not see. */
static void copy(const struct weft_channel *ch, void *to, const void *from) {
    if (WEFT_LIKELY(ch->size == sizeof(void *))) {
        memcpy(to, from, sizeof(void *));
    } else if (ch->size > 0) {
        memcpy(to, from, ch->size);
    }
}

/* Behind the last value; there is room. */
static void put(struct weft_channel *ch, const void *value) {
    size_t tail = ch->head + count_of(ch);
    if (tail >= ch->capacity) {
        tail -= ch->capacity;
    }
    copy(ch, &ch->ring[tail * ch->size], value);
    set_count(ch, count_of(ch) + 1);
}

/* The oldest value; there is one. */
static void get(struct weft_channel *ch, void *value) {
    copy(ch, value, &ch->ring[ch->head * ch->size]);
    if (++ch->head == ch->capacity) {
        ch->head = 0;
    }
    set_count(ch, count_of(ch) - 1);
}

static struct weft_channel_party *party_of(struct weft_waiter *w) {
    return w == NULL ? NULL
                     : weft_container_of(w, struct weft_channel_party, waiter);
}

/* The same where both may be in the list. */
static WEFT_NOINLINE struct weft_channel_party *choose_among(
    struct weft_channel *ch, bool sender) {
    struct weft_channel_party *party =
        party_of(weft_wait_list_first(&ch->waiters));
    while (party != NULL) {
        struct weft_channel_party *next = party_of(party->waiter.next);
        if (party->sender == sender &&
            weft_wait_list_choose_this(&ch->waiters, &party->waiter)) {
            return party;
        }
        party = next;
    }
    return NULL;
}

/* Takes the first sender (or receiver) out of the list, NULL when none waits.
 */
static WEFT_ALWAYS_INLINE struct weft_channel_party *choose(
    struct weft_channel *ch, bool sender) {
    if (WEFT_UNLIKELY(ch->who == WEFT_CHANNEL_BOTH)) {
        return choose_among(ch, sender);
    }
    if ((ch->who == WEFT_CHANNEL_SENDERS) != sender) {
        return NULL;
    }
    return party_of(weft_waiters_choose(&ch->waiters));
}

static WEFT_ALWAYS_INLINE void join(struct weft_channel *ch, bool sender) {
    enum weft_channel_who mine =
        sender ? WEFT_CHANNEL_SENDERS : WEFT_CHANNEL_RECEIVERS;
    bool alone = weft_wait_list_first(&ch->waiters) == NULL;
    ch->who = alone || ch->who == mine ? mine : WEFT_CHANNEL_BOTH;
}

void weft_channel_join(struct weft_channel *ch, struct weft_channel_party *me) {
    join(ch, me->sender);
}

/* Lets go of the lock, and grants `served` unless it is NULL. */
static int leave(struct weft_channel *ch, struct weft_channel_party *served,
                 int result) {
    weft_lock_release(&ch->waiters.lock);
    if (served != NULL) {
        weft_waiters_grant_and_leave(&served->waiter, 0);
    } else {
        weft_runtime_leave();
    }
    return result;
}

/* What can be done of a send without waiting, or -EAGAIN. The lock is held;
 * `*served` is to be granted once it is not. */
static WEFT_ALWAYS_INLINE int send_now(struct weft_channel *ch,
                                       const void *value,
                                       struct weft_channel_party **served) {
    if (is_closed(ch)) {
        return -EPIPE;
    }
    *served = choose(ch, false);
    if (*served != NULL) {
        copy(ch, (*served)->to, value);
        return 0;
    }
    if (count_of(ch) < ch->capacity) {
        put(ch, value);
        return 0;
    }
    return -EAGAIN;
}

/* The same of a receive. */
static WEFT_ALWAYS_INLINE int recv_now(struct weft_channel *ch, void *value,
                                       struct weft_channel_party **served) {
    *served = choose(ch, true);
    if (count_of(ch) > 0) {
        get(ch, value);
        if (*served != NULL) {
            put(ch, (*served)->from);
        }
        return 0;
    }
    if (*served != NULL) {
        copy(ch, value, (*served)->from);
        return 0;
    }
    return is_closed(ch) ? -EPIPE : -EAGAIN;
}

int weft_channel_serve(struct weft_channel *ch, struct weft_channel_party *me,
                       struct weft_channel_party **served) {
    return me->sender ? send_now(ch, me->from, served)
                      : recv_now(ch, me->to, served);
}

/* The lock is held and nothing can be done now. */
static WEFT_NOINLINE WEFT_RETURNS_ELSEWHERE int wait_to_send(
    struct weft_channel *ch, const void *value, struct weft_task *task,
    uint64_t deadline) {
    struct weft_channel_party me;
    me.from = value;
    me.sender = true;
    join(ch, true);
    weft_waiters_link(&ch->waiters, &me.waiter, task, ch->waiters.tail, NULL);
    if (task != NULL) {
        weft_returns_note();
    }
    return weft_waiters_leave_and_wait(&ch->waiters, &me.waiter, task, deadline,
                                       "channel send");
}

static WEFT_NOINLINE WEFT_RETURNS_ELSEWHERE int wait_to_recv(
    struct weft_channel *ch, void *value, struct weft_task *task,
    uint64_t deadline) {
    struct weft_channel_party me;
    me.to = value;
    me.sender = false;
    join(ch, false);
    weft_waiters_link(&ch->waiters, &me.waiter, task, ch->waiters.tail, NULL);
    if (task != NULL) {
        weft_returns_note();
    }
    return weft_waiters_leave_and_wait(&ch->waiters, &me.waiter, task, deadline,
                                       "channel recv");
}

/* The lock is held by `task`, or by a thread. */
static int send(struct weft_channel *ch, const void *value,
                struct weft_task *task, bool may_wait, uint64_t deadline) {
    struct weft_channel_party *served = NULL;
    int result = send_now(ch, value, &served);
    return result == -EAGAIN && may_wait
               ? wait_to_send(ch, value, task, deadline)
               : leave(ch, served, result);
}

static int recv(struct weft_channel *ch, void *value, struct weft_task *task,
                bool may_wait, uint64_t deadline) {
    struct weft_channel_party *served = NULL;
    int result = recv_now(ch, value, &served);
    return result == -EAGAIN && may_wait
               ? wait_to_recv(ch, value, task, deadline)
               : leave(ch, served, result);
}

/* --- the usual ways ----------------------------------------------------------
 *
 * A task sends a pointer to a task that waits for it, or is the first to wait
 * for one, and the lock is free: two functions that call nothing, so they need
 * no frame; whatever else there is they end in one of these. */

static WEFT_NOINLINE int send_locked(struct weft_channel *ch, const void *value,
                                     struct weft_task *task) {
    return send(ch, value, task, true, WEFT_FOREVER);
}

static WEFT_NOINLINE int send_inside(struct weft_channel *ch, const void *value,
                                     struct weft_task *task) {
    weft_lock_acquire(&ch->waiters.lock);
    return send_locked(ch, value, task);
}

static WEFT_NOINLINE int send_from_outside(struct weft_channel *ch,
                                           const void *value) {
    return send_inside(ch, value, weft_runtime_enter_slowly());
}

/* Somebody sleeps at the lock, which is free. */
static WEFT_NOINLINE int grant_after_wake(struct weft_channel *ch,
                                          struct weft_waiter *w) {
    weft_lock_wake(&ch->waiters.lock);
    weft_waiters_grant_and_leave(w, 0);
    return 0;
}

int weft_channel_send(struct weft_channel *ch, const void *value) {
    struct weft_task *task;
    if (WEFT_UNLIKELY(!weft_runtime_enter_quickly(&task))) {
        return send_from_outside(ch, value);
    }
    if (WEFT_UNLIKELY(!weft_lock_try(&ch->waiters.lock))) {
        return send_inside(ch, value, task);
    }
    /* Who waits, waits in a channel that is open. */
    struct weft_waiter *w = weft_wait_list_first(&ch->waiters);
    if (w == NULL || ch->who != WEFT_CHANNEL_RECEIVERS ||
        WEFT_UNLIKELY(w->claim != NULL || w->task == NULL ||
                      ch->size != sizeof(void *))) {
        return send_locked(ch, value, task);
    }
    struct weft_task *receiver = w->task;
    memcpy(party_of(weft_waiters_choose(&ch->waiters))->to, value,
           sizeof(void *));
    if (WEFT_UNLIKELY(!weft_lock_release_quickly(&ch->waiters.lock))) {
        return grant_after_wake(ch, w);
    }
    weft_waiter_set(w, 0);
    return weft_unpark_and_leave(receiver);
}

static WEFT_NOINLINE int recv_locked(struct weft_channel *ch, void *value,
                                     struct weft_task *task) {
    return recv(ch, value, task, true, WEFT_FOREVER);
}

static WEFT_NOINLINE int recv_inside(struct weft_channel *ch, void *value,
                                     struct weft_task *task) {
    weft_lock_acquire(&ch->waiters.lock);
    return recv_locked(ch, value, task);
}

static WEFT_NOINLINE int recv_from_outside(struct weft_channel *ch,
                                           void *value) {
    return recv_inside(ch, value, weft_runtime_enter_slowly());
}

/* The only one who waits, a task. What is needed again lies in its frame, of
 * which others know: nothing has to be kept in registers. */
static WEFT_NOINLINE WEFT_RETURNS_ELSEWHERE int wait_alone_to_recv(
    struct weft_channel *ch, void *value, struct weft_task *task) {
    static const char why[] = "channel recv";
    struct {
        struct weft_channel_party party;
        struct weft_channel *ch;
    } me;
    struct weft_waiter *w = &me.party.waiter;
    me.ch = ch;
    me.party.to = value;
    me.party.sender = false;
    ch->who = WEFT_CHANNEL_RECEIVERS;
    weft_waiters_link_first(&ch->waiters, w, task);
    weft_returns_note();
    weft_lock_release(&ch->waiters.lock);
    int error = weft_park_and_leave(WEFT_FOREVER, why);
    return WEFT_LIKELY(weft_waiter_is_granted(w))
               ? w->result
               : weft_wait_list_wait_on(&me.ch->waiters, w, WEFT_FOREVER, why,
                                        error);
}

int weft_channel_recv(struct weft_channel *ch, void *value) {
    struct weft_task *task;
    if (WEFT_UNLIKELY(!weft_runtime_enter_quickly(&task))) {
        return recv_from_outside(ch, value);
    }
    if (WEFT_UNLIKELY(!weft_lock_try(&ch->waiters.lock))) {
        return recv_inside(ch, value, task);
    }
    if (count_of(ch) > 0 || weft_wait_list_first(&ch->waiters) != NULL ||
        WEFT_UNLIKELY(is_closed(ch))) {
        return recv_locked(ch, value, task);
    }
    return wait_alone_to_recv(ch, value, task);
}

int weft_channel_new(struct weft_channel **out, size_t capacity, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(capacity, size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct weft_channel), &bytes)) {
        return -ENOMEM;
    }
    struct weft_channel *ch = malloc(bytes);
    if (ch == NULL) {
        return -ENOMEM;
    }
    *ch = (struct weft_channel){.capacity = capacity, .size = size};
    *out = ch;
    return 0;
}

void weft_channel_free(struct weft_channel *ch) {
    if (ch == NULL) {
        return;
    }
    weft_wait_list_enter(&ch->waiters);
    if (weft_wait_list_first(&ch->waiters) != NULL) {
        weft_fatal(
            "weft_channel_free: %u tasks wait in the channel; "
            "close it, and free it when they have ended",
            ch->waiters.count);
    }
    weft_wait_list_leave(&ch->waiters);
    free(ch);
}

int weft_channel_send_until(struct weft_channel *ch, const void *value,
                            uint64_t deadline) {
    struct weft_task *task = weft_waiters_enter(&ch->waiters);
    return send(ch, value, task, true, deadline);
}

int weft_channel_try_send(struct weft_channel *ch, const void *value) {
    struct weft_task *task = weft_waiters_enter(&ch->waiters);
    return send(ch, value, task, false, 0);
}

int weft_channel_recv_until(struct weft_channel *ch, void *value,
                            uint64_t deadline) {
    struct weft_task *task = weft_waiters_enter(&ch->waiters);
    return recv(ch, value, task, true, deadline);
}

int weft_channel_try_recv(struct weft_channel *ch, void *value) {
    struct weft_task *task = weft_waiters_enter(&ch->waiters);
    return recv(ch, value, task, false, 0);
}

int weft_channel_close(struct weft_channel *ch) {
    struct weft_wait_chain chain = {0};
    weft_wait_list_enter(&ch->waiters);
    if (is_closed(ch)) {
        return leave(ch, NULL, -EALREADY);
    }
    /* Relaxed: under the lock; nobody joins the list from here on. */
    atomic_store_explicit(&ch->closed, true, memory_order_relaxed);
    while (weft_wait_list_choose_batch(&ch->waiters, WEFT_WAIT_BATCH, &chain) ==
           WEFT_WAIT_BATCH) {
        /* Let others in between batches. */
        weft_wait_list_leave(&ch->waiters);
        weft_wait_list_enter(&ch->waiters);
    }
    weft_lock_release(&ch->waiters.lock);
    weft_wait_chain_grant_and_leave(&chain, -EPIPE);
    return 0;
}

size_t weft_channel_len(const struct weft_channel *ch) {
    return count_of(ch);
}

size_t weft_channel_cap(const struct weft_channel *ch) {
    return ch->capacity;
}

bool weft_channel_closed(const struct weft_channel *ch) {
    return is_closed(ch);
}
