/* SPDX-License-Identifier: MIT */
/* Two ends of what a virtual clock promises: in which order those of one time
 * wake, and that 0 is a time, too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

#define HOUR (3600 * WEFT_S)
#define DAY  (24 * HOUR)

enum { SLEEPERS = 1000 };

static int order[SLEEPERS];
static int came, woken; /* one worker */

static struct weft_task *spawn(void *(*fn)(void *), void *arg) {
    struct weft_task *t;
    WEFT_CHECK_OP(weft_spawn(&t, fn, arg, NULL), ==, 0);
    return t;
}

static void join(struct weft_task *t) {
    WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
}

static void *wake_in_turn(void *deadline) {
    int turn = came++;
    WEFT_CHECK_OP(weft_sleep_until(*(uint64_t *)deadline), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, *(uint64_t *)deadline);
    order[woken++] = turn;
    return NULL;
}

/* Some of them begin to wait hours after the others. */
static void wake_together(void *arg) {
    static struct weft_task *t[SLEEPERS];
    uint64_t deadline = weft_now() + DAY;
    (void)arg;
    came = woken = 0;
    for (int i = 0; i < SLEEPERS; i++) {
        t[i] = spawn(wake_in_turn, &deadline);
        if (i % 300 == 299) {
            WEFT_CHECK_OP(weft_sleep(HOUR), ==, 0);
        }
    }
    for (int i = 0; i < SLEEPERS; i++) {
        join(t[i]);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        WEFT_CHECK_OP(order[i], ==, i);
    }
}

static void at_one_time_who_began_to_wait_first_wakes_first(void **state) {
    const struct weft_config one = {
        .workers = 1, .preempt = WEFT_PREEMPT_OFF, .clock = WEFT_CLOCK_VIRTUAL};
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(weft_run(&one, wake_together, NULL), 0);
    }
}

static void *wait_for_time_0(void *arg) {
    (void)arg;
    for (uint64_t i = 0; i < 2000; i++) {
        WEFT_CHECK_OP(weft_park(0, "the beginning of time"), ==, -ETIMEDOUT);
        uint64_t deadline = weft_now() + i % 2;
        WEFT_CHECK_OP(weft_sleep_until(deadline), ==, 0);
        WEFT_CHECK_OP(weft_now(), ==, deadline);
    }
    return NULL;
}

static void wait_for_time_0_together(void *arg) {
    struct weft_task *t[3];
    (void)arg;
    for (int i = 0; i < 3; i++) {
        t[i] = spawn(wait_for_time_0, NULL);
    }
    for (int i = 0; i < 3; i++) {
        join(t[i]);
    }
}

/* To the poller's sleeper 0 is nobody. */
static void time_0_is_a_time_like_others(void **state) {
    (void)state;
    for (unsigned workers = 2; workers <= 4; workers += 2) {
        const struct weft_config config = {.workers = workers,
                                           .clock = WEFT_CLOCK_VIRTUAL};
        assert_int_equal(weft_run(&config, wait_for_time_0_together, NULL), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_one_time_who_began_to_wait_first_wakes_first),
        cmocka_unit_test(time_0_is_a_time_like_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
