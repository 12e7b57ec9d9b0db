/* SPDX-License-Identifier: MIT */
/* Tasks that wait for each other: tokens that are given and taken while
 * deadlines pass, and waits that are cancelled, joined, given up. */
#include <stdatomic.h>

#include "tests/storm.h"
#include "tests/storm/blocking.h"
#include "weft/sched/park.h"

enum { TURNS = 8 };

/* Two that take turns. */
struct pair {
    struct weft_task *_Atomic task[2];
    _Atomic unsigned turn;
    uint32_t random;
};

static unsigned turn_of(struct pair *p) {
    return atomic_load_explicit(&p->turn, memory_order_acquire);
}

static void take_turns(struct pair *p, unsigned me) {
    atomic_store_explicit(&p->task[me], weft_self(), memory_order_release);
    while (turn_of(p) < TURNS) {
        unsigned turn = turn_of(p);
        if (turn % 2 != me) {
            /* Now and then with a deadline, which may pass in the same moment
             * in which the token comes. */
            int result = weft_park((p->random >> turn) % 4 == 0
                                       ? weft_now() + 20 * WEFT_US
                                       : WEFT_FOREVER,
                                   "turn");
            WEFT_CHECK(result == 0 || result == -ETIMEDOUT);
            continue;
        }
        atomic_store_explicit(&p->turn, turn + 1, memory_order_release);
        struct weft_task *other =
            atomic_load_explicit(&p->task[!me], memory_order_acquire);
        if (other != NULL) {
            weft_unpark(other);
        }
    }
}

static void *take_second_turn(void *pair) {
    take_turns(pair, 1);
    return pair;
}

static void park_by_turns(struct storm_task *self) {
    struct pair p = {.random = storm_random(self)};
    struct weft_task *other = start(take_second_turn, &p);
    take_turns(&p, 0);
    join(other);
}

STORM_KIND(park_turns, park_by_turns, NULL, NULL);

static void *wait_to_be_cancelled(void *how) {
    int result = 0;
    while (!weft_cancelled()) {
        switch ((uintptr_t)how % 4) {
            case 0:
                result = weft_sleep_until(WEFT_FOREVER);
                break;
            case 1:
                result = weft_park(WEFT_FOREVER, "to be cancelled");
                break;
            case 2:
                result = weft_sleep(30 * WEFT_US);
                break;
            default:
                STORM_CHECK();
        }
        WEFT_CHECK(result == 0 || result == -ECANCELED);
    }
    return how;
}

static void leave_alone(void *arg) {
    (void)arg;
    storm_work(5000);
}

static void cancel_another(struct storm_task *self) {
    void *how = (void *)(uintptr_t)storm_random(self);
    struct weft_task *task = start(wait_to_be_cancelled, how);
    WEFT_CHECK_OP(weft_go(leave_alone, NULL), ==, 0);
    if (storm_random(self) % 2 == 0) {
        WEFT_CHECK_OP(weft_join_until(task, NULL, weft_now() + 50 * WEFT_US),
                      ==, -ETIMEDOUT);
    }
    WEFT_CHECK_OP(weft_cancel(task), ==, 0);
    if (storm_random(self) % 4 == 0) {
        WEFT_CHECK_OP(weft_detach(task), ==, 0);
    } else {
        void *result;
        WEFT_CHECK_OP(weft_join(task, &result), ==, 0);
        WEFT_CHECK_OP(result, ==, how);
    }
}

STORM_KIND(cancel, cancel_another, NULL, NULL);
