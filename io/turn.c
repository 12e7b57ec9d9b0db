/* SPDX-License-Identifier: MIT */
/* The two sides of a handing-over:
 *
 *     who waits                            who leaves
 *     1 lock the bucket                    1 leave: sees QUEUED, does nothing
 *     2 BUSY and not CLOSING: set QUEUED   2 lock the bucket
 *       (else unlock, enter again)         3 take the first one out; was it the
 *     3 append, unlock                       last, clear QUEUED
 *     4 park until `answer`                4 read its task, store `answer`,
 *                                            unlock, unpark
 *
 * Either 2 of the left column comes before 1 of the right, which then sees
 * QUEUED, or after it, and sees BUSY gone: both are steps of one word. */
#include "weft/io/turn.h"

#include <errno.h>
#include <stddef.h>

#include "weft/base/lock.h"
#include "weft/sched/park.h"

#define BUCKETS 64 /* a power of two */

enum answer { WAITING, GRANTED, SENT_AWAY };

struct turn {
    struct turn *next;         /* under the bucket's lock */
    struct weft_descriptor *d; /* fixed */
    struct weft_task *task;    /* fixed */
    enum weft_direction dir;   /* fixed */
    _Atomic int
        answer; /* written under the lock, once; then the node is gone */
};

struct bucket {
    _Alignas(WEFT_CACHE_LINE) struct weft_lock lock;
    struct turn *head; /* under the lock; the oldest */
};

static struct bucket buckets[BUCKETS];

static struct bucket *lock_bucket(const struct weft_descriptor *d) {
    struct bucket *b = &buckets[((uintptr_t)d / sizeof(*d)) & (BUCKETS - 1)];
    weft_runtime_enter();
    weft_lock_acquire(&b->lock);
    return b;
}

static void unlock_bucket(struct bucket *b) {
    weft_lock_release(&b->lock);
    weft_runtime_leave();
}

/* Under the lock: the link that points to the first turn for `d` and `dir` from
 * `link` on, or the link at the end. */
static struct turn **find(struct turn **link, const struct weft_descriptor *d,
                          enum weft_direction dir) {
    while (*link != NULL && ((*link)->d != d || (*link)->dir != dir)) {
        link = &(*link)->next;
    }
    return link;
}

/* Under the lock: takes `*link` out and keeps QUEUED true. */
static void unlink_turn(struct bucket *b, struct turn **link) {
    struct turn *turn = *link;
    *link = turn->next;
    if (*find(&b->head, turn->d, turn->dir) == NULL) {
        atomic_fetch_and_explicit(&turn->d->state,
                                  ~WEFT_DESCRIPTOR_QUEUED(turn->dir),
                                  memory_order_relaxed);
    }
}

/* Takes the first one for `d` and `dir` out with `answer` and wakes it. */
static bool dismiss(struct weft_descriptor *d, enum weft_direction dir,
                    enum answer answer) {
    struct weft_task *task = NULL;
    struct bucket *b = lock_bucket(d);
    struct turn **link = find(&b->head, d, dir);
    struct turn *turn = *link;
    if (turn != NULL) {
        unlink_turn(b, link);
        task = turn->task;
        /* Release: pairs with the acquire in weft_turn_take(); the direction
         * comes with it. */
        atomic_store_explicit(&turn->answer, answer, memory_order_release);
    }
    unlock_bucket(b);
    if (turn == NULL) {
        return false;
    }
    weft_unpark(task);
    return true;
}

/* Puts `turn` into the table. Returns 0, -EBADF, or -EAGAIN when the direction
 * has become free. */
static int enqueue(struct turn *turn) {
    struct weft_descriptor *d = turn->d;
    uint64_t busy = WEFT_DESCRIPTOR_BUSY(turn->dir);
    int result = 0;
    struct bucket *b = lock_bucket(d);
    uint64_t state = atomic_load_explicit(&d->state, memory_order_relaxed);
    do {
        if ((state & (WEFT_DESCRIPTOR_OPEN | WEFT_DESCRIPTOR_CLOSING)) !=
            WEFT_DESCRIPTOR_OPEN) {
            result = -EBADF;
        } else if ((state & busy) == 0) {
            result = -EAGAIN;
        }
        /* Relaxed: what the turn holds is under the lock. */
    } while (result == 0 &&
             !atomic_compare_exchange_weak_explicit(
                 &d->state, &state, state | WEFT_DESCRIPTOR_QUEUED(turn->dir),
                 memory_order_relaxed, memory_order_relaxed));
    if (result == 0) {
        struct turn **link = &b->head;
        while (*link != NULL) {
            link = &(*link)->next;
        }
        *link = turn;
    }
    unlock_bucket(b);
    return result;
}

/* Gives the waiting up. False: it has been answered meanwhile. */
static bool give_up(struct turn *turn) {
    struct bucket *b = lock_bucket(turn->d);
    bool waiting =
        atomic_load_explicit(&turn->answer, memory_order_relaxed) == WAITING;
    if (waiting) {
        struct turn **link = &b->head;
        while (*link != turn) {
            link = &(*link)->next;
        }
        unlink_turn(b, link);
    }
    unlock_bucket(b);
    return waiting;
}

int weft_turn_take(struct weft_descriptor *d, enum weft_direction dir,
                   uint64_t deadline) {
    struct turn turn = {.d = d, .dir = dir, .task = weft_self()};
    if (turn.task == NULL) {
        return -EPERM;
    }
    for (;;) {
        int error = enqueue(&turn);
        if (error == 0) {
            break;
        }
        if (error == -EAGAIN) {
            error = weft_poller_enter(d, dir);
        }
        if (error != -EBUSY) {
            return error;
        }
    }
    int answer;
    /* Acquire: pairs with the release in dismiss(). */
    while ((answer = atomic_load_explicit(&turn.answer,
                                          memory_order_acquire)) == WAITING) {
        int error = weft_park(deadline, "turn on a descriptor");
        if (error != 0 && give_up(&turn)) {
            return error;
        }
    }
    return answer == GRANTED ? 0 : -EBADF;
}

bool weft_turn_pass(struct weft_descriptor *d, enum weft_direction dir) {
    return dismiss(d, dir, GRANTED);
}

void weft_turn_send_away(struct weft_descriptor *d) {
    for (int dir = 0; dir < WEFT_DIRECTIONS; dir++) {
        while (dismiss(d, dir, SENT_AWAY)) {
        }
    }
}
