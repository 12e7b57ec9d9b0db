/* SPDX-License-Identifier: MIT */
/* Signals, broadcasts, and waits that end otherwise. */
#include "weft/sync/condition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/testing.h"

static struct weft_mutex m;
static struct weft_condition c;
static int order; /* under `m`: how many have woken */

/* Waits once, until the deadline at `arg`; 100 and the order of waking, or the
 * error. Holds the mutex again whatever came back. */
static void *waits_once(void *arg) {
    weft_mutex_lock(&m);
    int error = weft_condition_wait_until(&c, &m, *(uint64_t *)arg);
    WEFT_CHECK(weft_mutex_is_mine(&m));
    intptr_t result = error == 0 ? 100 + order++ : error;
    weft_mutex_unlock(&m);
    return (void *)result;
}

static uint64_t forever = WEFT_FOREVER;

static void signals_in_order(void *arg) {
    struct weft_task *tasks[4];
    order = 0;
    weft_condition_signal(&c); /* for nobody: it is not kept */
    for (uint32_t i = 0; i < 4; i++) {
        tasks[i] = weft_test_spawn(waits_once, &forever);
        weft_test_await_count(&c.waiters, i + 1);
    }
    for (int i = 0; i < 4; i++) {
        weft_condition_signal(&c);
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 100 + i);
        weft_test_await_count(&c.waiters, (uint32_t)(3 - i));
    }
}

static void a_signal_wakes_the_one_that_waits_longest(void **state) {
    weft_test_run(signals_in_order, NULL);
}

static void broadcasts(void *arg) {
    enum { TASKS = 2 * WEFT_WAIT_BATCH + 3 };
    static struct weft_task *tasks[TASKS];
    weft_condition_broadcast(&c);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(waits_once, &forever);
    }
    weft_test_await_count(&c.waiters, TASKS);
    weft_mutex_lock(&m);
    weft_condition_broadcast(&c);
    order = 0;
    weft_mutex_unlock(&m);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK(weft_test_join(tasks[i]) >= 100);
    }
    WEFT_CHECK_OP(order, ==, (int)TASKS);
}

static void a_broadcast_wakes_all(void **state) {
    weft_test_run(broadcasts, NULL);
}

static void ends_otherwise(void *arg) {
    uint64_t past = 1, soon = weft_now() + WEFT_MS;
    order = 0;
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(waits_once, &past)), ==,
                  -ETIMEDOUT);
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(waits_once, &soon)), ==,
                  -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    struct weft_task *first = weft_test_spawn(waits_once, &forever);
    weft_test_await_count(&c.waiters, 1);
    struct weft_task *second = weft_test_spawn(waits_once, &forever);
    weft_test_await_count(&c.waiters, 2);
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    /* What was left behind takes no signal away from the other. */
    weft_condition_signal(&c);
    WEFT_CHECK_OP(weft_test_join(second), ==, 100);
    WEFT_CHECK_OP(m.word, ==, 0u);
}

static void a_wait_that_gives_up_holds_the_mutex_and_takes_no_signal(
    void **state) {
    weft_test_run(ends_otherwise, NULL);
}

/* A bounded store between producers and consumers, some of them impatient. */
static struct weft_condition not_full, not_empty;
static int stored, eaten, to_eat;

static void *produces(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(10000); i++) {
        weft_mutex_lock(&m);
        while (stored == 2) {
            WEFT_CHECK_OP(weft_condition_wait(&not_full, &m), ==, 0);
        }
        stored++;
        weft_condition_signal(&not_empty);
        weft_mutex_unlock(&m);
    }
    return NULL;
}

static void *consumes(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    weft_mutex_lock(&m);
    while (eaten < to_eat) {
        while (stored == 0 && eaten < to_eat) {
            /* Half of them wait for as long as it takes, and trust the
             * signals. */
            uint64_t wait = weft_test_random(&seed) % (20 * WEFT_US);
            int error = (uintptr_t)arg % 2 == 0
                            ? weft_condition_wait(&not_empty, &m)
                            : weft_condition_wait_until(&not_empty, &m,
                                                        weft_now() + wait);
            WEFT_CHECK(error == 0 || error == -ETIMEDOUT);
        }
        if (stored > 0) {
            stored--;
            eaten++;
        }
        if (eaten == to_eat) {
            weft_condition_broadcast(&not_empty);
        }
        weft_mutex_unlock(&m);
        weft_condition_signal(&not_full); /* after the unlock: allowed */
        weft_mutex_lock(&m);
    }
    weft_mutex_unlock(&m);
    return NULL;
}

static void passes_on(void *arg) {
    struct weft_task *tasks[16];
    stored = eaten = 0;
    to_eat = 8 * WEFT_TEST_ROUNDS(10000);
    for (uintptr_t i = 0; i < 16; i++) {
        tasks[i] = i < 8 ? weft_test_spawn(produces, NULL)
                         : weft_test_spawn(consumes, (void *)i);
    }
    for (int i = 0; i < 16; i++) {
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK_OP(eaten, ==, to_eat);
    WEFT_CHECK_OP(stored, ==, 0);
}

static void no_signal_is_lost_between_producers_and_consumers(void **state) {
    weft_test_run(passes_on, NULL);
}

struct once {
    struct weft_mutex mutex;
    struct weft_condition condition;
    bool ready;
};

static void *makes_ready(void *arg) {
    struct once *once = arg;
    weft_mutex_lock(&once->mutex);
    once->ready = true;
    weft_condition_broadcast(&once->condition);
    weft_mutex_unlock(&once->mutex);
    return NULL;
}

static void freed(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(10000); i++) {
        struct once *once = calloc(1, sizeof(*once));
        WEFT_CHECK(once != NULL);
        struct weft_task *task = weft_test_spawn(makes_ready, once);
        weft_mutex_lock(&once->mutex);
        while (!once->ready) {
            WEFT_CHECK_OP(weft_condition_wait(&once->condition, &once->mutex),
                          ==, 0);
        }
        weft_mutex_unlock(&once->mutex);
        free(once);
        weft_test_join(task);
    }
}

static void who_was_woken_may_free_it_at_once(void **state) {
    weft_test_run(freed, NULL);
}

static void signals_once(void *arg) {
    weft_condition_signal(&c);
}

static void signals_all(void *arg) {
    weft_condition_broadcast(&c);
}

static void signalled_from_outside(void *arg) {
    struct weft_task *tasks[3];
    order = 0;
    for (uint32_t i = 0; i < 3; i++) {
        tasks[i] = weft_test_spawn(waits_once, &forever);
        weft_test_await_count(&c.waiters, i + 1);
    }
    weft_test_foreign(signals_once, NULL);
    WEFT_CHECK_OP(weft_test_join(tasks[0]), ==, 100);
    weft_test_await_count(&c.waiters, 2);
    weft_test_foreign(signals_all, NULL);
    for (int i = 1; i < 3; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), >, 100);
    }
}

static void a_foreign_thread_may_signal(void **state) {
    weft_test_run(signalled_from_outside, NULL);
}

static void waits_without_mutex(void *arg) {
    weft_condition_wait(&c, &m);
}

static void waiting_without_the_mutex_stops_with_a_sentence(void **state) {
    weft_test_stops(waits_without_mutex, true, "does not hold the mutex");
    weft_test_stops(waits_without_mutex, false, "does not hold the mutex");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_wakes_the_one_that_waits_longest),
        cmocka_unit_test(a_broadcast_wakes_all),
        cmocka_unit_test(
            a_wait_that_gives_up_holds_the_mutex_and_takes_no_signal),
        cmocka_unit_test(no_signal_is_lost_between_producers_and_consumers),
        cmocka_unit_test(who_was_woken_may_free_it_at_once),
        cmocka_unit_test(a_foreign_thread_may_signal),
        cmocka_unit_test(waiting_without_the_mutex_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
