/* SPDX-License-Identifier: MIT */
/* What a scope promises, one sentence each, and storms. */
#include "weft/sync/scope.h"

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
#include "weft/sync/task_local.h"
#include "weft/sync/testing.h"

static int write_one(void *arg) {
    long *place = arg;
    weft_yield();
    *place = 1;
    return 0;
}

static void rounds(void *arg) {
    for (int round = 0; round < WEFT_TEST_ROUNDS(1000); round++) {
        struct weft_scope s;
        long places[10] = {0};
        weft_scope_init(&s);
        for (int i = 0; i < 10; i++) {
            WEFT_CHECK_OP(weft_scope_go(&s, write_one, &places[i]), ==, 0);
        }
        WEFT_CHECK_OP(weft_scope_wait(&s), ==, 0);
        for (int i = 0; i < 10; i++) {
            WEFT_CHECK_OP(places[i], ==, 1L);
        }
    }
}

static void its_tasks_have_ended_before_it_does(void **state) {
    weft_test_run(rounds, NULL);
}

static _Atomic int running, cancelled_ones;

/* Waits until it is cancelled, and takes its time to clean up. */
static int stay(void *arg) {
    running++;
    int error = weft_sleep_until(WEFT_FOREVER);
    WEFT_CHECK_OP(error, ==, -ECANCELED);
    for (int i = 0; i < 20; i++) {
        weft_yield();
    }
    cancelled_ones++;
    running--;
    return arg == NULL ? error : 0;
}

static int fails(void *arg) {
    while (running < (int)(intptr_t)arg) {
        weft_yield();
    }
    return -EIO;
}

static void first_error(void *arg) {
    enum { MANY = 200 };
    struct weft_scope s;
    weft_scope_init(&s);
    cancelled_ones = 0;
    WEFT_CHECK_OP(weft_scope_error(&s), ==, 0);
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, 0);
    }
    WEFT_CHECK_OP(weft_scope_go(&s, fails, (void *)(intptr_t)MANY), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -EIO);
    WEFT_CHECK_OP(running, ==, 0);
    WEFT_CHECK_OP(cancelled_ones, ==, MANY);
    WEFT_CHECK_OP(weft_scope_error(&s), ==, -EIO);
    WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, -ECANCELED);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -EIO);
}

static void the_first_to_fail_cancels_the_others(void **state) {
    weft_test_run(first_error, NULL);
}

static void deadlines(void *arg) {
    struct weft_scope s;
    long place = 0;
    weft_scope_init(&s);
    WEFT_CHECK_OP(weft_scope_wait_until(&s, 0), ==, 0); /* without tasks */
    WEFT_CHECK_OP(weft_scope_go(&s, write_one, &place), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait_until(&s, WEFT_FOREVER - 1), ==, 0);
    WEFT_CHECK_OP(place, ==, 1L);
    for (int late = 0; late < 2; late++) {
        uint64_t until = late ? weft_now() + WEFT_MS : 0;
        weft_scope_init(&s);
        WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, 0);
        WEFT_CHECK_OP(weft_scope_go(&s, stay, &s), ==, 0);
        WEFT_CHECK_OP(weft_scope_wait_until(&s, until), ==, -ETIMEDOUT);
        WEFT_CHECK(weft_now() >= until);
        WEFT_CHECK_OP(running, ==, 0);
    }
}

static void at_its_deadline_all_are_cancelled(void **state) {
    weft_test_run(deadlines, NULL);
}

static void *owns(void *arg) {
    struct weft_scope s;
    weft_scope_init(&s);
    WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, 0);
    intptr_t error = weft_scope_wait(&s);
    WEFT_CHECK_OP(running, ==, 0);
    return (void *)error;
}

static void owner_cancelled(void *arg) {
    struct weft_task *task = weft_test_spawn(owns, NULL);
    weft_test_await_waiting(task);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
    /* And one that is cancelled before it opens it. */
    task = weft_test_spawn(owns, NULL);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
}

static void cancelling_the_owner_cancels_them_and_it_waits(void **state) {
    weft_test_run(owner_cancelled, NULL);
}

/* A tree: each opens a scope with two more, down to the leaves. */
static int tree(void *arg) {
    intptr_t depth = (intptr_t)arg;
    if (depth == 0) {
        return stay(NULL);
    }
    struct weft_scope s;
    weft_scope_init(&s);
    int error = weft_scope_go(&s, tree, (void *)(depth - 1));
    if (error == 0) {
        error = weft_scope_go(&s, tree, (void *)(depth - 1));
    }
    int first = weft_scope_wait(&s);
    return first != 0 ? first : error;
}

static int fails_below(void *arg) {
    struct weft_scope s;
    weft_scope_init(&s);
    WEFT_CHECK_OP(weft_scope_go(&s, fails, arg), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, 0);
    return weft_scope_wait(&s);
}

static void nested(void *arg) {
    struct weft_scope s;
    weft_scope_init(&s);
    cancelled_ones = 0;
    WEFT_CHECK_OP(weft_scope_go(&s, tree, (void *)5), ==, 0);
    while (running < 32) {
        weft_yield();
    }
    weft_scope_cancel(&s);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -ECANCELED);
    WEFT_CHECK_OP(running, ==, 0);
    WEFT_CHECK_OP(cancelled_ones, ==, 32);
    /* An error goes up through two scopes, and cancels a tree beside it. */
    weft_scope_init(&s);
    WEFT_CHECK_OP(weft_scope_go(&s, tree, (void *)4), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, fails_below, (void *)17), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -EIO);
    WEFT_CHECK_OP(running, ==, 0);
}

static void cancelling_goes_down_and_errors_go_up(void **state) {
    weft_test_run(nested, NULL);
}

struct family {
    struct weft_scope scope;
    _Atomic int born;
};

static int has_siblings(void *arg) {
    struct family *f = arg;
    for (int i = 0; i < 2; i++) {
        if (atomic_fetch_add_explicit(&f->born, 1, memory_order_relaxed) <
            500) {
            WEFT_CHECK_OP(weft_scope_go(&f->scope, has_siblings, f), ==, 0);
        }
    }
    return 0;
}

static void siblings(void *arg) {
    struct family f;
    weft_scope_init(&f.scope);
    atomic_init(&f.born, 0);
    WEFT_CHECK_OP(weft_scope_go(&f.scope, has_siblings, &f), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait(&f.scope), ==, 0);
    WEFT_CHECK(atomic_load(&f.born) >= 500);
}

static void a_task_in_it_may_start_others_in_it(void **state) {
    weft_test_run(siblings, NULL);
}

static int must_run(void *arg) {
    WEFT_CHECK(weft_cancelled());
    ++*(int *)arg;
    return 0;
}

static void late(void *arg) {
    struct weft_scope s;
    int runs = 0;
    weft_scope_init(&s);
    static const struct weft_task_options options = {.name = "late"};
    WEFT_CHECK_OP(weft_scope_spawn(&s, must_run, &runs, &options), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, must_run, &runs), ==, 0);
    weft_scope_cancel(&s);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -ECANCELED);
    WEFT_CHECK_OP(runs, ==, 2);
}

static void who_was_started_runs_though_it_is_cancelled_by_then(void **state) {
    weft_test_run_stepwise(late, NULL);
}

static int value_ended;

static void end_value(void *value) {
    weft_yield();
    value_ended++;
}

static struct weft_task_local local = WEFT_TASK_LOCAL_INIT(end_value);

static int set_value(void *arg) {
    return weft_task_local_set(&local, &local);
}

static void locals(void *arg) {
    struct weft_scope s;
    weft_scope_init(&s);
    value_ended = 0;
    WEFT_CHECK_OP(weft_scope_go(&s, set_value, NULL), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, 0);
    WEFT_CHECK_OP(value_ended, ==, 1);
}

static void their_local_values_end_in_it(void **state) {
    weft_test_run(locals, NULL);
}

static void memory(void *arg) {
    long before = weft_test_allocated();
    struct weft_scope s;
    long place = 0;
    weft_scope_init(&s);
    weft_test_fail_nth(1);
    WEFT_CHECK_OP(weft_scope_go(&s, write_one, &place), ==, -ENOMEM);
    WEFT_CHECK(weft_test_has_failed());
    /* No task has failed, so the scope has not. */
    WEFT_CHECK_OP(weft_scope_go(&s, write_one, &place), ==, 0);
    static const struct weft_task_options wrong = {.stack_size = 1};
    WEFT_CHECK_OP(weft_scope_spawn(&s, write_one, &place, &wrong), ==, -EINVAL);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, 0);
    WEFT_CHECK_OP(place, ==, 1L);
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void what_cannot_start_is_not_waited_for(void **state) {
    weft_test_run(memory, NULL);
    struct weft_scope s;
    weft_scope_init(&s);
    assert_int_equal(weft_scope_go(&s, must_run, NULL), -EPERM);
    assert_int_equal(weft_scope_wait(&s), 0);
}

/* Trees at random whose leaves fail, end, or stay until they are cancelled. */
static int grow(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    uint64_t dice = weft_test_random(&seed);
    uint64_t depth = (uintptr_t)arg % 4;
    struct weft_scope s;
    if (depth == 0) {
        switch (dice % 8) {
            case 0:
                return -EIO;
            case 1:
                return weft_sleep_until(WEFT_FOREVER);
            case 2:
                return weft_sleep(dice / 8 % (50 * WEFT_US));
            default:
                weft_yield();
                return 0;
        }
    }
    weft_scope_init(&s);
    for (uint64_t i = 0; i < 3; i++) {
        uintptr_t next =
            (uintptr_t)(weft_test_random(&seed) % 1000000 * 4 + depth - 1);
        int error = weft_scope_go(&s, grow, (void *)(next + 4));
        WEFT_CHECK(error == 0 || error == -ECANCELED);
    }
    if (dice % 5 == 0) {
        weft_scope_cancel(&s);
    }
    uint64_t until = weft_now() + dice % (300 * WEFT_US);
    int error = weft_scope_wait_until(&s, until);
    WEFT_CHECK(error == 0 || error == -EIO || error == -ECANCELED ||
               error == -ETIMEDOUT);
    return error == -ETIMEDOUT ? 0 : error;
}

static void storm(void *arg) {
    long before = weft_test_allocated();
    for (uintptr_t i = 1; i <= WEFT_TEST_ROUNDS(200); i++) {
        struct weft_scope s;
        weft_scope_init(&s);
        for (uintptr_t k = 0; k < 4; k++) {
            int error = weft_scope_go(&s, grow, (void *)(i * 64 + k * 4 + 3));
            WEFT_CHECK(error == 0 || error == -ECANCELED);
        }
        (void)weft_scope_wait_until(&s, weft_now() + WEFT_MS);
    }
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void trees_of_scopes_end_whatever_fails(void **state) {
    weft_test_run(storm, NULL);
}

static void from_outside(void *arg) {
    struct weft_scope s;
    long place = 0;
    weft_scope_init(&s);
    WEFT_CHECK_OP(weft_scope_go(&s, write_one, &place), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, 0);
    WEFT_CHECK_OP(place, ==, 1L);
    weft_scope_init(&s);
    WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait_until(&s, weft_now() + WEFT_MS), ==,
                  -ETIMEDOUT);
}

static void foreign(void *arg) {
    weft_test_foreign(from_outside, NULL);
}

static void a_foreign_thread_may_own_one(void **state) {
    weft_test_run(foreign, NULL);
}

static int waits_for_itself(void *arg) {
    return weft_scope_wait(arg);
}

static void waits_inside(void *arg) {
    struct weft_scope s;
    weft_scope_init(&s);
    weft_scope_go(&s, waits_for_itself, &s);
    weft_scope_wait(&s);
}

static void waiting_in_it_for_it_stops_with_a_sentence(void **state) {
    weft_test_stops(waits_inside, true, "who opens it waits for it");
}

static void spin_past_a_deadline(void *arg) {
    struct weft_scope s;
    cancelled_ones = 0;
    uint64_t until = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_scope_init_until(&s, until), ==, 0);
    int error = 0;
    while (error == 0) {
        error = weft_scope_go(&s, stay, NULL);
        weft_yield();
    }
    WEFT_CHECK_OP(error, ==, -ECANCELED);
    WEFT_CHECK(weft_now() >= until);
    while (running > 0) {
        weft_yield(); /* all the while it does not wait for them */
    }
    WEFT_CHECK_OP(weft_scope_error(&s), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -ETIMEDOUT);
}

static void its_own_deadline_acts_whatever_the_owner_does(void **state) {
    weft_test_run(spin_past_a_deadline, NULL);
}

static void end_before_it(void *arg) {
    long before = weft_test_allocated();
    struct weft_scope s;
    for (int round = 0; round < WEFT_TEST_ROUNDS(500); round++) {
        long place = 0;
        /* At times it passes while the scope ends. */
        uint64_t until = round % 2 == 0
                             ? WEFT_FOREVER - 1
                             : weft_now() + (uint64_t)round % 50 * WEFT_US;
        WEFT_CHECK_OP(weft_scope_init_until(&s, until), ==, 0);
        int error = weft_scope_go(&s, write_one, &place);
        WEFT_CHECK(error == 0 || (round % 2 == 1 && error == -ECANCELED));
        int result = weft_scope_wait(&s);
        WEFT_CHECK(result == 0 || (round % 2 == 1 && result == -ETIMEDOUT));
        WEFT_CHECK_OP(place, ==, error == 0 ? 1L : 0L);
    }
    WEFT_CHECK_OP(weft_scope_init_until(&s, weft_now() + 3600 * WEFT_S), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, fails, (void *)1), ==, 0);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -EIO);
    WEFT_CHECK_OP(weft_scope_init_until(&s, 0), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, stay, NULL), ==, -ECANCELED);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_scope_init_until(&s, WEFT_FOREVER), ==, 0);
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, 0);
    weft_test_fail_nth(1);
    WEFT_CHECK_OP(weft_scope_init_until(&s, WEFT_FOREVER - 1), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void nothing_is_left_of_a_deadline_that_is_not_needed(void **state) {
    struct weft_scope s;
    weft_test_run(end_before_it, NULL);
    assert_int_equal(weft_scope_init_until(&s, WEFT_FOREVER - 1), -EPERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_tasks_have_ended_before_it_does),
        cmocka_unit_test(the_first_to_fail_cancels_the_others),
        cmocka_unit_test(at_its_deadline_all_are_cancelled),
        cmocka_unit_test(cancelling_the_owner_cancels_them_and_it_waits),
        cmocka_unit_test(cancelling_goes_down_and_errors_go_up),
        cmocka_unit_test(a_task_in_it_may_start_others_in_it),
        cmocka_unit_test(who_was_started_runs_though_it_is_cancelled_by_then),
        cmocka_unit_test(their_local_values_end_in_it),
        cmocka_unit_test(what_cannot_start_is_not_waited_for),
        cmocka_unit_test(trees_of_scopes_end_whatever_fails),
        cmocka_unit_test(a_foreign_thread_may_own_one),
        cmocka_unit_test(its_own_deadline_acts_whatever_the_owner_does),
        cmocka_unit_test(nothing_is_left_of_a_deadline_that_is_not_needed),
        cmocka_unit_test(waiting_in_it_for_it_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
