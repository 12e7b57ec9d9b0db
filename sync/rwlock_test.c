/* SPDX-License-Identifier: MIT */
/* What a rwlock promises, one sentence each, and storms. */
#include "weft/sync/rwlock.h"

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

static struct weft_rwlock l;
static uint64_t forever = WEFT_FOREVER;

/* Tasks that lock, note in which order they got in, and unlock. */
static _Atomic int order;

static void *reads(void *arg) {
    int error = weft_rwlock_read_lock_until(&l, *(uint64_t *)arg);
    if (error != 0) {
        return (void *)(intptr_t)error;
    }
    intptr_t mine = order++;
    weft_rwlock_read_unlock(&l);
    return (void *)mine;
}

static void *writes(void *arg) {
    int error = weft_rwlock_write_lock_until(&l, *(uint64_t *)arg);
    if (error != 0) {
        return (void *)(intptr_t)error;
    }
    intptr_t mine = order++;
    weft_rwlock_write_unlock(&l);
    return (void *)mine;
}

static void together(void *arg) {
    weft_rwlock_read_lock(&l);
    WEFT_CHECK(weft_rwlock_try_read_lock(&l));
    WEFT_CHECK_OP(weft_rwlock_read_lock_until(&l, 0), ==, 0);
    WEFT_CHECK(!weft_rwlock_try_write_lock(&l));
    WEFT_CHECK_OP(weft_rwlock_write_lock_until(&l, 0), ==, -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        weft_rwlock_read_unlock(&l);
    }
    WEFT_CHECK_OP(weft_rwlock_write_lock_until(&l, 0), ==, 0);
    WEFT_CHECK(!weft_rwlock_try_read_lock(&l));
    WEFT_CHECK(!weft_rwlock_try_write_lock(&l));
    weft_rwlock_write_unlock(&l);
    WEFT_CHECK(weft_rwlock_try_write_lock(&l));
    weft_rwlock_write_unlock(&l);
}

static void readers_go_together_and_a_writer_alone(void **state) {
    weft_test_run(together, NULL);
}

static void in_order(void *arg) {
    struct weft_task *tasks[5];
    order = 0;
    weft_rwlock_read_lock(&l);
    tasks[0] = weft_test_spawn(writes, &forever);
    weft_test_await_count(&l.waiters, 1);
    /* Nobody overtakes the writer, in no form. */
    WEFT_CHECK(!weft_rwlock_try_read_lock(&l));
    WEFT_CHECK_OP(weft_rwlock_read_lock_until(&l, 0), ==, -ETIMEDOUT);
    for (uint32_t i = 1; i < 5; i++) {
        tasks[i] = weft_test_spawn(i == 3 ? writes : reads, &forever);
        weft_test_await_count(&l.waiters, i + 1);
    }
    weft_rwlock_read_unlock(&l);
    WEFT_CHECK_OP(weft_test_join(tasks[0]), ==, 0);
    intptr_t first = weft_test_join(tasks[1]);
    intptr_t second = weft_test_join(tasks[2]);
    WEFT_CHECK(first + second == 3 && (first == 1 || first == 2));
    WEFT_CHECK_OP(weft_test_join(tasks[3]), ==, 3);
    WEFT_CHECK_OP(weft_test_join(tasks[4]), ==, 4);
}

static void who_comes_first_is_served_first(void **state) {
    weft_test_run(in_order, NULL);
}

static void in_the_way(void *arg) {
    uint64_t soon = weft_now() + 5 * WEFT_MS;
    order = 0;
    weft_rwlock_read_lock(&l);
    struct weft_task *writer = weft_test_spawn(writes, &soon);
    struct weft_task *reader = weft_test_spawn(reads, &forever);
    WEFT_CHECK_OP(weft_test_join(writer), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    /* It is in while the first reader is. */
    WEFT_CHECK_OP(weft_test_join(reader), ==, 0);
    weft_rwlock_read_unlock(&l);
    WEFT_CHECK(weft_rwlock_try_write_lock(&l));
    uint64_t now = 1;
    reader = weft_test_spawn(reads, &now);
    WEFT_CHECK_OP(weft_test_join(reader), ==, -ETIMEDOUT);
    weft_rwlock_write_unlock(&l);
    WEFT_CHECK_OP(l.waiters.count, ==, 0u);
}

static void a_writer_that_gives_up_lets_readers_in(void **state) {
    weft_test_run(in_the_way, NULL);
}

static void many(void *arg) {
    enum { TASKS = 3 * WEFT_WAIT_BATCH };
    static struct weft_task *tasks[TASKS + 1];
    order = 0;
    weft_rwlock_write_lock(&l);
    for (uint32_t i = 0; i <= TASKS; i++) {
        tasks[i] = weft_test_spawn(i < TASKS ? reads : writes, &forever);
        weft_test_await_count(&l.waiters, i + 1);
    }
    weft_rwlock_write_unlock(&l);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK(weft_test_join(tasks[i]) < TASKS);
    }
    WEFT_CHECK_OP(weft_test_join(tasks[TASKS]), ==, TASKS);
}

static void a_writer_lets_in_all_readers_that_come_next(void **state) {
    weft_test_run(many, NULL);
}

static void *locks_when_cancelled(void *arg) {
    while (!weft_cancelled()) {
        weft_yield();
    }
    weft_rwlock_write_lock(&l);
    weft_rwlock_write_unlock(&l);
    weft_rwlock_read_lock(&l);
    weft_rwlock_read_unlock(&l);
    return NULL;
}

static void cancelled(void *arg) {
    weft_rwlock_read_lock(&l);
    struct weft_task *task = weft_test_spawn(locks_when_cancelled, NULL);
    weft_cancel(task);
    weft_test_await_count(&l.waiters, 1);
    for (int i = 0; i < 100; i++) {
        weft_yield();
    }
    WEFT_CHECK_OP(l.waiters.count, ==, 1u);
    weft_rwlock_read_unlock(&l);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
}

static void a_cancelled_task_can_lock(void **state) {
    weft_test_run(cancelled, NULL);
}

/* What the lock protects: writers change both, readers see them equal. */
static long one, two;
static _Atomic int inside_reading, inside_writing;
static int writings;

static void read_once(void) {
    atomic_fetch_add_explicit(&inside_reading, 1, memory_order_relaxed);
    WEFT_CHECK_OP(atomic_load_explicit(&inside_writing, memory_order_relaxed),
                  ==, 0);
    long seen = one;
    weft_check();
    WEFT_CHECK_OP(two, ==, seen);
    atomic_fetch_sub_explicit(&inside_reading, 1, memory_order_relaxed);
}

static void write_once(void) {
    WEFT_CHECK_OP(
        atomic_fetch_add_explicit(&inside_writing, 1, memory_order_relaxed), ==,
        0);
    WEFT_CHECK_OP(atomic_load_explicit(&inside_reading, memory_order_relaxed),
                  ==, 0);
    one++;
    weft_check();
    two++;
    writings++;
    atomic_fetch_sub_explicit(&inside_writing, 1, memory_order_relaxed);
}

static void mix(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    int rounds = WEFT_TEST_ROUNDS(weft_self() != NULL ? 5000 : 500);
    for (int i = 0; i < rounds; i++) {
        uint64_t dice = weft_test_random(&seed);
        uint64_t until =
            dice % 5 == 0 ? weft_now() + dice % 4096 : WEFT_FOREVER;
        bool tries = dice % 7 == 0;
        if (dice % 3 == 0) {
            if (tries ? weft_rwlock_try_write_lock(&l)
                      : weft_rwlock_write_lock_until(&l, until) == 0) {
                write_once();
                weft_rwlock_write_unlock(&l);
            }
        } else if (tries ? weft_rwlock_try_read_lock(&l)
                         : weft_rwlock_read_lock_until(&l, until) == 0) {
            read_once();
            weft_rwlock_read_unlock(&l);
        }
        if (dice % 16 == 0) {
            weft_yield();
        }
    }
}

static void *mixes(void *arg) {
    mix(arg);
    return NULL;
}

static void *mixes_outside(void *arg) {
    weft_test_foreign(mix, arg);
    return NULL;
}

static void storm(void *arg) {
    struct weft_task *tasks[10];
    one = two = writings = 0;
    for (uintptr_t i = 0; i < 10; i++) {
        tasks[i] =
            weft_test_spawn(i < 9 ? mixes : mixes_outside, (void *)(i + 1));
    }
    for (int i = 0; i < 10; i++) {
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK_OP(one, ==, (long)writings);
    WEFT_CHECK(writings > 0);
    WEFT_CHECK_OP(l.waiters.count, ==, 0u);
    WEFT_CHECK(weft_rwlock_try_write_lock(&l));
    weft_rwlock_write_unlock(&l);
}

static void nobody_is_in_beside_a_writer(void **state) {
    weft_test_run(storm, NULL);
}

/* A thing that the last of its users frees, under its own lock. */
struct thing {
    struct weft_rwlock lock;
    int users;
};

static void *uses(void *arg) {
    struct thing *thing = arg;
    weft_rwlock_read_lock(&thing->lock);
    weft_yield();
    weft_rwlock_read_unlock(&thing->lock);
    weft_rwlock_write_lock(&thing->lock);
    int left = --thing->users;
    weft_rwlock_write_unlock(&thing->lock);
    if (left == 0) {
        free(thing);
    }
    return NULL;
}

static void things(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(3000); i++) {
        struct weft_task *tasks[3];
        struct thing *thing = calloc(1, sizeof *thing);
        WEFT_CHECK(thing != NULL);
        thing->users = 3;
        for (int k = 0; k < 3; k++) {
            tasks[k] = weft_test_spawn(uses, thing);
        }
        for (int k = 0; k < 3; k++) {
            weft_test_join(tasks[k]);
        }
    }
}

static void the_last_to_write_may_free_it(void **state) {
    weft_test_run(things, NULL);
}

static void locks_twice(void *arg) {
    weft_rwlock_write_lock(&l);
    weft_rwlock_read_lock(&l);
}

static void unlocks_reading(void *arg) {
    weft_rwlock_read_unlock(&l);
}

static void unlocks_writing(void *arg) {
    weft_rwlock_read_lock(&l);
    weft_rwlock_write_unlock(&l);
}

static void *unlocks(void *arg) {
    weft_rwlock_write_unlock(&l);
    return NULL;
}

static void unlocks_anothers(void *arg) {
    weft_rwlock_write_lock(&l);
    weft_test_join(weft_test_spawn(unlocks, NULL));
}

static void misuse_stops_with_a_sentence(void **state) {
    weft_test_stops(locks_twice, true, "writes and locks again");
    weft_test_stops(unlocks_reading, true, "nobody has locked it to read");
    weft_test_stops(unlocks_writing, true, "nobody writes");
    weft_test_stops(unlocks_anothers, true, "another task writes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_go_together_and_a_writer_alone),
        cmocka_unit_test(who_comes_first_is_served_first),
        cmocka_unit_test(a_writer_that_gives_up_lets_readers_in),
        cmocka_unit_test(a_writer_lets_in_all_readers_that_come_next),
        cmocka_unit_test(a_cancelled_task_can_lock),
        cmocka_unit_test(nobody_is_in_beside_a_writer),
        cmocka_unit_test(the_last_to_write_may_free_it),
        cmocka_unit_test(misuse_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
