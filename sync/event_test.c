/* SPDX-License-Identifier: MIT */
/* What an event promises, one sentence each, and storms. */
#include "weft/sync/event.h"

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

static struct weft_event e;

static void *waits(void *arg) {
    return (void *)(intptr_t)weft_event_wait_until(&e, *(uint64_t *)arg);
}

static uint64_t forever = WEFT_FOREVER;

static void late(void *arg) {
    e = (struct weft_event)WEFT_EVENT_INIT;
    WEFT_CHECK(!weft_event_try_wait(&e));
    WEFT_CHECK_OP(weft_event_wait_until(&e, 0), ==, -ETIMEDOUT);
    weft_event_set(&e);
    weft_event_set(&e);
    WEFT_CHECK(weft_event_try_wait(&e));
    WEFT_CHECK_OP(weft_event_wait(&e), ==, 0);
    WEFT_CHECK_OP(weft_event_wait_until(&e, 0), ==, 0);
    weft_event_reset(&e);
    weft_event_reset(&e);
    WEFT_CHECK(!weft_event_try_wait(&e));
    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_event_wait_until(&e, soon), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
}

static void who_comes_after_the_set_does_not_wait(void **state) {
    weft_test_run(late, NULL);
}

static void all(void *arg) {
    enum { TASKS = 3 * WEFT_WAIT_BATCH + 1 };
    static struct weft_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(waits, &forever);
    }
    weft_test_await_count(&e.waiters, TASKS);
    weft_event_set(&e);
    weft_event_reset(&e);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
    }
    WEFT_CHECK(!weft_event_try_wait(&e));
}

static void a_set_wakes_all_whatever_a_reset_does(void **state) {
    weft_test_run(all, NULL);
}

static void gives_up(void *arg) {
    uint64_t late_enough = WEFT_FOREVER - 1;
    struct weft_task *first = weft_test_spawn(waits, &late_enough);
    struct weft_task *second = weft_test_spawn(waits, &forever);
    weft_test_await_count(&e.waiters, 2);
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    weft_event_set(&e);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    weft_event_reset(&e);
}

static void a_cancelled_wait_ends_and_others_go_on(void **state) {
    weft_test_run(gives_up, NULL);
}

static struct weft_event answer;

static void from_outside(void *arg) {
    WEFT_CHECK_OP(weft_event_wait_until(&e, weft_now() + WEFT_MS), ==,
                  -ETIMEDOUT);
    weft_event_set(&answer);
    WEFT_CHECK_OP(weft_event_wait(&e), ==, 0);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, NULL);
    return NULL;
}

static void foreign(void *arg) {
    struct weft_task *task = weft_test_spawn(goes_outside, NULL);
    WEFT_CHECK_OP(weft_event_wait(&answer), ==, 0);
    weft_test_await_count(&e.waiters, 1);
    weft_event_set(&e);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    weft_event_reset(&e);
    weft_event_reset(&answer);
}

static void a_foreign_thread_sets_and_waits_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

/* Each round has an event and what it tells of in memory of its own, which the
 * waiter that needed it frees at once. */
struct round {
    struct weft_event done;
    long plain;
};

static void *tells(void *arg) {
    struct round *round = arg;
    round->plain = 42;
    weft_event_set(&round->done);
    return NULL;
}

static void rounds(void *arg) {
    uint64_t seed = 5;
    for (int i = 0; i < WEFT_TEST_ROUNDS(10000); i++) {
        struct round *round = calloc(1, sizeof *round);
        WEFT_CHECK(round != NULL);
        struct weft_task *task = weft_test_spawn(tells, round);
        if (weft_test_random(&seed) % 2 == 0) {
            weft_yield();
        }
        if (i % 3 == 0) {
            uint64_t wait = weft_test_random(&seed) % (10 * WEFT_US);
            while (weft_event_wait_until(&round->done, weft_now() + wait) ==
                   -ETIMEDOUT) {
            }
        } else {
            WEFT_CHECK_OP(weft_event_wait(&round->done), ==, 0);
        }
        WEFT_CHECK_OP(round->plain, ==, 42);
        free(round);
        weft_test_join(task);
    }
}

static void who_saw_it_set_sees_what_was_done_and_may_free_it(void **state) {
    weft_test_run(rounds, NULL);
}

/* Waiters, setters and resets at random; in the end it is set. */
static _Atomic long waited;

static void *waits_on(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < WEFT_TEST_ROUNDS(3000); i++) {
        uint64_t wait = weft_test_random(&seed) % (20 * WEFT_US);
        int error = weft_event_wait_until(&e, weft_now() + wait);
        WEFT_CHECK(error == 0 || error == -ETIMEDOUT);
        atomic_fetch_add_explicit(&waited, error == 0, memory_order_relaxed);
    }
    return (void *)(intptr_t)weft_event_wait(&e);
}

static void *changes(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < WEFT_TEST_ROUNDS(10000); i++) {
        if (weft_test_random(&seed) % 2 == 0) {
            weft_event_set(&e);
        } else {
            weft_event_reset(&e);
        }
        if (weft_test_random(&seed) % 8 == 0) {
            weft_yield();
        }
    }
    return NULL;
}

static void storm(void *arg) {
    struct weft_task *tasks[12];
    for (uintptr_t i = 0; i < 12; i++) {
        tasks[i] = weft_test_spawn(i < 9 ? waits_on : changes, (void *)(i + 1));
    }
    for (int i = 9; i < 12; i++) {
        weft_test_join(tasks[i]);
    }
    weft_event_set(&e);
    for (int i = 0; i < 9; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
    }
    WEFT_CHECK(atomic_load(&waited) > 0);
    WEFT_CHECK_OP(e.waiters.count, ==, 0u);
    weft_event_reset(&e);
}

static void no_waiter_is_forgotten_in_a_storm(void **state) {
    weft_test_run(storm, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_after_the_set_does_not_wait),
        cmocka_unit_test(a_set_wakes_all_whatever_a_reset_does),
        cmocka_unit_test(a_cancelled_wait_ends_and_others_go_on),
        cmocka_unit_test(a_foreign_thread_sets_and_waits_as_a_task_does),
        cmocka_unit_test(who_saw_it_set_sees_what_was_done_and_may_free_it),
        cmocka_unit_test(no_waiter_is_forgotten_in_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
