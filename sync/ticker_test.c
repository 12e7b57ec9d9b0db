/* SPDX-License-Identifier: MIT */
/* What a ticker promises, one sentence each. */
#include "weft/sync/ticker.h"

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

/* Where the next tick must lie: whole periods after the start. */
static void stands_at(const struct weft_ticker *t, uint64_t first,
                      uint64_t taken) {
    WEFT_CHECK_OP(weft_ticker_next(t), ==,
                  first + (taken + t->missed) * t->period);
}

static void ticks(void *arg) {
    struct weft_ticker t;
    uint64_t before = weft_now();
    weft_ticker_init(&t, 100 * WEFT_US);
    uint64_t first = weft_ticker_next(&t);
    WEFT_CHECK(first >= before + 100 * WEFT_US);
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= 50; i++) {
        uint64_t due = weft_ticker_next(&t);
        int missed = weft_ticker_wait(&t);
        WEFT_CHECK(missed >= 0);
        sum += (uint64_t)missed;
        WEFT_CHECK_OP(t.missed, ==, sum);
        WEFT_CHECK(weft_now() >= due);
        WEFT_CHECK(weft_ticker_next(&t) > due);
        stands_at(&t, first, i);
        if (i % 10 == 0) {
            weft_sleep(350 * WEFT_US);
        }
    }
}

static void ticks_come_at_whole_periods_whatever_the_work_takes(void **state) {
    weft_test_run(ticks, NULL);
}

static void late(void *arg) {
    struct weft_ticker t;
    weft_ticker_init(&t, WEFT_MS);
    uint64_t first = weft_ticker_next(&t);
    weft_sleep_until(first + 5 * WEFT_MS);
    /* The sixth is the one to be had, or a later one on a busy machine. */
    int missed = weft_ticker_wait(&t);
    WEFT_CHECK(missed >= 5);
    WEFT_CHECK_OP(t.missed, ==, (uint64_t)missed);
    stands_at(&t, first, 1);
    WEFT_CHECK(weft_ticker_next(&t) > first + 5 * WEFT_MS);
}

static void missed_ticks_are_dropped_and_counted(void **state) {
    weft_test_run(late, NULL);
}

static void *waits(void *arg) {
    return (void *)(intptr_t)weft_ticker_wait(arg);
}

static void gives_up(void *arg) {
    struct weft_ticker t;
    weft_ticker_init(&t, WEFT_FOREVER); /* never */
    WEFT_CHECK_OP(weft_ticker_try_wait(&t), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_ticker_wait_until(&t, 0), ==, -ETIMEDOUT);
    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_ticker_wait_until(&t, soon), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    struct weft_task *task = weft_test_spawn(waits, &t);
    weft_test_await_waiting(task);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
    WEFT_CHECK_OP(t.missed, ==, 0u);
    WEFT_CHECK_OP(weft_ticker_next(&t), ==, WEFT_FOREVER);
}

static void who_gives_up_leaves_the_tick_to_come(void **state) {
    weft_test_run(gives_up, NULL);
}

static void *takes_when_cancelled(void *arg) {
    while (!weft_cancelled()) {
        weft_yield();
    }
    while (weft_now() < weft_ticker_next(arg)) {
        weft_yield();
    }
    WEFT_CHECK(weft_ticker_wait_until(arg, 0) >= 0);
    return NULL;
}

static void due(void *arg) {
    struct weft_ticker t;
    weft_ticker_init(&t, 10 * WEFT_US);
    struct weft_task *task = weft_test_spawn(takes_when_cancelled, &t);
    weft_cancel(task);
    weft_test_join(task);
}

static void a_tick_that_is_due_needs_no_wait(void **state) {
    weft_test_run(due, NULL);
}

static void outside_a_task_it_blocks_the_thread(void **state) {
    struct weft_ticker t;
    weft_ticker_init(&t, WEFT_MS);
    uint64_t due_at = weft_ticker_next(&t);
    assert_true(weft_ticker_wait(&t) >= 0);
    assert_true(weft_now() >= due_at);
}

static void no_period(void *arg) {
    struct weft_ticker t;
    weft_ticker_init(&t, 0);
}

static void a_period_of_0_stops_with_a_sentence(void **state) {
    weft_test_stops(no_period, false, "a period of 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_come_at_whole_periods_whatever_the_work_takes),
        cmocka_unit_test(missed_ticks_are_dropped_and_counted),
        cmocka_unit_test(who_gives_up_leaves_the_tick_to_come),
        cmocka_unit_test(a_tick_that_is_due_needs_no_wait),
        cmocka_unit_test(outside_a_task_it_blocks_the_thread),
        cmocka_unit_test(a_period_of_0_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
