/* SPDX-License-Identifier: MIT */
/* What an OS thread that weft does not know may do with tasks: start, cancel,
 * detach and look at them. What is a task's alone says -EPERM there, or does
 * nothing; what would only wait blocks the thread. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sync/testing.h"
#include "weft/weft.h"

static struct weft_event started, over;
static struct weft_task *made, *let_alone;

static void *until_cancelled(void *arg) {
    weft_event_set(&started);
    WEFT_CHECK_OP(weft_sleep(100 * WEFT_S), ==, -ECANCELED);
    return arg;
}

static void *until_over(void *arg) {
    WEFT_CHECK_OP(weft_event_wait(&over), ==, 0);
    return arg;
}

static void starts_and_cancels(void *arg) {
    static const struct weft_task_options options = {.name = "made outside"};
    weft_event_reset(&started);
    WEFT_CHECK_OP(weft_spawn(&made, until_cancelled, arg, &options), ==, 0);
    WEFT_CHECK_OP(weft_event_wait(&started), ==, 0);
    WEFT_CHECK(weft_task_id(made) != 0);
    WEFT_CHECK(strcmp(weft_task_name(made), "made outside") == 0);
    WEFT_CHECK(weft_task_state(made) != WEFT_TASK_DEAD);
    WEFT_CHECK_OP(weft_join(made, NULL), ==, -EPERM);
    WEFT_CHECK_OP(weft_cancel(made), ==, 0);
    WEFT_CHECK_OP(weft_spawn(&let_alone, until_over, NULL, NULL), ==, 0);
    WEFT_CHECK_OP(weft_detach(let_alone), ==, 0);
}

static void is_told_of_tasks(void *arg) {
    void *result = NULL;
    weft_test_foreign(starts_and_cancels, arg);
    WEFT_CHECK_OP(weft_join(made, &result), ==, 0);
    WEFT_CHECK(result == arg);
    weft_event_set(&over);
}

static void it_starts_cancels_and_detaches(void **state) {
    int value;
    weft_test_run(is_told_of_tasks, &value);
}

static void *says(void *arg) {
    return arg;
}

static void tries_all(void *arg) {
    struct weft_task_local key = WEFT_TASK_LOCAL_INIT(NULL);
    struct sockaddr_storage address;
    char byte;
    WEFT_CHECK(weft_self() == NULL && !weft_cancelled());
    weft_yield();
    weft_check();
    weft_preempt_disable();
    weft_preempt_enable();
    weft_unpin_thread();
    weft_set_name("nobody");
    WEFT_CHECK_OP(weft_pin_thread(), ==, -EPERM);
    WEFT_CHECK_OP(weft_set_priority(WEFT_PRIORITY_HIGH), ==, -EPERM);
    WEFT_CHECK_OP(weft_task_local_set(&key, arg), ==, -EPERM);
    WEFT_CHECK(weft_task_local_get(&key) == NULL);
    WEFT_CHECK(weft_blocking(says, arg) == arg);
    uint64_t now = weft_now();
    WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
    WEFT_CHECK(weft_now() >= now + WEFT_MS);
    WEFT_CHECK_OP(weft_resolve("127.0.0.1", NULL, &address, 1, WEFT_FOREVER),
                  ==, -EPERM);
    WEFT_CHECK_OP(weft_read(*(int *)arg, &byte, 1, WEFT_FOREVER), ==, -EPERM);
    WEFT_CHECK_OP(weft_wait_readable(*(int *)arg, WEFT_FOREVER), ==, -EPERM);
}

static void is_asked(void *arg) {
    int ends[2];
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    weft_test_foreign(tries_all, &ends[0]);
    WEFT_CHECK_OP(weft_close(ends[0]), ==, 0);
    WEFT_CHECK_OP(weft_close(ends[1]), ==, 0);
}

static void what_is_a_tasks_alone_is_refused_there(void **state) {
    weft_test_run(is_asked, NULL);
}

static void starts_nothing(void *arg) {
    struct weft_task *t;
    WEFT_CHECK_OP(weft_spawn(&t, says, arg, NULL), ==, -EPERM);
    WEFT_CHECK_OP(weft_go(starts_nothing, arg), ==, -EPERM);
}

static void without_a_runtime_there_are_no_tasks(void **state) {
    starts_nothing(NULL);
    weft_test_foreign(starts_nothing, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_cancels_and_detaches),
        cmocka_unit_test(what_is_a_tasks_alone_is_refused_there),
        cmocka_unit_test(without_a_runtime_there_are_no_tasks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
