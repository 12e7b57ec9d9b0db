/* SPDX-License-Identifier: MIT */
/* A ring and a wait list under one lock.
 *
 * Always true, when the lock is free:
 *  - receivers wait only while the ring is empty, senders only while it is
 *    full, and never both: one list is enough, `senders` says who is in it;
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
#include "weft/sched/park.h"
#include "weft/sync/wait_list.h"

struct weft_channel {
    /* Its lock is the channel's. */
    struct weft_wait_list waiters;
    /* Under the lock. */
    bool senders; /* who is in the list, if anybody is */
    size_t head;  /* the oldest value's slot */
    /* Written under the lock, read by anybody as a snapshot. */
    _Atomic size_t count;
    _Atomic bool closed;
    /* Fixed after init. */
    size_t capacity, size;
    char ring[];
};

/* A task that waits here: a sender with `from`, a receiver with `to`. */
struct party {
    struct weft_waiter waiter;
    const void *from;
    void *to;
};

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

/* Takes the first sender (or receiver) out of the list, NULL when none waits.
 */
static struct party *choose(struct weft_channel *ch, bool sender) {
    if (ch->senders != sender) {
        return NULL;
    }
    struct weft_waiter *w = weft_wait_list_choose(&ch->waiters);
    return w == NULL ? NULL : weft_container_of(w, struct party, waiter);
}

/* Lets go of the lock, and grants `served` unless it is NULL. */
static int leave(struct weft_channel *ch, struct party *served, int result) {
    weft_lock_release(&ch->waiters.lock);
    if (served != NULL) {
        weft_waiter_grant(&served->waiter, 0);
    }
    weft_runtime_leave();
    return result;
}

/* The lock is held and nothing can be done now: waits, as one of the senders or
 * of the receivers. */
static int wait(struct weft_channel *ch, struct party *me, bool sender,
                uint64_t deadline) {
    ch->senders = sender;
    weft_wait_list_push(&ch->waiters, &me->waiter);
    weft_wait_list_leave(&ch->waiters);
    return weft_wait_list_wait(&ch->waiters, &me->waiter, deadline,
                               sender ? "channel send" : "channel recv");
}

static int send(struct weft_channel *ch, const void *value, bool may_wait,
                uint64_t deadline) {
    weft_wait_list_enter(&ch->waiters);
    if (is_closed(ch)) {
        return leave(ch, NULL, -EPIPE);
    }
    struct party *receiver = choose(ch, false);
    if (receiver != NULL) {
        copy(ch, receiver->to, value);
        return leave(ch, receiver, 0);
    }
    if (count_of(ch) < ch->capacity) {
        put(ch, value);
        return leave(ch, NULL, 0);
    }
    if (!may_wait) {
        return leave(ch, NULL, -EAGAIN);
    }
    struct party me = {.from = value};
    return wait(ch, &me, true, deadline);
}

static int recv(struct weft_channel *ch, void *value, bool may_wait,
                uint64_t deadline) {
    weft_wait_list_enter(&ch->waiters);
    struct party *sender = choose(ch, true);
    if (count_of(ch) > 0) {
        get(ch, value);
        if (sender != NULL) {
            put(ch, sender->from);
        }
        return leave(ch, sender, 0);
    }
    if (sender != NULL) {
        copy(ch, value, sender->from);
        return leave(ch, sender, 0);
    }
    if (is_closed(ch)) {
        return leave(ch, NULL, -EPIPE);
    }
    if (!may_wait) {
        return leave(ch, NULL, -EAGAIN);
    }
    struct party me = {.to = value};
    return wait(ch, &me, false, deadline);
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

int weft_channel_send(struct weft_channel *ch, const void *value) {
    return send(ch, value, true, WEFT_FOREVER);
}

int weft_channel_send_until(struct weft_channel *ch, const void *value,
                            uint64_t deadline) {
    return send(ch, value, true, deadline);
}

int weft_channel_try_send(struct weft_channel *ch, const void *value) {
    return send(ch, value, false, 0);
}

int weft_channel_recv(struct weft_channel *ch, void *value) {
    return recv(ch, value, true, WEFT_FOREVER);
}

int weft_channel_recv_until(struct weft_channel *ch, void *value,
                            uint64_t deadline) {
    return recv(ch, value, true, deadline);
}

int weft_channel_try_recv(struct weft_channel *ch, void *value) {
    return recv(ch, value, false, 0);
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
