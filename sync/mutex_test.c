/* SPDX-License-Identifier: MIT */
/* Exclusion, order, deadlines and misuse of the mutex. */
#include "weft/sync/mutex.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/testing.h"

enum { TASKS = 16 };

static struct weft_mutex m;

/* Guarded by `m`, and plain: a second task inside would be lost or seen. */
static long counter;
static bool inside;

static void critical(void) {
    WEFT_CHECK(!inside);
    WEFT_CHECK(weft_mutex_is_mine(&m));
    inside = true;
    counter++;
    inside = false;
}

static void *locks_often(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(20000); i++) {
        weft_mutex_lock(&m);
        critical();
        if (i % 64 == 0) {
            weft_yield(); /* let them queue up */
        }
        weft_mutex_unlock(&m);
    }
    return NULL;
}

static void excludes(void *arg) {
    struct weft_task *tasks[TASKS];
    counter = 0;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(locks_often, NULL);
    }
    for (int i = 0; i < TASKS; i++) {
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK_OP(counter, ==, (long)TASKS * WEFT_TEST_ROUNDS(20000));
    WEFT_CHECK_OP(m.word, ==, 0u);
}

static void one_task_at_a_time_is_inside(void **state) {
    weft_test_run(excludes, NULL);
}

static void *tries(void *arg) {
    bool got = weft_mutex_try_lock(&m);
    if (got) {
        weft_mutex_unlock(&m);
    }
    return (void *)(intptr_t)got;
}

static void *locks_until(void *arg) {
    int error = weft_mutex_lock_until(&m, *(uint64_t *)arg);
    if (error == 0) {
        weft_mutex_unlock(&m);
    }
    return (void *)(intptr_t)error;
}

static void gives_up(void *arg) {
    uint64_t past = 1;
    WEFT_CHECK(!weft_mutex_is_mine(&m));
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(tries, NULL)), ==, 1);
    WEFT_CHECK_OP(weft_mutex_lock_until(&m, past), ==, 0);
    WEFT_CHECK(!weft_mutex_try_lock(&m));
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(tries, NULL)), ==, 0);
    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(locks_until, &past)), ==,
                  -ETIMEDOUT);
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(locks_until, &soon)), ==,
                  -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    WEFT_CHECK(weft_mutex_is_mine(&m));
    weft_mutex_unlock(&m);
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(locks_until, &past)), ==, 0);
}

static void a_held_mutex_is_waited_for_until_the_deadline(void **state) {
    weft_test_run(gives_up, NULL);
}

static void *locks(void *arg) {
    weft_mutex_lock(&m);
    critical();
    weft_mutex_unlock(&m);
    return (void *)(intptr_t)weft_cancelled();
}

static void cancelled(void *arg) {
    weft_mutex_lock(&m);
    struct weft_task *task = weft_test_spawn(locks, NULL);
    weft_test_await_count(&m.waiters, 1);
    weft_cancel(task);
    for (int i = 0; i < 100; i++) {
        weft_yield();
    }
    weft_test_await_count(&m.waiters, 1);
    weft_mutex_unlock(&m);
    WEFT_CHECK_OP(weft_test_join(task), ==, 1);
}

static void a_cancelled_task_still_gets_the_mutex(void **state) {
    weft_test_run(cancelled, NULL);
}

/* Ends when all others had the mutex; takes it as often as it can. */
static _Atomic int had_it;

static void *hogs(void *arg) {
    /* Relaxed: the mutex orders what matters. */
    while (atomic_load_explicit(&had_it, memory_order_relaxed) < TASKS) {
        weft_mutex_lock(&m);
        for (volatile int i = 0; i < 2000; i++) {
        }
        weft_mutex_unlock(&m);
    }
    return NULL;
}

static void *wants_it_once(void *arg) {
    weft_mutex_lock(&m);
    atomic_fetch_add_explicit(&had_it, 1, memory_order_relaxed);
    weft_mutex_unlock(&m);
    return NULL;
}

static void starves(void *arg) {
    struct weft_task *tasks[TASKS + 2];
    atomic_store(&had_it, 0);
    tasks[0] = weft_test_spawn(hogs, NULL);
    tasks[1] = weft_test_spawn(hogs, NULL);
    for (int i = 2; i < TASKS + 2; i++) {
        tasks[i] = weft_test_spawn(wants_it_once, NULL);
    }
    for (int i = 0; i < TASKS + 2; i++) {
        weft_test_join(tasks[i]);
    }
}

static void nobody_starves_beside_tasks_that_never_rest(void **state) {
    weft_test_run(starves, NULL);
}

/* Lets others run while it holds the mutex, and at no other time: whoever is
 * woken for it always comes too late. */
static void never_free(void *arg) {
    struct weft_task *tasks[TASKS];
    atomic_store(&had_it, 0);
    weft_mutex_lock(&m);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(wants_it_once, NULL);
    }
    while (atomic_load(&had_it) < TASKS) {
        weft_yield();
        weft_mutex_unlock(&m);
        weft_mutex_lock(&m);
    }
    weft_mutex_unlock(&m);
    for (int i = 0; i < TASKS; i++) {
        weft_test_join(tasks[i]);
    }
}

static void who_always_comes_too_late_is_handed_the_mutex(void **state) {
    weft_test_run_stepwise(never_free, NULL);
}

static void wakes_one(void *arg) {
    struct weft_task *tasks[3];
    weft_mutex_lock(&m);
    for (uint32_t i = 0; i < 3; i++) {
        tasks[i] = weft_test_spawn(locks, NULL);
        weft_test_await_count(&m.waiters, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        weft_mutex_unlock(&m);
        weft_test_await_count(&m.waiters, 2);
        weft_mutex_lock(&m); /* overtakes the one that is on its way */
    }
    weft_mutex_unlock(&m);
    for (int i = 0; i < 3; i++) {
        weft_test_join(tasks[i]);
    }
}

static void one_waiter_is_woken_at_a_time(void **state) {
    weft_test_run_stepwise(wakes_one, NULL);
}

/* Locks with deadlines that are about as long as the mutex is held. */
static void *locks_if_in_time(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    intptr_t got = 0;
    for (int i = 0; i < WEFT_TEST_ROUNDS(4000); i++) {
        uint64_t wait = weft_test_random(&seed) % (30 * WEFT_US);
        if (weft_mutex_lock_until(&m, weft_now() + wait) == 0) {
            critical();
            got++;
            for (volatile int k = 0; k < (int)(wait / 32); k++) {
            }
            weft_mutex_unlock(&m);
        }
    }
    return (void *)got;
}

static void deadlines_race(void *arg) {
    struct weft_task *tasks[TASKS];
    long got = 0;
    counter = 0;
    for (uintptr_t i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(locks_if_in_time, (void *)(i + 1));
    }
    for (int i = 0; i < TASKS; i++) {
        got += weft_test_join(tasks[i]);
    }
    WEFT_CHECK(got > 0);
    WEFT_CHECK_OP(got, ==, counter);
    /* Whatever was left behind, the mutex works. */
    WEFT_CHECK_OP(weft_test_join(weft_test_spawn(locks, NULL)), ==, 0);
    WEFT_CHECK_OP(m.waiters.count, ==, 0u);
}

static void deadlines_that_race_with_unlocks_lose_no_wakeup(void **state) {
    weft_test_run(deadlines_race, NULL);
}

/* The last one to leave frees it all. */
struct shared {
    struct weft_mutex mutex;
    int users;
};

static void *leaves(void *arg) {
    struct shared *shared = arg;
    weft_mutex_lock(&shared->mutex);
    bool last = --shared->users == 0;
    weft_mutex_unlock(&shared->mutex);
    if (last) {
        free(shared);
    }
    return NULL;
}

static void freed(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(10000); i++) {
        struct weft_task *tasks[3];
        struct shared *shared = calloc(1, sizeof(*shared));
        WEFT_CHECK(shared != NULL);
        shared->users = 4;
        for (int k = 0; k < 3; k++) {
            tasks[k] = weft_test_spawn(leaves, shared);
        }
        leaves(shared);
        for (int k = 0; k < 3; k++) {
            weft_test_join(tasks[k]);
        }
    }
}

static void the_last_user_may_free_it_at_once(void **state) {
    weft_test_run(freed, NULL);
}

static void locks_twice(void *arg) {
    weft_mutex_lock(&m);
    weft_mutex_lock(&m);
}

static void *locks_and_ends(void *arg) {
    weft_mutex_lock(&m);
    return NULL;
}

static void unlocks_anothers(void *arg) {
    struct weft_task *task = weft_test_spawn(locks_and_ends, NULL);
    while (weft_task_state(task) != WEFT_TASK_DEAD) {
        weft_yield();
    }
    weft_mutex_unlock(&m);
}

static void unlocks_free(void *arg) {
    weft_mutex_unlock(&m);
}

static void locks_outside(void *arg) {
    weft_mutex_lock(&m);
}

static void misuse_stops_with_a_sentence(void **state) {
    weft_test_stops(locks_twice, true, "holds this mutex already");
    weft_test_stops(unlocks_anothers, true, "the mutex is another task's");
    weft_test_stops(unlocks_free, true, "the mutex is not locked");
    weft_test_stops(locks_outside, false, "the caller is none");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_task_at_a_time_is_inside),
        cmocka_unit_test(a_held_mutex_is_waited_for_until_the_deadline),
        cmocka_unit_test(a_cancelled_task_still_gets_the_mutex),
        cmocka_unit_test(nobody_starves_beside_tasks_that_never_rest),
        cmocka_unit_test(who_always_comes_too_late_is_handed_the_mutex),
        cmocka_unit_test(one_waiter_is_woken_at_a_time),
        cmocka_unit_test(deadlines_that_race_with_unlocks_lose_no_wakeup),
        cmocka_unit_test(the_last_user_may_free_it_at_once),
        cmocka_unit_test(misuse_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
