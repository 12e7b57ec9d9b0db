/* SPDX-License-Identifier: MIT */
/* Every call of sched that takes memory, or a thread, is made again and again,
 * each time with another of its allocations failing: it says so by an error
 * that its header lists, or does without, and nothing is left behind when the
 * runtime has ended. memory_sync_test.c and memory_io_test.c do so for the
 * calls of sync and of io. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/trial.h"
#include "weft/base/check.h"
#include "weft/sync/failing.h"
#include "weft/weft.h"

/* --- sched -----------------------------------------------------------------
 */

static void nothing(void *arg) {
    (void)arg;
}

static void *nothing_joined(void *arg) {
    return arg;
}

static int go(void) {
    return weft_go(nothing, NULL);
}

/* More than a slab of records, and of stacks, has room for. */
enum { MANY = 2000 };

static int spawn_many(void) {
    static struct weft_task *tasks[MANY];
    int count = 0;
    int error = 0;
    while (count < MANY && error == 0) {
        error = weft_spawn(&tasks[count], nothing_joined, NULL, NULL);
        count += error == 0;
    }
    while (count > 0) {
        WEFT_CHECK_OP(weft_join(tasks[--count], NULL), ==, 0);
    }
    return error;
}

static int spawn_with_a_large_stack(void) {
    static const struct weft_task_options options = {.stack_size = 1 << 20};
    struct weft_task *task;
    int error = weft_spawn(&task, nothing_joined, NULL, &options);
    return error != 0 ? error : weft_join(task, NULL);
}

static int nap(void) {
    return weft_sleep(1);
}

static int join_in_time(void) {
    struct weft_task *task;
    int error = weft_spawn(&task, nothing_joined, NULL, NULL);
    if (error == 0) {
        error = weft_join_until(task, NULL, weft_now() + 100 * WEFT_S);
        if (error != 0) {
            WEFT_CHECK_OP(weft_join(task, NULL), ==, 0);
        }
    }
    return error;
}

static void *block(void *arg) {
    return arg;
}

static int give_way_to_a_call(void) {
    return weft_blocking(block, NULL) == NULL ? 0 : -EIO;
}

/* While it waits its place is taken over by another thread. */
static int wait_pinned(void) {
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    (void)go();
    weft_yield();
    int error = weft_sleep(1);
    weft_unpin_thread();
    return error;
}

static void tasks_are_refused_or_run(void **state) {
    (void)state;
    trial_of("go", go, TRIAL_MAY);
    trial_of("spawn", spawn_many, TRIAL_MAY);
    trial_of("large stack", spawn_with_a_large_stack, TRIAL_MUST);
    trial_of("sleep", nap, TRIAL_MUST);
    trial_of("join", join_in_time, TRIAL_MUST);
    trial_of("blocking", give_way_to_a_call, TRIAL_MAY);
    trial_of("pinned", wait_pinned, TRIAL_MUST);
}

static void spawn_without_memory(void *arg) {
    (void)arg;
    for (int round = 0; round < 3; round++) {
        weft_test_fail_mmap(1);
        WEFT_CHECK_OP(spawn_many(), ==, -ENOMEM);
    }
    weft_test_fail_mmap(0);
    WEFT_CHECK_OP(spawn_many(), ==, 0);
}

static void when_no_memory_comes_back_tasks_are_refused(void **state) {
    (void)state;
    assert_int_equal(weft_run(&trial_config, spawn_without_memory, NULL), 0);
}

/* --- the runtime itself ------------------------------------------------------
 */

static void count_one(void *ran) {
    ++*(int *)ran;
    (void)weft_sleep(1);
}

static void a_runtime_starts_or_says_why_not(void **state) {
    bool failed = true;
    int refused = 0;
    (void)state;
    for (long nth = 1; failed; nth++) {
        const struct weft_config two = {.workers = 2};
        long allocated = trial_count_allocated();
        long mapped = weft_test_mapped();
        int open = trial_count_open();
        int ran = 0;
        weft_test_fail_nth_of_any(nth);
        int error = weft_run(&two, count_one, &ran);
        failed = weft_test_has_failed();
        weft_test_fail_nth(0);
        assert_true(error == 0 || error == -ENOMEM || error == -EAGAIN);
        assert_int_equal(ran, error == 0);
        assert_true(failed || error == 0);
        refused += error != 0;
        assert_int_equal(trial_count_allocated(), allocated);
        assert_int_equal(weft_test_mapped(), mapped);
        assert_int_equal(trial_count_open(), open);
        assert_true(nth < TRIAL_MOST);
    }
    assert_true(refused >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_starts_or_says_why_not),
        cmocka_unit_test(tasks_are_refused_or_run),
        cmocka_unit_test(when_no_memory_comes_back_tasks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
