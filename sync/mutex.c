/* SPDX-License-Identifier: MIT */
/* A mutex in one word, with a list of waiters beside it.
 *
 * The word is the owner's task pointer (0: free) and three bits in its low end:
 *   WAITERS  the list may have somebody in it (it may be stale: a waiter that
 *            timed out leaves it behind; the next unlock clears it)
 *   WOKEN    a waiter was woken and is on its way to try again: unlocks need
 *            not wake another. It belongs to that waiter, which clears it when
 *            it takes the mutex or goes back into the list
 *   HANDOFF  the first in the list has waited too long: the next unlock gives
 *            it the mutex, so that nobody overtakes it again
 *
 * Always true:
 *  - only the owner changes the owner part, or whoever finds it 0;
 *  - with the mutex free and a waiter in the list, WOKEN is set: somebody is
 *    coming who will take it, and wake the next when it unlocks. So no unlock
 *    is lost;
 *  - WAITERS is set under the list's lock, together with the push, and cleared
 *    under it by the owner alone;
 *  - an unlock touches the mutex for the last time when it sets the word free:
 *    the next owner may free the memory. Waiters are therefore chosen first,
 *    and granted last (wait_list.c).
 *
 * Context: tasks; the list's lock is held for a few lines with preemption off.
 *
 * Starvation: a waiter that was woken and finds the mutex taken goes back to
 * the front; when it came more than PATIENCE ago it sets HANDOFF. So each
 * waiter, when it is the first, gets the mutex within PATIENCE and two critical
 * sections. (Go's sync.Mutex, 1 ms too, stays in a starving mode for all that
 * follow; here each asks for itself.)
 *
 * Rejected: handing over at each unlock (strictly fair, but on one processor
 * each critical section then costs two switches: a lock convoy); spinning
 * before the park (the owner may be on this very processor's queue; wait until
 * a figure asks for it). */
#include "weft/sync/mutex.h"

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"

#define WAITERS 1u
#define WOKEN   2u
#define HANDOFF 4u
#define BITS    ((uint64_t)(WAITERS | WOKEN | HANDOFF))

/* What a waiter is granted: to try again, or the mutex itself. */
enum { TRY_AGAIN, IT_IS_YOURS };

#define PATIENCE WEFT_MS

static uint64_t owner_of(uint64_t word) {
    return word & ~BITS;
}

static uint64_t task_word(const struct weft_task *task) {
    return (uint64_t)(uintptr_t)task;
}

/* The calling task as an owner; stops outside a task. */
static uint64_t self_word(const char *call) {
    uint64_t self = task_word(weft_self());
    if (WEFT_UNLIKELY(self == 0)) {
        weft_fatal(
            "%s: a mutex belongs to a task, and the caller is none; "
            "call it in a task, or let threads meet at a semaphore",
            call);
    }
    return self;
}

/* Relaxed: decides what is tried next; the CAS that follows has the order. */
static uint64_t look(const struct weft_mutex *m) {
    return atomic_load_explicit(&m->word, memory_order_relaxed);
}

/* Acquire: pairs with the releases in let_go() and weft_mutex_unlock(). */
static bool change(struct weft_mutex *m, uint64_t *word, uint64_t next) {
    return atomic_compare_exchange_weak_explicit(
        &m->word, word, next, memory_order_acquire, memory_order_relaxed);
}

/* Release: pairs with the acquire in change() and in weft_mutex_lock(), and
 * with those of a mutex that is handed over (weft_waiter_is_granted()). */
static bool let_go(struct weft_mutex *m, uint64_t *word, uint64_t next) {
    return atomic_compare_exchange_weak_explicit(
        &m->word, word, next, memory_order_release, memory_order_relaxed);
}

/* Takes the mutex if it is free, dropping `drop` (WOKEN or 0) from the bits. */
static bool take(struct weft_mutex *m, uint64_t self, uint64_t drop) {
    uint64_t word = look(m);
    while (owner_of(word) == 0) {
        if (change(m, &word, self | (word & ~drop))) {
            return true;
        }
    }
    if (WEFT_UNLIKELY(owner_of(word) == self)) {
        weft_fatal(
            "weft_mutex_lock: task \"%s\" holds this mutex already and "
            "would wait for itself; lock once, in the outermost function",
            weft_task_name(weft_self()));
    }
    return false;
}

/* Under the list's lock: says in the word that a waiter comes (`set`), unless
 * the mutex has become free; then false. */
static bool announce(struct weft_mutex *m, uint64_t set, uint64_t drop) {
    uint64_t word = look(m);
    while (owner_of(word) != 0) {
        if (change(m, &word, (word & ~drop) | set)) {
            return true;
        }
    }
    return false;
}

static WEFT_NOINLINE int lock_slowly(struct weft_mutex *m, uint64_t self,
                                     uint64_t deadline) {
    struct weft_waiter w;
    uint64_t since = 0;
    /* WOKEN while the bit in the word is ours, else 0. */
    uint64_t woken = 0;
    for (;;) {
        if (take(m, self, woken)) {
            return 0;
        }
        uint64_t now = weft_clock_now();
        uint64_t set = WAITERS;
        if (since == 0) {
            since = now;
        } else if (now - since > PATIENCE) {
            set |= HANDOFF;
        }
        weft_wait_list_enter(&m->waiters);
        if (!announce(m, set, woken)) {
            weft_wait_list_leave(&m->waiters);
            continue;
        }
        if (woken != 0) {
            weft_wait_list_push_front(&m->waiters, &w);
        } else {
            weft_wait_list_push(&m->waiters, &w);
        }
        weft_wait_list_leave(&m->waiters);
        int error = weft_wait_list_wait_uncancellable(&m->waiters, &w, deadline,
                                                      "mutex");
        if (error < 0) {
            return error;
        }
        if (error == IT_IS_YOURS) {
            return 0;
        }
        woken = WOKEN;
    }
}

void weft_mutex_lock(struct weft_mutex *m) {
    uint64_t self = self_word("weft_mutex_lock");
    uint64_t word = 0;
    /* Acquire: pairs with the releases in let_go() and weft_mutex_unlock(). */
    if (WEFT_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &m->word, &word, self, memory_order_acquire,
            memory_order_relaxed))) {
        WEFT_CHECK_OP(lock_slowly(m, self, WEFT_FOREVER), ==, 0);
    }
}

int weft_mutex_lock_until(struct weft_mutex *m, uint64_t deadline) {
    return lock_slowly(m, self_word("weft_mutex_lock_until"), deadline);
}

bool weft_mutex_try_lock(struct weft_mutex *m) {
    uint64_t self = self_word("weft_mutex_try_lock");
    uint64_t word = look(m);
    while (owner_of(word) == 0) {
        if (change(m, &word, self | word)) {
            return true;
        }
    }
    return false;
}

/* The owner chooses who comes next, and says so in the word; NULL when the
 * list was empty. `*handoff` tells which of the two grants it gets. */
static struct weft_waiter *choose(struct weft_mutex *m, bool *handoff) {
    struct weft_waiter *w = weft_wait_list_choose(&m->waiters);
    uint64_t word = look(m);
    uint64_t next;
    do {
        next = word & ~(uint64_t)HANDOFF;
        *handoff = (word & HANDOFF) != 0;
        if (w != NULL && !*handoff) {
            next |= WOKEN;
        }
        if (weft_wait_list_first(&m->waiters) == NULL) {
            next &= ~(uint64_t)WAITERS;
        }
    } while (!change(m, &word, next));
    return w;
}

static void not_the_owner(uint64_t owner) {
    const char *self = weft_task_name(weft_self());
    if (owner == 0) {
        weft_fatal(
            "weft_mutex_unlock: the mutex is not locked; task \"%s\" "
            "unlocked it before, or never locked it",
            self);
    }
    /* A record is never unmapped, so its name can be read. */
    weft_fatal(
        "weft_mutex_unlock: the mutex is another task's, \"%s\", and the "
        "caller is \"%s\"; who locks unlocks (a semaphore can be passed on)",
        weft_task_name((struct weft_task *)(uintptr_t)owner), self);
}

static WEFT_NOINLINE void unlock_slowly(struct weft_mutex *m, uint64_t self) {
    uint64_t word = look(m);
    if (owner_of(word) != self) {
        not_the_owner(owner_of(word));
    }
    for (;;) {
        bool quiet = (word & WAITERS) == 0 ||
                     ((word & WOKEN) != 0 && (word & HANDOFF) == 0);
        if (quiet) {
            if (let_go(m, &word, word & BITS)) {
                return;
            }
            continue;
        }
        bool handoff;
        weft_wait_list_enter(&m->waiters);
        struct weft_waiter *w = choose(m, &handoff);
        weft_lock_release(&m->waiters.lock);
        word = look(m);
        if (w != NULL) {
            uint64_t heir = handoff ? task_word(w->task) : 0;
            while (!let_go(m, &word, heir | (word & BITS))) {
            }
            weft_waiter_grant(w, handoff ? IT_IS_YOURS : TRY_AGAIN);
        }
        weft_runtime_leave();
        if (w != NULL) {
            return;
        }
    }
}

void weft_mutex_unlock(struct weft_mutex *m) {
    uint64_t self = self_word("weft_mutex_unlock");
    uint64_t word = self;
    /* Release: pairs with the acquires in change() and weft_mutex_lock(). */
    if (WEFT_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &m->word, &word, 0, memory_order_release, memory_order_relaxed))) {
        unlock_slowly(m, self);
    }
}

bool weft_mutex_is_mine(const struct weft_mutex *m) {
    uint64_t self = task_word(weft_self());
    return self != 0 && owner_of(look(m)) == self;
}
