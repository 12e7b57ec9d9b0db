/* SPDX-License-Identifier: MIT */
/* The monitor's doze: it comes where tasks come and go, and it ends when a
 * processor does not come by any more. What must happen is waited for. */
#define _GNU_SOURCE /* pipe2() */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/core.h"

static _Atomic bool stop;
static struct weft_descriptor *awaited;
static int ends[2];

static struct weft_runtime *runtime(void) {
    return ((struct weft_worker *)weft_thread_self())->runtime;
}

static bool dozes(void) {
    return atomic_load_explicit(&runtime()->doze.on, memory_order_relaxed) != 0;
}

static void *spin(void *arg) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    }
    return arg;
}

/* A byte to oneself, by way of the poller: the worker has nothing else to run
 * until it finds it there. */
static void travel(void) {
    char byte;
    struct weft_task *me = weft_self();
    WEFT_CHECK_OP(weft_poller_enter(awaited, WEFT_READING), ==, 0);
    while (weft_poller_arm(awaited, WEFT_READING, me) != 0) {
    }
    WEFT_CHECK_OP(write(ends[1], "x", 1), ==, 1);
    while (weft_poller_armed(awaited, WEFT_READING, me)) {
        (void)weft_park(WEFT_FOREVER, "a byte");
    }
    WEFT_CHECK_OP(read(ends[0], &byte, 1), ==, 1);
    weft_poller_leave(awaited, WEFT_READING);
}

static void begin(void) {
    struct weft_poller *poller = &runtime()->poller;
    WEFT_CHECK_OP(pipe2(ends, O_NONBLOCK | O_CLOEXEC), ==, 0);
    WEFT_CHECK_OP(weft_poller_add(poller, ends[0], WEFT_DESCRIPTOR_PIPE), ==,
                  0);
    awaited = weft_poller_find(poller, ends[0]);
}

static void end(void) {
    void *waiters[WEFT_DIRECTIONS];
    WEFT_CHECK_OP(weft_poller_close(awaited, waiters), ==, 0);
    weft_poller_leave(awaited, WEFT_USING);
    close(ends[1]);
}

/* Until it has been put off `times` times in one doze. */
static void see_it_doze(int times) {
    struct weft_runtime *rt = runtime();
    uint64_t ticks = 0;
    uint64_t last = 0;
    for (int seen = 0; seen < times; travel()) {
        uint64_t now = weft_timer_ticks(&rt->monitor);
        uint64_t at =
            atomic_load_explicit(&rt->doze.put_off_at, memory_order_relaxed);
        if (now != ticks || !dozes()) {
            ticks = now;
            seen = 0;
        } else if (at != last) {
            seen++;
        }
        last = at;
    }
}

static void come_and_go(void *unused) {
    (void)unused;
    begin();
    see_it_doze(5);
    end();
}

static void it_does_not_tick_where_tasks_come_and_go(void **state) {
    struct weft_config config = {.workers = 1};
    (void)state;
    assert_int_equal(weft_run(&config, come_and_go, NULL), 0);
}

static void compute(void *unused) {
    struct weft_task *t;
    (void)unused;
    begin();
    for (int i = 0; i < 3; i++) {
        see_it_doze(2);
        atomic_store_explicit(&stop, false, memory_order_relaxed);
        WEFT_CHECK_OP(weft_spawn(&t, spin, NULL, NULL), ==, 0);
        do {
            travel();
        } while (dozes());
        atomic_store_explicit(&stop, true, memory_order_relaxed);
        WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
    }
    end();
}

static void run_computing(unsigned workers) {
    struct weft_config config = {.workers = workers};
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    assert_int_equal(weft_run(&config, compute, NULL), 0);
}

static void who_computes_ends_the_doze_and_is_preempted(void **state) {
    (void)state;
    run_computing(1);
}

static void one_that_comes_by_does_not_hide_one_that_does_not(void **state) {
    (void)state;
    run_computing(2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_not_tick_where_tasks_come_and_go),
        cmocka_unit_test(who_computes_ends_the_doze_and_is_preempted),
        cmocka_unit_test(one_that_comes_by_does_not_hide_one_that_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
