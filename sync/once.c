/* SPDX-License-Identifier: MIT */
/* A once is a state and a wait list.
 *
 *     OPEN --- run ---> RUNNING --- fn returned 0 ---> DONE: all waiters go on
 *      ^                 |   ^
 *      |                 |   +-- it failed, somebody waits: that one is next
 *      +-----------------+------ it failed, nobody waits
 *
 * Always true: the state changes under the list's lock; somebody waits only
 * while it is RUNNING, and then somebody is in `fn` or was granted YOUR_TURN
 * and is on the way there, whatever its deadline says. */
#include "weft/sync/once.h"

#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"

enum { OPEN, RUNNING, DONE };

/* What a waiter is granted. */
enum { IT_IS_DONE, YOUR_TURN };

/* Relaxed: under the lock. */
static uint32_t state_of(const struct weft_once *o) {
    return atomic_load_explicit(&o->state, memory_order_relaxed);
}

bool weft_once_is_done(const struct weft_once *o) {
    /* Acquire: pairs with the release in finish(). */
    return atomic_load_explicit(&o->state, memory_order_acquire) == DONE;
}

/* The caller's `fn` has returned: says so to those that wait. */
static void finish(struct weft_once *o, bool done) {
    struct weft_wait_chain chain = {0};
    weft_wait_list_enter(&o->waiters);
    weft_wait_list_choose_batch(&o->waiters, done ? WEFT_WAIT_BATCH : 1,
                                &chain);
    o->runner = NULL;
    if (done || chain.head == NULL) {
        /* Release: pairs with the acquire in weft_once_is_done(). */
        atomic_store_explicit(&o->state, done ? DONE : OPEN,
                              memory_order_release);
    }
    while (done && weft_wait_list_first(&o->waiters) != NULL) {
        /* Let others in between batches; nobody joins the list any more. */
        weft_wait_list_leave(&o->waiters);
        weft_wait_list_enter(&o->waiters);
        weft_wait_list_choose_batch(&o->waiters, WEFT_WAIT_BATCH, &chain);
    }
    weft_lock_release(&o->waiters.lock);
    weft_wait_chain_grant_and_leave(&chain, done ? IT_IS_DONE : YOUR_TURN);
}

/* Nobody has done it yet: 0 when it is done after all, YOUR_TURN when the
 * caller is to do it, or an error. */
static int wait(struct weft_once *o, uint64_t deadline) {
    struct weft_waiter w;
    struct weft_task *self = weft_self();
    weft_wait_list_enter(&o->waiters);
    uint32_t state = state_of(o);
    if (state == RUNNING) {
        if (self != NULL && o->runner == self) {
            weft_fatal(
                "weft_once_run: the function that task \"%s\" runs once runs "
                "the same once and would wait for itself",
                weft_task_name(self));
        }
        weft_wait_list_push(&o->waiters, &w);
    } else if (state == OPEN) {
        atomic_store_explicit(&o->state, RUNNING, memory_order_relaxed);
        o->runner = self;
    }
    weft_wait_list_leave(&o->waiters);
    if (state != RUNNING) {
        return state == OPEN ? YOUR_TURN : IT_IS_DONE;
    }
    int result = weft_wait_list_wait(&o->waiters, &w, deadline, "once");
    if (result == YOUR_TURN) {
        weft_wait_list_enter(&o->waiters);
        o->runner = self;
        weft_wait_list_leave(&o->waiters);
    }
    return result;
}

int weft_once_run_until(struct weft_once *o, int (*fn)(void *), void *arg,
                        uint64_t deadline) {
    if (WEFT_LIKELY(weft_once_is_done(o))) {
        return 0;
    }
    int result = wait(o, deadline);
    if (result == YOUR_TURN) {
        result = fn(arg);
        finish(o, result == 0);
    }
    return result;
}

int weft_once_run(struct weft_once *o, int (*fn)(void *), void *arg) {
    return weft_once_run_until(o, fn, arg, WEFT_FOREVER);
}
