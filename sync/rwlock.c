/* SPDX-License-Identifier: MIT */
/* A lock for readers or a writer in one word: a bit WAITERS, a bit WRITER, and
 * above them the number of readers; a hold is READER or WRITER.
 *
 * Always true:
 *  - nobody takes a hold while WAITERS is set, but is given one: so nobody
 *    overtakes those that wait, who are served in their order;
 *  - WAITERS is set under the list's lock, in the step that finds somebody in
 *    the way; it is cleared under it by whoever finds the list empty;
 *  - the last hold does not go while WAITERS is set: its owner first looks into
 *    the list, and what it gives up and what others get is one step. So with
 *    WAITERS set there is always somebody who will look, and an unlock touches
 *    the lock for the last time when it lets go of its hold, or before those
 *    that it gave holds are granted: they may free the memory;
 *  - the first that waits cannot go in: a reader waits for a writer, a writer
 *    for anybody. When a writer gives up, whoever is behind it may be able to
 *    go in; so who gives up lets them in.
 *
 * While readers are let in, in batches, by a writer that unlocks, both the bit
 * and readers are in the word: the writer's hold goes with the last batch.
 *
 * Rejected: letting running tasks overtake woken ones, as the mutex does (with
 * sections as long as those of a rwlock the switches do not matter, and order
 * is worth more); letting all waiting readers in at once past writers
 * (phase-fair, more parallel when both kinds queue; asks for a list of each
 * kind). */
#include "weft/sync/rwlock.h"

#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"

#define WAITERS ((uint64_t)1)
#define WRITER  ((uint64_t)2)
#define READER  ((uint64_t)4)

/* One that waits, for a hold of this kind. */
struct party {
    struct weft_waiter waiter;
    uint64_t hold;
};

/* Relaxed: decides what is tried next; the CAS that follows has the order. */
static uint64_t look(const struct weft_rwlock *l) {
    return atomic_load_explicit(&l->word, memory_order_relaxed);
}

/* Acquire and release pair with each other: who gets a hold sees what was done
 * under those before. A hold that is given goes by the grant, and who gives it
 * has acquired what the others released. */
static bool change(struct weft_rwlock *l, uint64_t *word, uint64_t next) {
    return atomic_compare_exchange_weak_explicit(
        &l->word, word, next, memory_order_acq_rel, memory_order_relaxed);
}

/* May a hold be taken, WAITERS aside? */
static bool fits(uint64_t word, uint64_t hold) {
    word &= ~WAITERS;
    return hold == WRITER ? word == 0 : (word & WRITER) == 0;
}

static bool take(struct weft_rwlock *l, uint64_t hold) {
    uint64_t word = look(l);
    while ((word & WAITERS) == 0 && fits(word, hold)) {
        if (change(l, &word, word + hold)) {
            return true;
        }
    }
    return false;
}

static uint64_t kind_of(struct weft_waiter *w) {
    return w == NULL ? 0 : weft_container_of(w, struct party, waiter)->hold;
}

/* Under the list's lock: changes the word by `gain` and `loss`, and clears
 * WAITERS when nobody waits any more. */
static void settle(struct weft_rwlock *l, uint64_t gain, uint64_t loss) {
    uint64_t word = look(l);
    uint64_t drop = weft_wait_list_first(&l->waiters) == NULL ? WAITERS : 0;
    while (!change(l, &word, (word + gain - loss) & ~drop)) {
    }
}

/* Lets the readers in that come first. The caller's `hold`, if it has one, goes
 * with the last of them; without readers it is lost as well. Enters with the
 * list's lock and leaves without. */
static void let_readers_in(struct weft_rwlock *l, uint64_t hold,
                           struct weft_wait_chain *chain) {
    for (;;) {
        uint32_t n = 0;
        while (n < WEFT_WAIT_BATCH &&
               kind_of(weft_wait_list_first(&l->waiters)) == READER) {
            n += weft_wait_list_choose_batch(&l->waiters, 1, chain);
        }
        bool more = n == WEFT_WAIT_BATCH;
        settle(l, n * READER, more ? 0 : hold);
        weft_lock_release(&l->waiters.lock);
        if (!more) {
            return;
        }
        weft_lock_acquire(&l->waiters.lock);
    }
}

/* The caller has the last hold, and others wait. False when that has changed.
 */
static WEFT_NOINLINE bool pass_on(struct weft_rwlock *l, uint64_t hold) {
    struct weft_wait_chain chain = {0};
    weft_wait_list_enter(&l->waiters);
    struct weft_waiter *first = weft_wait_list_first(&l->waiters);
    if ((look(l) & ~WAITERS) != hold || first == NULL) {
        /* Others were let in meanwhile, or nobody waits any more. */
        if (first == NULL) {
            settle(l, 0, 0);
        }
        weft_wait_list_leave(&l->waiters);
        return false;
    }
    if (kind_of(first) == WRITER) {
        weft_wait_list_choose_batch(&l->waiters, 1, &chain);
        settle(l, WRITER, hold);
        weft_lock_release(&l->waiters.lock);
    } else {
        let_readers_in(l, hold, &chain);
    }
    /* From here on the lock may be gone. */
    weft_wait_chain_grant_and_leave(&chain, 0);
    return true;
}

static void unlock(struct weft_rwlock *l, uint64_t hold) {
    uint64_t word = look(l);
    for (;;) {
        bool last = word - hold == WAITERS;
        if (last ? pass_on(l, hold) : change(l, &word, word - hold)) {
            return;
        }
        if (last) {
            word = look(l);
        }
    }
}

/* The caller waited in vain: whom it was in the way of may go in. */
static void make_way(struct weft_rwlock *l) {
    struct weft_wait_chain chain = {0};
    weft_wait_list_enter(&l->waiters);
    if ((look(l) & WRITER) == 0) {
        let_readers_in(l, 0, &chain);
    } else {
        weft_lock_release(&l->waiters.lock);
    }
    weft_wait_chain_grant_and_leave(&chain, 0);
}

static WEFT_NOINLINE int lock_slowly(struct weft_rwlock *l, uint64_t hold,
                                     uint64_t deadline) {
    struct party me = {.hold = hold};
    weft_wait_list_enter(&l->waiters);
    bool alone = weft_wait_list_first(&l->waiters) == NULL;
    uint64_t word = look(l);
    bool goes_in;
    do {
        goes_in = alone && fits(word, hold);
    } while (
        !change(l, &word, goes_in ? (word & ~WAITERS) + hold : word | WAITERS));
    if (!goes_in) {
        weft_wait_list_push(&l->waiters, &me.waiter);
    }
    weft_wait_list_leave(&l->waiters);
    if (goes_in) {
        return 0;
    }
    int error = weft_wait_list_wait_uncancellable(
        &l->waiters, &me.waiter, deadline,
        hold == WRITER ? "rwlock write" : "rwlock read");
    if (error != 0) {
        make_way(l);
    }
    return error;
}

/* The caller as a writer. */
static uintptr_t myself(void) {
    struct weft_task *self = weft_self();
    return self == NULL ? 1 : (uintptr_t)self;
}

/* Relaxed, in the three below: it is the caller or it is not, and only the
 * caller writes that. */
static uintptr_t writer_of(const struct weft_rwlock *l) {
    return atomic_load_explicit(&l->writer, memory_order_relaxed);
}

static void begin_to_write(struct weft_rwlock *l) {
    atomic_store_explicit(&l->writer, myself(), memory_order_relaxed);
}

static void end_to_write(struct weft_rwlock *l) {
    atomic_store_explicit(&l->writer, 0, memory_order_relaxed);
}

static int lock(struct weft_rwlock *l, uint64_t hold, uint64_t deadline) {
    if (WEFT_LIKELY(take(l, hold))) {
        return 0;
    }
    uintptr_t writer = writer_of(l);
    if (writer > 1 && writer == myself()) {
        weft_fatal(
            "weft_rwlock: task \"%s\" writes and locks again; it would wait "
            "for itself: lock once, in the outermost function",
            weft_task_name(weft_self()));
    }
    return lock_slowly(l, hold, deadline);
}

int weft_rwlock_read_lock_until(struct weft_rwlock *l, uint64_t deadline) {
    return lock(l, READER, deadline);
}

void weft_rwlock_read_lock(struct weft_rwlock *l) {
    WEFT_CHECK_OP(lock(l, READER, WEFT_FOREVER), ==, 0);
}

bool weft_rwlock_try_read_lock(struct weft_rwlock *l) {
    return take(l, READER);
}

void weft_rwlock_read_unlock(struct weft_rwlock *l) {
    if (WEFT_UNLIKELY(look(l) < READER)) {
        weft_fatal(
            "weft_rwlock_read_unlock: nobody has locked it to read; unlock "
            "once for each lock, and as it was locked");
    }
    unlock(l, READER);
}

int weft_rwlock_write_lock_until(struct weft_rwlock *l, uint64_t deadline) {
    int error = lock(l, WRITER, deadline);
    if (error == 0) {
        begin_to_write(l);
    }
    return error;
}

void weft_rwlock_write_lock(struct weft_rwlock *l) {
    WEFT_CHECK_OP(weft_rwlock_write_lock_until(l, WEFT_FOREVER), ==, 0);
}

bool weft_rwlock_try_write_lock(struct weft_rwlock *l) {
    bool locked = take(l, WRITER);
    if (locked) {
        begin_to_write(l);
    }
    return locked;
}

void weft_rwlock_write_unlock(struct weft_rwlock *l) {
    if (WEFT_UNLIKELY((look(l) & WRITER) == 0 || writer_of(l) != myself())) {
        weft_fatal(
            "weft_rwlock_write_unlock: %s; who locks to write unlocks, once",
            (look(l) & WRITER) == 0 ? "nobody writes" : "another task writes");
    }
    end_to_write(l);
    unlock(l, WRITER);
}
