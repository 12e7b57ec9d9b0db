/* SPDX-License-Identifier: MIT */
/* A condition variable: a wait list, and a count that spares a signal to nobody
 * the lock.
 *
 * Always true: `waiting` is at least the number of waiters in the list. It is
 * raised before the waiter unlocks the mutex, so whoever changes the state
 * under the mutex after that also sees the count: the mutex orders the two, and
 * the load in the signal may be relaxed.
 *
 * A waiter that withdrew leaves the count too high; the next signal then takes
 * the lock once for nothing and corrects it.
 *
 * The mutex is unlocked after the push: a signal in between finds the waiter.
 * Rejected: moving waiters to the mutex's list instead of waking them (wait
 * morphing): a broadcast would gain, but the two structures would know each
 * other's inside. */
#include "weft/sync/condition.h"

#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"

/* Under the list's lock: the count as the list has it. */
static void recount(struct weft_condition *c) {
    atomic_store_explicit(&c->waiting, c->waiters.count, memory_order_relaxed);
}

int weft_condition_wait_until(struct weft_condition *c, struct weft_mutex *m,
                              uint64_t deadline) {
    struct weft_waiter w;
    if (!weft_mutex_is_mine(m)) {
        weft_fatal(
            "weft_condition_wait: the caller does not hold the mutex; "
            "lock it before, look at the condition, then wait");
    }
    weft_wait_list_enter(&c->waiters);
    weft_wait_list_push(&c->waiters, &w);
    recount(c);
    weft_wait_list_leave(&c->waiters);
    weft_mutex_unlock(m);
    int error = weft_wait_list_wait(&c->waiters, &w, deadline, "condition");
    weft_mutex_lock(m);
    return error;
}

int weft_condition_wait(struct weft_condition *c, struct weft_mutex *m) {
    return weft_condition_wait_until(c, m, WEFT_FOREVER);
}

/* Wakes up to `max` of those that are waiting now, oldest first. */
static void wake(struct weft_condition *c, uint32_t max) {
    struct weft_wait_chain chain = {0};
    /* Relaxed: the mutex orders it after the waiter's store (see above). */
    if (atomic_load_explicit(&c->waiting, memory_order_relaxed) == 0) {
        return;
    }
    weft_wait_list_enter(&c->waiters);
    recount(c);
    if (max > c->waiters.count) {
        max = c->waiters.count;
    }
    while (max > 0) {
        uint32_t chosen = weft_wait_list_choose_batch(&c->waiters, max, &chain);
        recount(c);
        max -= chosen;
        if (chosen == 0 || max == 0) {
            break;
        }
        /* Let others in between batches. */
        weft_wait_list_leave(&c->waiters);
        weft_wait_list_enter(&c->waiters);
    }
    weft_lock_release(&c->waiters.lock);
    /* From here on the condition may be gone. */
    weft_wait_chain_grant_and_leave(&chain, 0);
}

void weft_condition_signal(struct weft_condition *c) {
    wake(c, 1);
}

void weft_condition_broadcast(struct weft_condition *c) {
    wake(c, UINT32_MAX);
}
