/* SPDX-License-Identifier: MIT */
/* What a virtual clock promises, one sentence each. The sharpest of them is
 * that nobody wakes later than at its deadline: a clock that jumped while
 * somebody could still run would be past it. */
#include "weft/sched/virtual_clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

#define HOUR (3600 * WEFT_S)
#define DAY  (24 * HOUR)

static void run_on(unsigned workers, void (*fn)(void *), void *arg) {
    const struct weft_config config = {.workers = workers,
                                       .clock = WEFT_CLOCK_VIRTUAL};
    assert_int_equal(weft_run(&config, fn, arg), 0);
}

static struct weft_task *spawn(void *(*fn)(void *), void *arg) {
    struct weft_task *t;
    WEFT_CHECK_OP(weft_spawn(&t, fn, arg, NULL), ==, 0);
    return t;
}

static void join(struct weft_task *t) {
    WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
}

/* Sleeps for `ns`, and wakes neither sooner nor later. */
static void sleep_exactly(uint64_t ns) {
    uint64_t deadline = weft_now() + ns;
    WEFT_CHECK_OP(weft_sleep(ns), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, deadline);
}

static void sleep_for_years(void *arg) {
    uint64_t began = weft_now();
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        sleep_exactly(HOUR);
    }
    WEFT_CHECK_OP(weft_now(), ==, began + 10000 * HOUR);
}

static void ten_thousand_hours_pass_at_once(void **state) {
    (void)state;
    run_on(1, sleep_for_years, NULL);
    run_on(4, sleep_for_years, NULL);
}

enum { SLEEPERS = 1000 };

static uint64_t order[SLEEPERS];
static _Atomic int woken;

static void *sleep_and_note(void *number) {
    uint64_t n = (uint64_t)(uintptr_t)number;
    /* 7 and 1000 have no common divisor: all times differ. */
    sleep_exactly((1 + n * 7 % SLEEPERS) * HOUR);
    order[atomic_fetch_add_explicit(&woken, 1, memory_order_relaxed)] = n;
    return NULL;
}

static void many_sleep(void *arg) {
    static struct weft_task *t[SLEEPERS];
    (void)arg;
    atomic_store_explicit(&woken, 0, memory_order_relaxed);
    for (uintptr_t i = 0; i < SLEEPERS; i++) {
        t[i] = spawn(sleep_and_note, (void *)i);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        join(t[i]);
    }
    for (uint64_t i = 0; i < SLEEPERS; i++) {
        WEFT_CHECK_OP(order[i] * 7 % SLEEPERS, ==, i);
    }
}

static void a_thousand_sleepers_wake_in_the_order_of_their_times(void **state) {
    (void)state;
    run_on(1, many_sleep, NULL);
    run_on(4, many_sleep, NULL);
}

static void *spin_a_little(void *arg) {
    uint64_t began = weft_now();
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        weft_yield();
        WEFT_CHECK_OP(weft_now(), ==, began);
        clock_gettime(CLOCK_MONOTONIC, &to);
    } while (weft_timespec_ns(&to) < weft_timespec_ns(&from) + 20 * WEFT_MS);
    (void)arg;
    return NULL;
}

static void spin_beside_a_sleeper(void *arg) {
    struct weft_task *t = spawn(spin_a_little, NULL);
    (void)arg;
    sleep_exactly(1);
    WEFT_CHECK(weft_task_state(t) == WEFT_TASK_DEAD);
    join(t);
}

static void it_stands_while_a_task_runs(void **state) {
    (void)state;
    run_on(1, spin_beside_a_sleeper, NULL);
    run_on(2, spin_beside_a_sleeper, NULL);
}

static void *nap(void *arg) {
    usleep(1000);
    return arg;
}

static void *block(void *arg) {
    uint64_t began = weft_now();
    for (int i = 0; i < 5; i++) {
        weft_blocking(nap, NULL);
        WEFT_CHECK_OP(weft_now(), ==, began);
    }
    nap(arg); /* without having said so */
    WEFT_CHECK_OP(weft_now(), ==, began);
    return NULL;
}

static void block_beside_a_sleeper(void *arg) {
    struct weft_task *t = spawn(block, NULL);
    (void)arg;
    sleep_exactly(1);
    WEFT_CHECK(weft_task_state(t) == WEFT_TASK_DEAD);
    join(t);
}

static void it_stands_while_a_thread_blocks(void **state) {
    (void)state;
    run_on(1, block_beside_a_sleeper, NULL);
    run_on(3, block_beside_a_sleeper, NULL);
}

static struct weft_task *answered;
static _Atomic int answer;

static void *answer_late(void *arg) {
    usleep(5000);
    (void)arg;
    atomic_store_explicit(&answer, 1, memory_order_release);
    weft_unpark(answered);
    weft_clock_release();
    return NULL;
}

static void ask_a_thread(void *arg) {
    uint64_t began = weft_now();
    pthread_t thread;
    (void)arg;
    for (int i = 0; i < 5; i++) {
        answered = weft_self();
        atomic_store_explicit(&answer, 0, memory_order_relaxed);
        weft_clock_hold();
        WEFT_CHECK_OP(pthread_create(&thread, NULL, answer_late, NULL), ==, 0);
        while (atomic_load_explicit(&answer, memory_order_acquire) == 0) {
            WEFT_CHECK_OP(weft_park(began + 1, "an answer"), ==, 0);
        }
        WEFT_CHECK_OP(weft_now(), ==, began);
        WEFT_CHECK_OP(pthread_join(thread, NULL), ==, 0);
    }
    sleep_exactly(HOUR);
}

static void it_stands_while_somebody_holds_it(void **state) {
    (void)state;
    run_on(1, ask_a_thread, NULL);
    run_on(2, ask_a_thread, NULL);
}

static void *sleep_past(void *deadline) {
    WEFT_CHECK_OP(weft_sleep_until(*(uint64_t *)deadline), ==, 0);
    return (void *)(uintptr_t)(weft_now() - *(uint64_t *)deadline);
}

static void move_by_hand(void *arg) {
    uint64_t began = weft_now();
    uint64_t soon = began + WEFT_S;
    uint64_t later = began + DAY;
    void *late;
    (void)arg;
    struct weft_task *a = spawn(sleep_past, &soon);
    struct weft_task *b = spawn(sleep_past, &later);
    weft_clock_hold();
    weft_yield();
    WEFT_CHECK_OP(weft_clock_advance(HOUR), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, began + HOUR);
    WEFT_CHECK_OP(weft_join(a, &late), ==, 0);
    WEFT_CHECK_OP((uint64_t)(uintptr_t)late, ==, HOUR - WEFT_S);
    WEFT_CHECK(weft_task_state(b) != WEFT_TASK_DEAD);
    weft_clock_release();
    WEFT_CHECK_OP(weft_join(b, &late), ==, 0);
    WEFT_CHECK(late == NULL);
    WEFT_CHECK_OP(weft_now(), ==, later);
    WEFT_CHECK_OP(weft_clock_advance(WEFT_FOREVER), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, WEFT_FOREVER - 1);
}

static void a_task_moves_it_on_by_hand(void **state) {
    (void)state;
    run_on(1, move_by_hand, NULL);
    run_on(2, move_by_hand, NULL);
}

static void *advance(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) {
        usleep(500);
        WEFT_CHECK_OP(weft_clock_advance(WEFT_S), ==, 0);
    }
    return NULL;
}

static void be_moved(void *arg) {
    uint64_t until = weft_now() + 10 * WEFT_S;
    pthread_t thread;
    (void)arg;
    weft_clock_hold();
    WEFT_CHECK_OP(pthread_create(&thread, NULL, advance, NULL), ==, 0);
    WEFT_CHECK_OP(weft_sleep_until(until), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, until);
    WEFT_CHECK_OP(pthread_join(thread, NULL), ==, 0);
    weft_clock_release();
}

static void so_does_a_thread_while_it_is_held(void **state) {
    (void)state;
    run_on(1, be_moved, NULL);
}

static void *sleep_until_cancelled(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(weft_sleep(DAY), ==, -ECANCELED);
    return (void *)(uintptr_t)weft_now();
}

static void cancel_a_sleeper(void *arg) {
    struct weft_task *t = spawn(sleep_until_cancelled, NULL);
    void *when;
    (void)arg;
    sleep_exactly(HOUR);
    uint64_t now = weft_now();
    weft_cancel(t);
    WEFT_CHECK_OP(weft_join(t, &when), ==, 0);
    WEFT_CHECK_OP((uint64_t)(uintptr_t)when, ==, now);
}

static void a_cancelled_sleeper_wakes_when_it_is_cancelled(void **state) {
    (void)state;
    run_on(1, cancel_a_sleeper, NULL);
    run_on(2, cancel_a_sleeper, NULL);
}

static void wait_past(void *arg) {
    uint64_t now = weft_now();
    (void)arg;
    WEFT_CHECK_OP(weft_sleep(0), ==, 0);
    WEFT_CHECK_OP(weft_sleep_until(now - HOUR), ==, 0);
    WEFT_CHECK_OP(weft_park(now - HOUR, "the past"), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_park(now, "now"), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_park(1, "long ago"), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, now);
}

static void a_deadline_in_the_past_moves_nothing(void **state) {
    (void)state;
    run_on(1, wait_past, NULL);
    run_on(2, wait_past, NULL);
}

static void see_the_start(void *now) {
    *(uint64_t *)now = weft_now();
    weft_sleep(HOUR);
}

static void each_runtime_begins_at_the_same_time(void **state) {
    uint64_t first = 0;
    uint64_t second = 0;
    (void)state;
    run_on(2, see_the_start, &first);
    run_on(2, see_the_start, &second);
    assert_int_equal(first, DAY);
    assert_int_equal(second, first);
}

static void *look_outside(void *now) {
    *(uint64_t *)now = weft_now();
    return NULL;
}

static void compare_with_outside(void *arg) {
    uint64_t outside = 0;
    pthread_t thread;
    (void)arg;
    WEFT_CHECK_OP(pthread_create(&thread, NULL, look_outside, &outside), ==, 0);
    WEFT_CHECK_OP(pthread_join(thread, NULL), ==, 0);
    uint64_t real = weft_clock_now();
    WEFT_CHECK(outside <= real && outside + 100 * WEFT_S > real);
}

static void a_thread_outside_has_the_real_clock(void **state) {
    (void)state;
    run_on(1, compare_with_outside, NULL);
}

static void hold_the_real_one(void *arg) {
    (void)arg;
    weft_clock_hold();
    WEFT_CHECK_OP(weft_clock_advance(HOUR), ==, -EINVAL);
    uint64_t now = weft_now();
    WEFT_CHECK_OP(weft_sleep(WEFT_US), ==, 0);
    WEFT_CHECK(weft_now() >= now + WEFT_US);
    WEFT_CHECK(weft_now() <= weft_clock_now());
    weft_clock_release();
}

static void the_real_clock_cannot_be_held_or_moved(void **state) {
    const struct weft_config bad = {.clock = (enum weft_clock)2};
    (void)state;
    assert_int_equal(weft_clock_advance(1), -EPERM);
    assert_int_equal(weft_run(NULL, hold_the_real_one, NULL), 0);
    assert_int_equal(weft_run(&bad, hold_the_real_one, NULL), -EINVAL);
}

static void *sleep_pinned(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    for (int i = 0; i < 20; i++) {
        sleep_exactly(HOUR);
    }
    return NULL;
}

static void pin_some(void *arg) {
    struct weft_task *t[4];
    (void)arg;
    for (int i = 0; i < 4; i++) {
        t[i] = spawn(sleep_pinned, NULL);
    }
    for (int i = 0; i < 4; i++) {
        join(t[i]);
    }
}

static void pinned_tasks_sleep_on_it_too(void **state) {
    (void)state;
    run_on(1, pin_some, NULL);
    run_on(2, pin_some, NULL);
}

enum { STORM = 16, ROUNDS = 40 };

static struct weft_task *partner[STORM];
static _Atomic int given[STORM];

/* Two by two: one sleeps and then wakes the other, which sleeps in its turn;
 * the clock must not move before it has come to that. */
static void *wake_the_partner(void *number) {
    uintptr_t n = (uintptr_t)number;
    uint32_t random = (uint32_t)n * 2654435761U + 1;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1664525U + 1013904223U;
        sleep_exactly(1 + random % 1000);
        if (random >> 31 != 0) {
            weft_yield();
        }
        if (i % 20 == 0) {
            weft_blocking(nap, NULL);
        }
        atomic_fetch_add_explicit(&given[n], 1, memory_order_release);
        weft_unpark(partner[n]);
    }
    return NULL;
}

static void *be_woken(void *number) {
    uintptr_t n = (uintptr_t)number;
    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_load_explicit(&given[n], memory_order_acquire) == 0) {
            WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "its partner"), ==, 0);
        }
        atomic_fetch_sub_explicit(&given[n], 1, memory_order_relaxed);
        sleep_exactly(1 + (uint64_t)i % 7);
    }
    return NULL;
}

static void storm(void *arg) {
    struct weft_task *t[STORM];
    (void)arg;
    for (uintptr_t i = 0; i < STORM; i++) {
        partner[i] = spawn(be_woken, (void *)i);
        t[i] = spawn(wake_the_partner, (void *)i);
    }
    for (int i = 0; i < STORM; i++) {
        join(t[i]);
        join(partner[i]);
    }
}

static void in_a_storm_nobody_wakes_late(void **state) {
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        run_on(workers, storm, NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_hours_pass_at_once),
        cmocka_unit_test(a_thousand_sleepers_wake_in_the_order_of_their_times),
        cmocka_unit_test(it_stands_while_a_task_runs),
        cmocka_unit_test(it_stands_while_a_thread_blocks),
        cmocka_unit_test(it_stands_while_somebody_holds_it),
        cmocka_unit_test(a_task_moves_it_on_by_hand),
        cmocka_unit_test(so_does_a_thread_while_it_is_held),
        cmocka_unit_test(a_cancelled_sleeper_wakes_when_it_is_cancelled),
        cmocka_unit_test(a_deadline_in_the_past_moves_nothing),
        cmocka_unit_test(each_runtime_begins_at_the_same_time),
        cmocka_unit_test(a_thread_outside_has_the_real_clock),
        cmocka_unit_test(the_real_clock_cannot_be_held_or_moved),
        cmocka_unit_test(pinned_tasks_sleep_on_it_too),
        cmocka_unit_test(in_a_storm_nobody_wakes_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
