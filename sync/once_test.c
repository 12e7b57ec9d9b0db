/* SPDX-License-Identifier: MIT */
/* What a once promises, one sentence each, and storms. */
#include "weft/sync/once.h"

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

static struct weft_once once;
static int calls;   /* of the functions below; plain, as their results are */
static int failing; /* how many calls fail before one succeeds */

static int work(void *arg) {
    calls++;
    weft_yield();
    if (failing > 0) {
        failing--;
        return -EIO;
    }
    *(long *)arg = 42;
    return 0;
}

static long made;

static void *runs(void *arg) {
    intptr_t error = weft_once_run(&once, work, &made);
    WEFT_CHECK(error != 0 || made == 42);
    return (void *)error;
}

static void begin(int failures) {
    once = (struct weft_once)WEFT_ONCE_INIT;
    calls = 0;
    made = 0;
    failing = failures;
}

static void storm(void *arg) {
    struct weft_task *tasks[16];
    for (int round = 0; round < WEFT_TEST_ROUNDS(500); round++) {
        int failures = round % 4;
        int failed = 0;
        begin(failures);
        for (int i = 0; i < 16; i++) {
            tasks[i] = weft_test_spawn(runs, NULL);
        }
        for (int i = 0; i < 16; i++) {
            intptr_t error = weft_test_join(tasks[i]);
            WEFT_CHECK(error == 0 || error == -EIO);
            failed += error != 0;
        }
        WEFT_CHECK_OP(failed, ==, failures);
        WEFT_CHECK_OP(calls, ==, failures + 1);
        WEFT_CHECK(weft_once_is_done(&once));
    }
}

static void it_is_done_once_and_all_see_it(void **state) {
    weft_test_run(storm, NULL);
}

static int never(void *arg) {
    WEFT_CHECK(false);
    return 0;
}

static _Atomic bool go_on;

static int is_slow(void *arg) {
    /* Acquire: pairs with the release in waiting(). */
    while (!atomic_load_explicit(&go_on, memory_order_acquire)) {
        weft_yield();
    }
    return (int)(intptr_t)arg;
}

static void *runs_slowly(void *arg) {
    return (void *)(intptr_t)weft_once_run(&once, is_slow, arg);
}

static void *runs_late(void *arg) {
    return (void *)(intptr_t)weft_once_run_until(&once, work, &made,
                                                 WEFT_FOREVER - 1);
}

static bool has_runner(void) {
    weft_wait_list_enter(&once.waiters);
    bool has = once.runner != NULL;
    weft_wait_list_leave(&once.waiters);
    return has;
}

static void waiting(void *arg) {
    begin(0);
    atomic_store_explicit(&go_on, false, memory_order_relaxed);
    struct weft_task *runner = weft_test_spawn(runs_slowly, (void *)-7);
    while (!has_runner()) {
        weft_yield();
    }
    struct weft_task *first = weft_test_spawn(runs_late, NULL);
    weft_test_await_count(&once.waiters, 1);
    struct weft_task *second = weft_test_spawn(runs_late, NULL);
    weft_test_await_count(&once.waiters, 2);
    WEFT_CHECK(!weft_once_is_done(&once));
    WEFT_CHECK_OP(weft_once_run_until(&once, never, NULL, 0), ==, -ETIMEDOUT);
    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_once_run_until(&once, never, NULL, soon), ==,
                  -ETIMEDOUT);
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    WEFT_CHECK_OP(calls, ==, 0);
    atomic_store_explicit(&go_on, true, memory_order_release);
    WEFT_CHECK_OP(weft_test_join(runner), ==, -7);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    WEFT_CHECK_OP(calls, ==, 1);
    WEFT_CHECK_OP(weft_once_run_until(&once, never, NULL, 0), ==, 0);
}

static void when_it_fails_the_next_that_waits_tries(void **state) {
    weft_test_run(waiting, NULL);
}

static void many(void *arg) {
    enum { TASKS = 3 * WEFT_WAIT_BATCH };
    static struct weft_task *tasks[TASKS];
    begin(0);
    atomic_store_explicit(&go_on, false, memory_order_relaxed);
    struct weft_task *runner = weft_test_spawn(runs_slowly, NULL);
    while (!has_runner()) {
        weft_yield();
    }
    made = 42; /* what is_slow() would do */
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(runs, NULL);
    }
    weft_test_await_count(&once.waiters, TASKS);
    atomic_store_explicit(&go_on, true, memory_order_release);
    WEFT_CHECK_OP(weft_test_join(runner), ==, 0);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
    }
    WEFT_CHECK_OP(calls, ==, 0);
}

static void all_that_wait_go_on_when_it_is_done(void **state) {
    weft_test_run(many, NULL);
}

static void from_outside(void *arg) {
    WEFT_CHECK_OP(weft_once_run(&once, work, &made), ==, 0);
    WEFT_CHECK_OP(made, ==, 42);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, NULL);
    return NULL;
}

static void foreign(void *arg) {
    begin(0);
    atomic_store_explicit(&go_on, false, memory_order_relaxed);
    struct weft_task *runner = weft_test_spawn(runs_slowly, (void *)-1);
    while (!has_runner()) {
        weft_yield();
    }
    struct weft_task *task = weft_test_spawn(goes_outside, NULL);
    weft_test_await_count(&once.waiters, 1);
    atomic_store_explicit(&go_on, true, memory_order_release);
    WEFT_CHECK_OP(weft_test_join(runner), ==, -1);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    WEFT_CHECK_OP(calls, ==, 1);
}

static void a_foreign_thread_runs_and_waits_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

static int runs_itself(void *arg) {
    return weft_once_run(&once, runs_itself, NULL);
}

static void recursion(void *arg) {
    begin(0);
    weft_once_run(&once, runs_itself, NULL);
}

static void a_once_within_itself_stops_with_a_sentence(void **state) {
    weft_test_stops(recursion, true, "runs the same once");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_done_once_and_all_see_it),
        cmocka_unit_test(when_it_fails_the_next_that_waits_tries),
        cmocka_unit_test(all_that_wait_go_on_when_it_is_done),
        cmocka_unit_test(a_foreign_thread_runs_and_waits_as_a_task_does),
        cmocka_unit_test(a_once_within_itself_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
