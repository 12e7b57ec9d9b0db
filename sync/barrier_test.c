/* SPDX-License-Identifier: MIT */
/* What a barrier promises, one sentence each, and storms. */
#include "weft/sync/barrier.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/testing.h"

enum { PARTIES = 8 };

static struct weft_barrier b;
static long plain[PARTIES];
static _Atomic long lasts;

static void *goes_round(void *arg) {
    int me = (int)(intptr_t)arg;
    uint64_t seed = (uint64_t)me + 1;
    int rounds = WEFT_TEST_ROUNDS(2000);
    for (long round = 1; round <= rounds; round++) {
        plain[me] = round;
        int result = weft_barrier_wait(&b);
        WEFT_CHECK(result == 0 || result == WEFT_BARRIER_LAST);
        lasts += result == WEFT_BARRIER_LAST;
        for (int i = 0; i < PARTIES; i++) {
            WEFT_CHECK_OP(plain[i], ==, round);
        }
        if (weft_test_random(&seed) % 4 == 0) {
            weft_yield();
        }
        /* Nobody writes before all have read. */
        while (weft_barrier_wait_until(&b, weft_now() + 50 * WEFT_US) ==
               -ETIMEDOUT) {
        }
    }
    return NULL;
}

static void rounds(void *arg) {
    struct weft_task *tasks[PARTIES];
    weft_barrier_init(&b, PARTIES);
    for (intptr_t i = 0; i < PARTIES; i++) {
        tasks[i] = weft_test_spawn(goes_round, (void *)i);
    }
    for (int i = 0; i < PARTIES; i++) {
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK_OP(atomic_load(&lasts), ==, (long)WEFT_TEST_ROUNDS(2000));
    WEFT_CHECK_OP(b.waiters.count, ==, 0u);
}

static void each_round_ends_with_all_and_has_one_last(void **state) {
    weft_test_run(rounds, NULL);
}

static void *waits(void *arg) {
    return (void *)(intptr_t)weft_barrier_wait_until(&b, *(uint64_t *)arg);
}

static uint64_t forever = WEFT_FOREVER;

static void gives_up(void *arg) {
    weft_barrier_init(&b, 3);
    WEFT_CHECK(!weft_barrier_try_wait(&b));
    WEFT_CHECK_OP(weft_barrier_wait_until(&b, 0), ==, -ETIMEDOUT);
    struct weft_task *first = weft_test_spawn(waits, &forever);
    struct weft_task *second = weft_test_spawn(waits, &forever);
    weft_test_await_count(&b.waiters, 2);
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    WEFT_CHECK(!weft_barrier_try_wait(&b));
    first = weft_test_spawn(waits, &forever);
    weft_test_await_count(&b.waiters, 2);
    WEFT_CHECK(weft_barrier_try_wait(&b));
    WEFT_CHECK_OP(weft_test_join(first), ==, 0);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    /* The last one comes whatever its deadline. */
    uint64_t late_enough = WEFT_FOREVER - 1;
    first = weft_test_spawn(waits, &late_enough);
    second = weft_test_spawn(waits, &forever);
    weft_test_await_count(&b.waiters, 2);
    WEFT_CHECK_OP(weft_barrier_wait_until(&b, 0), ==, WEFT_BARRIER_LAST);
    WEFT_CHECK_OP(weft_test_join(first), ==, 0);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    weft_barrier_init(&b, 1);
    WEFT_CHECK_OP(weft_barrier_wait(&b), ==, WEFT_BARRIER_LAST);
    WEFT_CHECK(weft_barrier_try_wait(&b));
}

static void who_gives_up_has_not_come(void **state) {
    weft_test_run(gives_up, NULL);
}

static void many(void *arg) {
    enum { TASKS = 5 * WEFT_WAIT_BATCH };
    static struct weft_task *tasks[TASKS];
    weft_barrier_init(&b, TASKS + 1);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(waits, &forever);
    }
    WEFT_CHECK(weft_barrier_wait(&b) >= 0);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK(weft_test_join(tasks[i]) >= 0);
    }
}

static void a_round_may_have_many(void **state) {
    weft_test_run(many, NULL);
}

static void from_outside(void *arg) {
    WEFT_CHECK(weft_barrier_wait(&b) >= 0);
    WEFT_CHECK(weft_barrier_wait(&b) >= 0);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, NULL);
    return NULL;
}

static void foreign(void *arg) {
    weft_barrier_init(&b, 2);
    struct weft_task *task = weft_test_spawn(goes_outside, NULL);
    weft_test_await_count(&b.waiters, 1);
    WEFT_CHECK_OP(weft_barrier_wait(&b), ==, WEFT_BARRIER_LAST);
    WEFT_CHECK(weft_barrier_wait(&b) >= 0);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
}

static void a_foreign_thread_waits_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

static void nobody(void *arg) {
    weft_barrier_init(&b, 0);
}

static void a_round_of_nobody_stops_with_a_sentence(void **state) {
    weft_test_stops(nobody, false, "a round of nobody");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_round_ends_with_all_and_has_one_last),
        cmocka_unit_test(who_gives_up_has_not_come),
        cmocka_unit_test(a_round_may_have_many),
        cmocka_unit_test(a_foreign_thread_waits_as_a_task_does),
        cmocka_unit_test(a_round_of_nobody_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
