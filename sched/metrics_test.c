/* SPDX-License-Identifier: MIT */
/* What the runtime says of itself: counters that agree with what was done, and
 * a dump that names who waits for what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

/* Long quanta: nobody is interrupted. */
static void run_on(unsigned workers, void (*fn)(void *), void *arg) {
    struct weft_config config = {.workers = workers,
                                 .quantum_ns = 10 * WEFT_S,
                                 .min_slice_ns = 10 * WEFT_S};
    assert_int_equal(weft_run(&config, fn, arg), 0);
}

static void nothing_runs_and_all_is_zero(void **state) {
    struct weft_metrics m;
    memset(&m, 0xff, sizeof m);
    weft_metrics_read(&m);
    assert_int_equal(m.workers, 0);
    assert_int_equal(m.threads, 0);
    assert_int_equal(m.spawned, 0);
    weft_dump(-1); /* writes nothing, and does not mind */
}

static void *end_at_once(void *arg) {
    return arg;
}

static void *sleep_long(void *arg) {
    weft_sleep_until(WEFT_FOREVER - 1);
    return arg;
}

static void *park_for_ever(void *arg) {
    weft_park(WEFT_FOREVER, "a test's own reason");
    return arg;
}

enum { FEW = 10 };

static void count_what_was_done(void *arg) {
    struct weft_task *ended[FEW], *asleep[FEW];
    struct weft_metrics before, m;
    (void)arg;
    weft_metrics_read(&before);
    WEFT_CHECK_OP(before.workers, ==, 2U);
    WEFT_CHECK_OP(before.tasks, ==, 1U);
    for (int i = 0; i < FEW; i++) {
        WEFT_CHECK_OP(weft_spawn(&ended[i], end_at_once, NULL, NULL), ==, 0);
        WEFT_CHECK_OP(weft_spawn(&asleep[i], sleep_long, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < FEW; i++) {
        WEFT_CHECK_OP(weft_join(ended[i], NULL), ==, 0);
        while (weft_task_state(asleep[i]) != WEFT_TASK_WAITING) {
            weft_yield();
        }
    }
    do { /* an end is counted after the joiner was woken */
        weft_metrics_read(&m);
    } while (m.tasks != 1 + FEW);
    WEFT_CHECK_OP(m.spawned, ==, before.spawned + 2 * FEW);
    WEFT_CHECK_OP(m.timers, ==, (uint64_t)FEW);
    WEFT_CHECK(m.switches >= before.switches + 2 * FEW);
    WEFT_CHECK(m.threads >= 2 && m.spare_threads < m.threads);
    WEFT_CHECK_OP(m.preempt_kept, ==, 0U);
    WEFT_CHECK_OP(m.hog_queue, ==, 0U);
    for (int i = 0; i < FEW; i++) {
        weft_cancel(asleep[i]);
        WEFT_CHECK_OP(weft_join(asleep[i], NULL), ==, 0);
    }
    weft_metrics_read(&m);
    WEFT_CHECK_OP(m.timers, ==, 0U);
}

static void the_counters_agree_with_what_was_done(void **state) {
    run_on(2, count_what_was_done, NULL);
}

static void *read_one(void *fd) {
    char byte;
    WEFT_CHECK_OP(read((int)(uintptr_t)fd, &byte, 1), ==, 1);
    return fd;
}

static void *block(void *fd) {
    return weft_blocking(read_one, fd);
}

static void count_the_blocked(void *arg) {
    struct weft_task *t[FEW];
    struct weft_metrics m;
    int ends[2];
    (void)arg;
    WEFT_CHECK_OP(pipe(ends), ==, 0);
    for (int i = 0; i < FEW; i++) {
        WEFT_CHECK_OP(
            weft_spawn(&t[i], block, (void *)(uintptr_t)ends[0], NULL), ==, 0);
    }
    do {
        weft_yield();
        weft_metrics_read(&m);
        WEFT_CHECK(m.blocked_threads <= FEW);
    } while (m.blocked_threads < FEW);
    WEFT_CHECK(m.threads > FEW);
    WEFT_CHECK_OP(write(ends[1], "0123456789", FEW), ==, (ssize_t)FEW);
    for (int i = 0; i < FEW; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
    do { /* the last may be on its way out */
        weft_metrics_read(&m);
    } while (m.blocked_threads > 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_blocked_thread_is_counted_while_it_blocks(void **state) {
    run_on(1, count_the_blocked, NULL);
    run_on(2, count_the_blocked, NULL);
}

static char dumped[16384];

static void dump_to_a_pipe(void *arg) {
    struct weft_task_options options = {.name = "the patient one"};
    struct weft_task *t;
    size_t length = 0;
    ssize_t n;
    int ends[2];
    (void)arg;
    WEFT_CHECK_OP(weft_spawn(&t, park_for_ever, NULL, &options), ==, 0);
    while (weft_task_state(t) != WEFT_TASK_WAITING) {
        weft_yield();
    }
    WEFT_CHECK_OP(pipe(ends), ==, 0);
    weft_dump(ends[1]);
    close(ends[1]);
    while (length < sizeof dumped - 1 &&
           (n = read(ends[0], dumped + length, sizeof dumped - 1 - length)) >
               0) {
        length += (size_t)n;
    }
    dumped[length] = '\0';
    close(ends[0]);
    weft_cancel(t);
    WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
}

static void a_dump_names_who_waits_and_for_what(void **state) {
    run_on(2, dump_to_a_pipe, NULL);
    const char *line = strstr(dumped, "\"the patient one\"");
    if (line == NULL || strstr(dumped, "\"main\" running") == NULL ||
        strstr(dumped, "2 processors") == NULL ||
        strstr(dumped, "worker 0 thread ") == NULL) {
        fail_msg("dumped: %s", dumped);
    }
    assert_non_null(strstr(line, "waiting: a test's own reason"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_runs_and_all_is_zero),
        cmocka_unit_test(the_counters_agree_with_what_was_done),
        cmocka_unit_test(a_blocked_thread_is_counted_while_it_blocks),
        cmocka_unit_test(a_dump_names_who_waits_and_for_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
