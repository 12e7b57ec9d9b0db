/* SPDX-License-Identifier: MIT */
/* Waiting for all: rounds, errors, and a group that dies with its waiter. */
#include "weft/sync/wait_group.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/testing.h"

static struct weft_wait_group g;
static uint64_t forever = WEFT_FOREVER;

static void *waits(void *arg) {
    return (void *)(intptr_t)weft_wait_group_wait_until(&g, *(uint64_t *)arg);
}

static void is_done(void *arg) {
    weft_wait_group_done(arg);
}

static void counts(void *arg) {
    WEFT_CHECK_OP(weft_wait_group_wait(&g), ==, 0);
    weft_wait_group_add(&g, 2);
    weft_wait_group_add(&g, 0);
    WEFT_CHECK_OP(weft_wait_group_count(&g), ==, 2u);
    WEFT_CHECK_OP(weft_wait_group_wait_until(&g, 1), ==, -ETIMEDOUT);
    struct weft_task *task = weft_test_spawn(waits, &forever);
    weft_test_await_count(&g.waiters, 1);
    weft_wait_group_done(&g);
    weft_test_await_count(&g.waiters, 1);
    weft_wait_group_done(&g);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    WEFT_CHECK_OP(weft_wait_group_count(&g), ==, 0u);
    WEFT_CHECK_OP(weft_wait_group_wait_until(&g, 1), ==, 0);
}

static void a_wait_ends_when_nothing_is_left(void **state) {
    weft_test_run(counts, NULL);
}

static void many(void *arg) {
    enum { TASKS = 2 * WEFT_WAIT_BATCH + 5 };
    static struct weft_task *tasks[TASKS];
    weft_wait_group_add(&g, 1);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(waits, &forever);
    }
    weft_test_await_count(&g.waiters, TASKS);
    weft_wait_group_done(&g);
    /* The next round begins before they have run: it is not theirs. */
    weft_wait_group_add(&g, 1);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
    }
    weft_wait_group_done(&g);
}

static void all_who_wait_wake_though_a_new_round_begins(void **state) {
    weft_test_run(many, NULL);
}

static void gives_up(void *arg) {
    uint64_t soon = weft_now() + WEFT_MS;
    weft_wait_group_add(&g, 1);
    struct weft_task *late = weft_test_spawn(waits, &soon);
    struct weft_task *task = weft_test_spawn(waits, &forever);
    WEFT_CHECK_OP(weft_test_join(late), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    weft_test_await_count(&g.waiters, 1);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
    weft_wait_group_done(&g);
    WEFT_CHECK_OP(weft_wait_group_wait(&g), ==, 0);
}

static void a_wait_may_end_by_deadline_or_cancellation(void **state) {
    weft_test_run(gives_up, NULL);
}

static void on_the_stack(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(20000); i++) {
        struct weft_wait_group all = WEFT_WAIT_GROUP_INIT;
        weft_wait_group_add(&all, 3);
        for (int k = 0; k < 3; k++) {
            WEFT_CHECK_OP(weft_go(is_done, &all), ==, 0);
        }
        WEFT_CHECK_OP(weft_wait_group_wait(&all), ==, 0);
        /* A done that touched it now would find this. */
        all = (struct weft_wait_group){.word = UINT64_MAX};
        all.waiters.lock.word = UINT32_MAX;
        __asm__ volatile("" ::"r"(&all) : "memory");
    }
}

static void a_group_may_die_when_its_wait_returns(void **state) {
    weft_test_run(on_the_stack, NULL);
}

/* Rounds of random waits while tasks add and finish. */
static long plain[16]; /* each written before a done, read after the wait */

static void writes(void *arg) {
    *(long *)arg += 1;
    weft_wait_group_done(&g);
}

static void *waits_shortly(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < WEFT_TEST_ROUNDS(4000); i++) {
        uint64_t wait = weft_test_random(&seed) % (20 * WEFT_US);
        int error = weft_wait_group_wait_until(&g, weft_now() + wait);
        WEFT_CHECK(error == 0 || error == -ETIMEDOUT);
    }
    return NULL;
}

static void rounds(void *arg) {
    struct weft_task *others[4];
    const int n = WEFT_TEST_ROUNDS(4000);
    for (uintptr_t i = 0; i < 4; i++) {
        others[i] = weft_test_spawn(waits_shortly, (void *)(i + 1));
    }
    for (int i = 0; i < 16; i++) {
        plain[i] = 0;
    }
    for (int round = 1; round <= n; round++) {
        weft_wait_group_add(&g, 16);
        for (int i = 0; i < 16; i++) {
            WEFT_CHECK_OP(weft_go(writes, &plain[i]), ==, 0);
        }
        WEFT_CHECK_OP(weft_wait_group_wait(&g), ==, 0);
        for (int i = 0; i < 16; i++) {
            WEFT_CHECK_OP(plain[i], ==, (long)round);
        }
    }
    for (int i = 0; i < 4; i++) {
        weft_test_join(others[i]);
    }
    WEFT_CHECK_OP(g.waiters.count, ==, 0u);
}

static void what_was_done_is_seen_after_the_wait(void **state) {
    weft_test_run(rounds, NULL);
}

static void from_outside(void *arg) {
    WEFT_CHECK(!weft_wait_group_try_wait(&g));
    WEFT_CHECK_OP(weft_wait_group_wait_until(&g, 0), ==, -ETIMEDOUT);
    weft_wait_group_done(&g);
    WEFT_CHECK(!weft_wait_group_try_wait(&g));
    WEFT_CHECK_OP(weft_wait_group_wait(&g), ==, 0);
    WEFT_CHECK(weft_wait_group_try_wait(&g));
    WEFT_CHECK_OP(weft_wait_group_wait_until(&g, 0), ==, 0);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, NULL);
    return NULL;
}

static void foreign(void *arg) {
    weft_wait_group_add(&g, 2);
    struct weft_task *task = weft_test_spawn(waits, &forever);
    weft_test_await_count(&g.waiters, 1);
    struct weft_task *outside = weft_test_spawn(goes_outside, NULL);
    while (weft_wait_group_count(&g) > 1) {
        weft_yield();
    }
    weft_test_await_count(&g.waiters, 2);
    weft_wait_group_done(&g);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    WEFT_CHECK_OP(weft_test_join(outside), ==, 0);
}

static void a_foreign_thread_waits_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

static void *waits_in_spite_of_it(void *arg) {
    while (!weft_cancelled()) {
        weft_yield();
    }
    weft_wait_group_wait_uncancellable(&g);
    return (void *)(intptr_t)weft_wait_group_count(&g);
}

static void uncancellable(void *arg) {
    weft_wait_group_add(&g, 1);
    struct weft_task *task = weft_test_spawn(waits_in_spite_of_it, NULL);
    weft_cancel(task);
    weft_test_await_count(&g.waiters, 1);
    for (int i = 0; i < 100; i++) {
        weft_yield();
    }
    weft_test_await_count(&g.waiters, 1);
    weft_wait_group_done(&g);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
}

static void a_wait_may_be_made_that_cancelling_does_not_end(void **state) {
    weft_test_run(uncancellable, NULL);
}

static void done_too_often(void *arg) {
    weft_wait_group_add(&g, 1);
    weft_wait_group_done(&g);
    weft_wait_group_done(&g);
}

static void too_much(void *arg) {
    weft_wait_group_add(&g, UINT32_MAX);
    weft_wait_group_add(&g, 1);
}

static void misuse_stops_with_a_sentence(void **state) {
    weft_test_stops(done_too_often, false, "nothing was left to be done");
    weft_test_stops(too_much, false, "more than 4294967295 things");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_when_nothing_is_left),
        cmocka_unit_test(all_who_wait_wake_though_a_new_round_begins),
        cmocka_unit_test(a_wait_may_end_by_deadline_or_cancellation),
        cmocka_unit_test(a_group_may_die_when_its_wait_returns),
        cmocka_unit_test(what_was_done_is_seen_after_the_wait),
        cmocka_unit_test(a_foreign_thread_waits_as_a_task_does),
        cmocka_unit_test(a_wait_may_be_made_that_cancelling_does_not_end),
        cmocka_unit_test(misuse_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
