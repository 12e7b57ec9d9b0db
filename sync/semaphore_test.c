/* SPDX-License-Identifier: MIT */
/* Permits: their order, and that none is lost or made up. */
#include "weft/sync/semaphore.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/testing.h"

static struct weft_semaphore s;
static uint64_t forever = WEFT_FOREVER;

static void *acquires(void *arg) {
    return (void *)(intptr_t)weft_semaphore_acquire_until(&s, *(uint64_t *)arg);
}

static void counts(void *arg) {
    weft_semaphore_init(&s, 2);
    WEFT_CHECK_OP(weft_semaphore_acquire(&s), ==, 0);
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&s, 1), ==, 0);
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 0u);
    WEFT_CHECK(!weft_semaphore_try_acquire(&s));
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&s, 1), ==, -ETIMEDOUT);
    /* The wait that gave up has left nothing that keeps permits back. */
    weft_semaphore_release(&s, 3);
    weft_semaphore_release(&s, 0);
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 3u);
    WEFT_CHECK(weft_semaphore_try_acquire(&s));
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 2u);
}

static void there_are_as_many_permits_as_were_given(void **state) {
    weft_test_run(counts, NULL);
}

static void in_order(void *arg) {
    struct weft_task *tasks[5];
    weft_semaphore_init(&s, 0);
    for (uint32_t i = 0; i < 5; i++) {
        tasks[i] = weft_test_spawn(acquires, &forever);
        weft_test_await_count(&s.waiters, i + 1);
    }
    weft_semaphore_release(&s, 1);
    WEFT_CHECK(!weft_semaphore_try_acquire(&s)); /* it is spoken for */
    WEFT_CHECK_OP(weft_test_join(tasks[0]), ==, 0);
    weft_semaphore_release(&s, 2);
    WEFT_CHECK_OP(weft_test_join(tasks[1]), ==, 0);
    WEFT_CHECK_OP(weft_test_join(tasks[2]), ==, 0);
    weft_test_await_count(&s.waiters, 2);
    weft_semaphore_release(&s, 4);
    WEFT_CHECK_OP(weft_test_join(tasks[3]), ==, 0);
    WEFT_CHECK_OP(weft_test_join(tasks[4]), ==, 0);
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 2u);
}

static void permits_go_to_those_that_wait_in_their_order(void **state) {
    weft_test_run(in_order, NULL);
}

static void many(void *arg) {
    enum { TASKS = 2 * WEFT_WAIT_BATCH + 7 };
    static struct weft_task *tasks[TASKS];
    weft_semaphore_init(&s, 0);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(acquires, &forever);
    }
    weft_test_await_count(&s.waiters, TASKS);
    weft_semaphore_release(&s, TASKS + 1);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
    }
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 1u);
}

static void one_release_wakes_many(void **state) {
    weft_test_run(many, NULL);
}

static void cancelled(void *arg) {
    weft_semaphore_init(&s, 0);
    struct weft_task *first = weft_test_spawn(acquires, &forever);
    weft_test_await_count(&s.waiters, 1);
    struct weft_task *second = weft_test_spawn(acquires, &forever);
    weft_test_await_count(&s.waiters, 2);
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    weft_semaphore_release(&s, 1);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 0u);
}

static void a_cancelled_wait_takes_no_permit(void **state) {
    weft_test_run(cancelled, NULL);
}

/* Each takes two turns of the kernel's scheduler. */
enum { OUTSIDE_ROUNDS = 100 };

static struct weft_semaphore back;

static void from_outside(void *arg) {
    weft_semaphore_release(&s, 1); /* to the task that waits */
    WEFT_CHECK(!weft_semaphore_try_acquire(&s));
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&s, 0), ==, -ETIMEDOUT);
    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&s, soon), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    weft_semaphore_release(&s, 1);
    WEFT_CHECK_OP(weft_semaphore_acquire(&s), ==, 0);
    weft_semaphore_release(&back, 1);
    for (int i = 0; i < OUTSIDE_ROUNDS; i++) {
        WEFT_CHECK_OP(weft_semaphore_acquire_until(&s, WEFT_FOREVER - 1), ==,
                      0);
        weft_semaphore_release(&back, 1);
    }
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, NULL);
    return NULL;
}

static void foreign(void *arg) {
    weft_semaphore_init(&s, 0);
    struct weft_task *task = weft_test_spawn(acquires, &forever);
    weft_test_await_count(&s.waiters, 1);
    struct weft_task *outside = weft_test_spawn(goes_outside, NULL);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    WEFT_CHECK_OP(weft_semaphore_acquire(&back), ==, 0);
    for (int i = 0; i < OUTSIDE_ROUNDS; i++) {
        weft_semaphore_release(&s, 1);
        WEFT_CHECK_OP(weft_semaphore_acquire_until(&back, WEFT_FOREVER - 1), ==,
                      0);
    }
    WEFT_CHECK_OP(weft_test_join(outside), ==, 0);
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 0u);
}

static void a_foreign_thread_waits_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

/* Three permits; who has one counts itself in. */
static _Atomic int holders;

static void *comes_and_goes(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    intptr_t got = 0;
    for (int i = 0; i < WEFT_TEST_ROUNDS(5000); i++) {
        uint64_t wait = weft_test_random(&seed) % (30 * WEFT_US);
        int error = (uintptr_t)arg % 2 == 0
                        ? weft_semaphore_acquire(&s)
                        : weft_semaphore_acquire_until(&s, weft_now() + wait);
        if (error != 0) {
            WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
            continue;
        }
        /* Relaxed: a count, no more. */
        int now =
            1 + atomic_fetch_add_explicit(&holders, 1, memory_order_relaxed);
        WEFT_CHECK(now <= 3);
        for (volatile int k = 0; k < (int)(wait / 64); k++) {
        }
        atomic_fetch_sub_explicit(&holders, 1, memory_order_relaxed);
        weft_semaphore_release(&s, 1);
        got++;
    }
    return (void *)got;
}

static void races(void *arg) {
    struct weft_task *tasks[16];
    weft_semaphore_init(&s, 3);
    for (uintptr_t i = 0; i < 16; i++) {
        tasks[i] = weft_test_spawn(comes_and_goes, (void *)(i + 1));
    }
    for (int i = 0; i < 16; i++) {
        WEFT_CHECK(weft_test_join(tasks[i]) > 0);
    }
    WEFT_CHECK_OP(weft_semaphore_value(&s), ==, 3u);
    WEFT_CHECK_OP(s.waiters.count, ==, 0u);
}

static void deadlines_that_race_with_releases_lose_no_permit(void **state) {
    weft_test_run(races, NULL);
}

static void *releases(void *arg) {
    weft_semaphore_release(arg, 1);
    return NULL;
}

static void freed(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(10000); i++) {
        struct weft_semaphore *done = calloc(1, sizeof(*done));
        WEFT_CHECK(done != NULL);
        struct weft_task *task = weft_test_spawn(releases, done);
        WEFT_CHECK_OP(weft_semaphore_acquire(done), ==, 0);
        free(done);
        weft_test_join(task);
    }
}

static void who_took_the_last_permit_may_free_it_at_once(void **state) {
    weft_test_run(freed, NULL);
}

static void overflows(void *arg) {
    weft_semaphore_init(&s, WEFT_SEMAPHORE_MAX);
    weft_semaphore_release(&s, 1);
}

static void too_many_permits_stop_with_a_sentence(void **state) {
    weft_test_stops(overflows, false, "more than 4294967295 permits");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_as_many_permits_as_were_given),
        cmocka_unit_test(permits_go_to_those_that_wait_in_their_order),
        cmocka_unit_test(one_release_wakes_many),
        cmocka_unit_test(a_cancelled_wait_takes_no_permit),
        cmocka_unit_test(a_foreign_thread_waits_as_a_task_does),
        cmocka_unit_test(deadlines_that_race_with_releases_lose_no_permit),
        cmocka_unit_test(who_took_the_last_permit_may_free_it_at_once),
        cmocka_unit_test(too_many_permits_stop_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
