/* SPDX-License-Identifier: MIT */
/* A select holds the locks of all its channels while it looks at them, and
 * waits in all their lists with one claim.
 *
 *   1. all locks, in the order of the channels' addresses
 *   2. each case in a random order: can it be done? Then it is done, 5.
 *   3. a waiter into each channel's list, all with one claim (wait_list.c)
 *   4. all locks go; waits until one of them was chosen, or gives up
 *   5. the locks, one after the other: takes the other waiters out
 *
 * Always true:
 *  - a select that looks (2) is in no list, so nobody can choose it meanwhile:
 *    it claims others, never itself, and two selects need not agree on who
 *    chooses whom;
 *  - from 1 to 3 nothing changes in any of its channels: none is missed that
 *    became ready in between;
 *  - locks of channels are taken in the order of addresses, by selects alone
 *    more than one, and none is held while another kind of lock is waited for;
 *  - the cases, with the waiters in them, are the caller's memory, and the
 * claim is on this stack: no list refers to them when the call returns.
 *
 * Fair: the random order makes each case that can be done as likely as the
 * others. In the lists a select waits in its order like any other.
 *
 * Rejected: one lock at a time (a select that is already in one list looks at
 * the next channel and finds another select there: both have to be claimed at
 * once, and each may do so with the other); one lock for all channels
 * (strangers contend); a random start but a fixed order (of two neighbours that
 * are ready among many that are not, the first would nearly always win). After
 * Go's select.go, which locks all in the order of addresses too. */
#include "weft/sync/select.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"
#include "weft/sync/channel_inside.h"
#include "weft/sync/wait_list.h"

static uint64_t address(const struct weft_channel *ch) {
    return (uint64_t)(uintptr_t)ch;
}

/* Sorts by insertion; there are few. NULL channels come first. */
static void put_in_lock_order(struct weft_select_case *cases, int n) {
    for (int i = 0; i < n; i++) {
        uint64_t mine = address(cases[i].channel);
        int at = i;
        for (; at > 0; at--) {
            uint32_t before = cases[at - 1].lock_order;
            if (address(cases[before].channel) <= mine) {
                break;
            }
            cases[at].lock_order = before;
        }
        cases[at].lock_order = (uint32_t)i;
    }
}

/* Shuffles after Fisher and Yates. The seed is nobody's: a shared one would go
 * from core to core. splitmix64 of the time. */
static void put_in_random_order(struct weft_select_case *cases, int n) {
    uint64_t seed = n > 1 ? weft_clock_now() + address((void *)cases) : 0;
    for (int i = 0; i < n; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t x = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        uint32_t other = (uint32_t)((x ^ (x >> 31)) % (uint64_t)(i + 1));
        cases[i].look_order = cases[other].look_order;
        cases[other].look_order = (uint32_t)i;
    }
}

/* The channel at place `i` of the lock order; NULL when there is none or the
 * place before has it. */
static struct weft_channel *to_lock(const struct weft_select_case *cases,
                                    int i) {
    struct weft_channel *ch = cases[cases[i].lock_order].channel;
    return i > 0 && cases[cases[i - 1].lock_order].channel == ch ? NULL : ch;
}

static void lock_all(const struct weft_select_case *cases, int n) {
    weft_runtime_enter();
    for (int i = 0; i < n; i++) {
        struct weft_channel *ch = to_lock(cases, i);
        if (ch != NULL) {
            weft_lock_acquire(&ch->waiters.lock);
        }
    }
}

/* What follows has preemption off still. */
static void unlock_all(const struct weft_select_case *cases, int n) {
    for (int i = 0; i < n; i++) {
        struct weft_channel *ch = to_lock(cases, i);
        if (ch != NULL) {
            weft_lock_release(&ch->waiters.lock);
        }
    }
}

/* All locks are held: does the first case that can be done, and returns its
 * index, or -EAGAIN. */
static int look(struct weft_select_case *cases, int n,
                struct weft_channel_party **served) {
    for (int i = 0; i < n; i++) {
        struct weft_select_case *c = &cases[cases[i].look_order];
        if (c->channel == NULL) {
            continue;
        }
        int result = weft_channel_serve(c->channel, &c->party, served);
        if (result != -EAGAIN) {
            c->result = result;
            return (int)(c - cases);
        }
    }
    return -EAGAIN;
}

/* All locks are held, no case can be done. */
static int wait(struct weft_select_case *cases, int n, uint64_t deadline) {
    _Atomic uint32_t claim;
    int done = -1;
    atomic_store_explicit(&claim, 0, memory_order_relaxed);
    for (int i = 0; i < n; i++) {
        struct weft_select_case *c = &cases[i];
        if (c->channel != NULL) {
            weft_channel_join(c->channel, &c->party);
            weft_wait_list_push_one_of(&c->channel->waiters, &c->party.waiter,
                                       &claim, (uint32_t)i + 1);
        }
    }
    unlock_all(cases, n);
    weft_runtime_leave();
    int error = weft_wait_any(&claim, deadline, "select");
    if (error == 0) {
        /* Relaxed: the grant that is awaited below has the order. */
        done = (int)atomic_load_explicit(&claim, memory_order_relaxed) - 1;
    }
    for (int i = 0; i < n; i++) {
        if (i != done && cases[i].channel != NULL) {
            weft_wait_list_withdraw(&cases[i].channel->waiters,
                                    &cases[i].party.waiter);
        }
    }
    if (error != 0) {
        return error;
    }
    struct weft_select_case *c = &cases[done];
    c->result = weft_waiter_await(&c->party.waiter, "select");
    return done;
}

static int select_case(struct weft_select_case *cases, int n, bool may_wait,
                       uint64_t deadline) {
    struct weft_channel_party *served = NULL;
    if (n < 0) {
        weft_fatal("weft_select: %d cases; give their number", n);
    }
    put_in_lock_order(cases, n);
    put_in_random_order(cases, n);
    lock_all(cases, n);
    int done = look(cases, n, &served);
    if (done == -EAGAIN && may_wait) {
        return wait(cases, n, deadline);
    }
    unlock_all(cases, n);
    if (served != NULL) {
        weft_waiter_grant(&served->waiter, 0);
    }
    weft_runtime_leave();
    return done;
}

int weft_select(struct weft_select_case *cases, int n) {
    return select_case(cases, n, true, WEFT_FOREVER);
}

int weft_select_until(struct weft_select_case *cases, int n,
                      uint64_t deadline) {
    return select_case(cases, n, true, deadline);
}

int weft_try_select(struct weft_select_case *cases, int n) {
    return select_case(cases, n, false, 0);
}
