/* SPDX-License-Identifier: MIT */
/* What task-local storage promises, one sentence each. */
#include "weft/sync/task_local.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/failing.h"
#include "weft/sync/testing.h"

/* What was ended, in order. */
static const char *ended[16];
static int ends;

static void note(void *value) {
    ended[ends++] = value;
}

static struct weft_task_local first = WEFT_TASK_LOCAL_INIT(note);
static struct weft_task_local second = WEFT_TASK_LOCAL_INIT(note);
static struct weft_task_local third = WEFT_TASK_LOCAL_INIT(note);
static struct weft_task_local without_end = WEFT_TASK_LOCAL_INIT(NULL);

static void *keeps_its_own(void *arg) {
    WEFT_CHECK(weft_task_local_get(&without_end) == NULL);
    for (uintptr_t i = 0; i < 200; i++) {
        void *value = (char *)arg + i;
        WEFT_CHECK_OP(weft_task_local_set(&without_end, value), ==, 0);
        weft_yield();
        WEFT_CHECK_OP(weft_task_local_get(&without_end), ==, value);
    }
    WEFT_CHECK_OP(weft_task_local_set(&without_end, NULL), ==, 0);
    WEFT_CHECK(weft_task_local_get(&without_end) == NULL);
    return NULL;
}

static void own(void *arg) {
    static char places[50][200];
    struct weft_task *tasks[50];
    for (int i = 0; i < 50; i++) {
        tasks[i] = weft_test_spawn(keeps_its_own, places[i]);
    }
    for (int i = 0; i < 50; i++) {
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK(weft_task_local_get(&without_end) == NULL);
}

static void each_task_has_its_own_values(void **state) {
    weft_test_run(own, NULL);
}

static void *sets_some(void *arg) {
    WEFT_CHECK_OP(weft_task_local_set(&first, "first"), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&second, "overwritten"), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&without_end, arg), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&third, "removed"), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&third, NULL), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&third, NULL), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&second, "second"), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&third, "third"), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&first, "still first"), ==, 0);
    return NULL;
}

static void in_order(void *arg) {
    ends = 0;
    weft_test_join(weft_test_spawn(sets_some, arg));
    WEFT_CHECK_OP(ends, ==, 3);
    WEFT_CHECK_OP(strcmp(ended[0], "third"), ==, 0);
    WEFT_CHECK_OP(strcmp(ended[1], "second"), ==, 0);
    WEFT_CHECK_OP(strcmp(ended[2], "still first"), ==, 0);
}

static void values_end_with_the_task_the_last_first(void **state) {
    weft_test_run(in_order, "any");
}

/* Waits, and sets others: as many as need a larger array. */
static struct weft_task_local more[8];
static int more_ended;

static void end_more(void *value) {
    more_ended++;
}

static void sets_more(void *value) {
    WEFT_CHECK_OP(weft_sleep(10 * WEFT_US), ==, 0);
    WEFT_CHECK(weft_task_local_get(value) == NULL); /* its own is gone */
    for (int i = 0; i < 8; i++) {
        more[i].end = end_more;
        WEFT_CHECK_OP(weft_task_local_set(&more[i], &more[i]), ==, 0);
    }
    WEFT_CHECK_OP(weft_task_local_get(&more[7]), ==, &more[7]);
}

static struct weft_task_local busy = WEFT_TASK_LOCAL_INIT(sets_more);

static void *sets_busy(void *arg) {
    WEFT_CHECK_OP(weft_task_local_set(&busy, &busy), ==, 0);
    return NULL;
}

static void from_end(void *arg) {
    long before = weft_test_allocated();
    more_ended = 0;
    weft_test_join(weft_test_spawn(sets_busy, NULL));
    WEFT_CHECK_OP(more_ended, ==, 8);
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void what_is_set_while_the_task_ends_is_ended_too(void **state) {
    weft_test_run(from_end, NULL);
}

static void *uses_many(void *arg) {
    static struct weft_task_local keys[100];
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_task_local_set(&keys[i], &keys[99 - i]), ==, 0);
    }
    for (int i = 0; i < 100; i += 2) {
        WEFT_CHECK_OP(weft_task_local_set(&keys[i], NULL), ==, 0);
    }
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_task_local_get(&keys[i]), ==,
                      (void *)(i % 2 == 0 ? NULL : &keys[99 - i]));
    }
    return NULL;
}

static void many(void *arg) {
    weft_test_join(weft_test_spawn(uses_many, NULL));
}

static void there_may_be_many_keys(void **state) {
    weft_test_run(many, NULL);
}

static void *runs_out(void *arg) {
    static struct weft_task_local keys[6];
    weft_test_fail_nth(1);
    WEFT_CHECK_OP(weft_task_local_set(&keys[0], keys), ==, -ENOMEM);
    WEFT_CHECK(weft_task_local_get(&keys[0]) == NULL);
    for (int i = 0; i < 4; i++) {
        WEFT_CHECK_OP(weft_task_local_set(&keys[i], keys), ==, 0);
    }
    weft_test_fail_nth(1);
    WEFT_CHECK_OP(weft_task_local_set(&keys[0], &keys[1]), ==, 0);
    WEFT_CHECK_OP(weft_task_local_set(&keys[4], keys), ==, -ENOMEM);
    WEFT_CHECK(weft_task_local_get(&keys[4]) == NULL);
    WEFT_CHECK_OP(weft_task_local_get(&keys[0]), ==, &keys[1]);
    WEFT_CHECK_OP(weft_task_local_get(&keys[3]), ==, &keys[0]);
    WEFT_CHECK_OP(weft_task_local_set(&keys[4], keys), ==, 0);
    WEFT_CHECK(weft_test_has_failed());
    return NULL;
}

static void memory(void *arg) {
    long before = weft_test_allocated();
    weft_test_join(weft_test_spawn(runs_out, NULL));
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void without_memory_the_values_are_as_they_were(void **state) {
    weft_test_run(memory, NULL);
}

static _Atomic int counted;

static void count_and_free(void *value) {
    free(value);
    atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
}

static struct weft_task_local owned[6];

static void *churns(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    int set = (int)(weft_test_random(&seed) % 6);
    for (int i = 0; i < set; i++) {
        WEFT_CHECK_OP(weft_task_local_set(&owned[i], malloc(8)), ==, 0);
        if (weft_test_random(&seed) % 2 == 0) {
            weft_yield();
        }
    }
    if (weft_test_random(&seed) % 4 == 0) {
        weft_cancel(weft_self());
    }
    return (void *)(intptr_t)set;
}

static void storm(void *arg) {
    long before = weft_test_allocated();
    int set = 0;
    atomic_store(&counted, 0);
    for (int i = 0; i < 6; i++) {
        owned[i].end = count_and_free;
    }
    for (uintptr_t round = 0; round < WEFT_TEST_ROUNDS(500); round++) {
        struct weft_task *tasks[20];
        for (uintptr_t i = 0; i < 20; i++) {
            tasks[i] = weft_test_spawn(churns, (void *)(1 + round * 20 + i));
        }
        for (int i = 0; i < 20; i++) {
            set += (int)weft_test_join(tasks[i]);
        }
    }
    WEFT_CHECK_OP(atomic_load(&counted), ==, set);
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void every_value_is_ended_once(void **state) {
    weft_test_run(storm, NULL);
}

static void outside_a_task_there_are_none(void **state) {
    assert_null(weft_task_local_get(&first));
    assert_int_equal(weft_task_local_set(&first, state), -EPERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_has_its_own_values),
        cmocka_unit_test(values_end_with_the_task_the_last_first),
        cmocka_unit_test(what_is_set_while_the_task_ends_is_ended_too),
        cmocka_unit_test(there_may_be_many_keys),
        cmocka_unit_test(without_memory_the_values_are_as_they_were),
        cmocka_unit_test(every_value_is_ended_once),
        cmocka_unit_test(outside_a_task_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
