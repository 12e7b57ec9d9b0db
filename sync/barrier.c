/* SPDX-License-Identifier: MIT */
/* A barrier is a wait list, and who has come is who is in it.
 *
 * Always true, when the lock is free: fewer than `parties` - 1 have come and
 * wait, or exactly that many; the next one takes them all out. So a party that
 * gives up has not come, by leaving the list, and nothing has to be put right.
 *
 * The last one takes the whole round out under one hold of the lock, however
 * many they are: in between, those of the next round would mingle with them.
 *
 * What each did before it came is seen by the last, by the lock that both held,
 * and passed on by the grants.
 *
 * Rejected: a generation that waiters spin on or compare (a party that gives up
 * would have to be counted out again, in a race with the last one). */
#include "weft/sync/barrier.h"

#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"

void weft_barrier_init(struct weft_barrier *b, uint32_t parties) {
    if (parties == 0) {
        weft_fatal(
            "weft_barrier_init: a round of nobody; give the number of those "
            "that wait for each other");
    }
    *b = (struct weft_barrier){.parties = parties};
}

/* The lock is held: lets the others go if the caller is the last, and then
 * gives the lock back. */
static bool complete(struct weft_barrier *b) {
    struct weft_wait_chain chain = {0};
    if (b->waiters.count < b->parties - 1) {
        return false;
    }
    while (weft_wait_list_first(&b->waiters) != NULL) {
        weft_wait_list_choose_batch(&b->waiters, WEFT_WAIT_BATCH, &chain);
    }
    weft_lock_release(&b->waiters.lock);
    weft_wait_chain_grant_and_leave(&chain, 0);
    return true;
}

int weft_barrier_wait_until(struct weft_barrier *b, uint64_t deadline) {
    struct weft_waiter w;
    weft_wait_list_enter(&b->waiters);
    if (complete(b)) {
        return WEFT_BARRIER_LAST;
    }
    weft_wait_list_push(&b->waiters, &w);
    weft_wait_list_leave(&b->waiters);
    return weft_wait_list_wait(&b->waiters, &w, deadline, "barrier");
}

int weft_barrier_wait(struct weft_barrier *b) {
    return weft_barrier_wait_until(b, WEFT_FOREVER);
}

bool weft_barrier_try_wait(struct weft_barrier *b) {
    weft_wait_list_enter(&b->waiters);
    if (complete(b)) {
        return true;
    }
    weft_wait_list_leave(&b->waiters);
    return false;
}
