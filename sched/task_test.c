/* SPDX-License-Identifier: MIT */
/* Tasks as their header promises them: birth, results, waiting for each other,
 * cancellation, names, and the wrong calls. A check that fails in a task, which
 * is no thread that cmocka knows, stops the program with both values. */
#include "weft/sched/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"

static void run_with(unsigned workers, void (*fn)(void *), void *arg) {
    struct weft_config config = {.workers = workers};
    assert_int_equal(weft_run(&config, fn, arg), 0);
}

static void *add_one(void *arg) {
    return (void *)((uintptr_t)arg + 1);
}

static void spawn_and_join(void *arg) {
    int *joined = arg;
    for (uintptr_t i = 0; i < 1000; i++) {
        struct weft_task *t;
        void *result;
        WEFT_CHECK_OP((long)(weft_spawn(&t, add_one, (void *)i, NULL)), ==,
                      (long)0);
        WEFT_CHECK_OP((long)(weft_join(t, &result)), ==, (long)0);
        WEFT_CHECK_OP((long)((uintptr_t)result), ==, (long)i + 1);
        ++*joined;
    }
}

static void join_returns_what_the_function_returned(void **state) {
    int joined = 0;
    run_with(1, spawn_and_join, &joined);
    run_with(2, spawn_and_join, &joined);
    assert_int_equal(joined, 2000);
}

enum { MANY = 10000 };

static _Atomic int count;

static void *count_up(void *arg) {
    weft_yield();
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return arg;
}

static void spawn_many(void *arg) {
    static struct weft_task *tasks[MANY];
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP((long)(weft_spawn(&tasks[i], count_up, NULL, NULL)), ==,
                      (long)0);
    }
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP((long)(weft_join(tasks[i], NULL)), ==, (long)0);
    }
}

static void ten_thousand_tasks_run_once_each(void **state) {
    for (unsigned workers = 1; workers <= 4; workers++) {
        atomic_store_explicit(&count, 0, memory_order_relaxed);
        run_with(workers, spawn_many, NULL);
        assert_int_equal(atomic_load_explicit(&count, memory_order_relaxed),
                         MANY);
    }
}

static char order[64];
static int order_length;

static void write_letter(void *arg) {
    for (int i = 0; i < 3; i++) {
        order[order_length++] = *(const char *)arg;
        weft_yield();
    }
}

static void start_three(void *arg) {
    weft_go(write_letter, "a");
    weft_go(write_letter, "b");
    weft_go(write_letter, "c");
    for (int i = 0; i < 20; i++) {
        weft_yield();
    }
}

static void yield_takes_turns_on_one_worker(void **state) {
    /* A preemption between two of the births would let the first ones run to
     * their ends before the last is there. */
    struct weft_config config = {.workers = 1, .preempt = WEFT_PREEMPT_OFF};
    order_length = 0;
    assert_int_equal(weft_run(&config, start_three, NULL), 0);
    order[order_length] = '\0';
    assert_int_equal(order_length, 9);
    for (int i = 0; i < 9; i += 3) { /* each round has each letter once */
        assert_non_null(memchr(order + i, 'a', 3));
        assert_non_null(memchr(order + i, 'b', 3));
        assert_non_null(memchr(order + i, 'c', 3));
    }
}

static void *sleep_for_ever(void *arg) {
    int result = weft_sleep_until(WEFT_FOREVER);
    WEFT_CHECK(weft_cancelled());
    WEFT_CHECK_OP((long)(weft_sleep(1)), ==, (long)-ECANCELED);
    return (void *)(intptr_t)result;
}

static void cancel_a_sleeper(void *arg) {
    struct weft_task *t;
    void *result;
    WEFT_CHECK_OP((long)(weft_spawn(&t, sleep_for_ever, NULL, NULL)), ==,
                  (long)0);
    WEFT_CHECK_OP((long)(weft_join_until(t, NULL, weft_now() + WEFT_MS)), ==,
                  (long)-ETIMEDOUT);
    WEFT_CHECK_OP((long)(weft_cancel(t)), ==, (long)0);
    WEFT_CHECK_OP((long)(weft_cancel(t)), ==, (long)0);
    WEFT_CHECK_OP((long)(weft_join(t, &result)), ==, (long)0);
    WEFT_CHECK_OP((long)((intptr_t)result), ==, (long)-ECANCELED);
}

static void a_cancelled_sleeper_wakes_and_knows_it(void **state) {
    run_with(1, cancel_a_sleeper, NULL);
    run_with(2, cancel_a_sleeper, NULL);
}

static void *join_the_other(void *arg) {
    return (void *)(intptr_t)weft_join(*(struct weft_task **)arg, NULL);
}

static void join_wrongly(void *arg) {
    struct weft_task *sleeper, *first;
    void *result;
    WEFT_CHECK_OP((long)(weft_join(weft_self(), NULL)), ==, (long)-EDEADLK);
    WEFT_CHECK_OP((long)(weft_spawn(&sleeper, sleep_for_ever, NULL, NULL)), ==,
                  (long)0);
    WEFT_CHECK_OP((long)(weft_spawn(&first, join_the_other, &sleeper, NULL)),
                  ==, (long)0);
    while (weft_task_state(first) != WEFT_TASK_WAITING) {
        weft_yield();
    }
    WEFT_CHECK_OP((long)(weft_join(sleeper, NULL)), ==, (long)-EBUSY);
    WEFT_CHECK_OP((long)(weft_detach(sleeper)), ==, (long)-EBUSY);
    weft_cancel(first); /* gives up the join, the handle stays good */
    WEFT_CHECK_OP((long)(weft_join(first, &result)), ==, (long)0);
    WEFT_CHECK_OP((long)((intptr_t)result), ==, (long)-ECANCELED);
    weft_cancel(sleeper);
    WEFT_CHECK_OP((long)(weft_join(sleeper, NULL)), ==, (long)0);
}

static void joining_wrongly_is_an_error_and_loses_nothing(void **state) {
    run_with(1, join_wrongly, NULL);
}

enum { SLEEPERS = 1000 };

static uint64_t due;
static _Atomic int awake;

static void *sleep_with_the_others(void *arg) {
    int result = weft_sleep_until(due);
    /* A cancelled one may have slept to the end before it was. */
    WEFT_CHECK(weft_now() >= due ? result == 0 || arg != NULL
                                 : result == -ECANCELED && arg != NULL);
    atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
    return NULL;
}

/* Many at one time, those of high priority among them, some gone before; and
 * the worker is never without a task to run. */
static void sleep_together(void *arg) {
    static struct weft_task *tasks[SLEEPERS];
    due = weft_now() + 20 * WEFT_MS;
    atomic_store_explicit(&awake, 0, memory_order_relaxed);
    for (uintptr_t i = 0; i < SLEEPERS; i++) {
        bool early = i % 7 == 0;
        struct weft_task_options options = {
            .priority =
                i % 10 == 0 ? WEFT_PRIORITY_HIGH : WEFT_PRIORITY_NORMAL};
        WEFT_CHECK_OP((long)weft_spawn(&tasks[i], sleep_with_the_others,
                                       early ? arg : NULL, &options),
                      ==, 0L);
        if (early) {
            weft_cancel(tasks[i]);
        }
    }
    while (atomic_load_explicit(&awake, memory_order_relaxed) < SLEEPERS) {
        weft_yield();
    }
    for (int i = 0; i < SLEEPERS; i++) {
        WEFT_CHECK_OP((long)weft_join(tasks[i], NULL), ==, 0L);
    }
}

static void sleepers_that_are_due_together_all_wake(void **state) {
    run_with(1, sleep_together, &awake);
    run_with(2, sleep_together, &awake);
}

static void sleep_in_order(void *arg) {
    uint64_t begin = weft_now();
    WEFT_CHECK_OP((long)(weft_sleep(2 * WEFT_MS)), ==, (long)0);
    WEFT_CHECK(weft_now() >= begin + 2 * WEFT_MS);
    WEFT_CHECK_OP((long)(weft_sleep_until(begin)), ==,
                  (long)0); /* in the past */
    WEFT_CHECK_OP((long)(weft_sleep(0)), ==, (long)0);
}

static void sleep_lasts_at_least_as_long_as_asked(void **state) {
    run_with(1, sleep_in_order, NULL);
}

static void look_at_myself(void *arg) {
    struct weft_task_options options = {.name = "a name that is far too long"};
    struct weft_task *t;
    WEFT_CHECK(strcmp(weft_task_name(weft_self()), "main") == 0);
    WEFT_CHECK_OP((long)(weft_task_id(weft_self())), !=, (long)0);
    WEFT_CHECK_OP((long)(weft_task_state(weft_self())), ==,
                  (long)WEFT_TASK_RUNNING);
    WEFT_CHECK_OP((long)(weft_spawn(&t, add_one, NULL, &options)), ==, (long)0);
    WEFT_CHECK(strcmp(weft_task_name(t), "a name that is far too ") == 0);
    WEFT_CHECK_OP((long)(weft_task_id(t)), !=, (long)weft_task_id(weft_self()));
    WEFT_CHECK_OP((long)(weft_join(t, NULL)), ==, (long)0);
    weft_set_name("other");
    WEFT_CHECK(strcmp(weft_task_name(weft_self()), "other") == 0);
    WEFT_CHECK_OP((long)(weft_set_priority(WEFT_PRIORITY_HIGH)), ==, (long)0);
    WEFT_CHECK_OP((long)(weft_set_priority((enum weft_priority)9)), ==,
                  (long)-EINVAL);
}

static void a_task_knows_its_name_and_state(void **state) {
    run_with(1, look_at_myself, NULL);
}

static void spawn_wrongly(void *arg) {
    struct weft_task *t;
    struct weft_task_options tiny = {.stack_size = 1};
    struct weft_task_options odd = {.priority = (enum weft_priority)7};
    WEFT_CHECK_OP((long)(weft_spawn(&t, add_one, NULL, &tiny)), ==,
                  (long)-EINVAL);
    WEFT_CHECK_OP((long)(weft_spawn(&t, add_one, NULL, &odd)), ==,
                  (long)-EINVAL);
    WEFT_CHECK_OP((long)(weft_run(NULL, spawn_wrongly, NULL)), ==,
                  (long)-EALREADY);
}

static void nothing(void *arg) {
}

static void wrong_calls_are_refused(void **state) {
    struct weft_task *t;
    struct weft_config config = {.workers = 1, .max_threads = 1};
    assert_int_equal(weft_go(nothing, NULL), -EPERM);
    assert_int_equal(weft_spawn(&t, add_one, NULL, NULL), -EPERM);
    assert_null(weft_self());
    assert_false(weft_cancelled());
    weft_yield();
    weft_check();
    assert_int_equal(weft_sleep(1), 0);
    run_with(1, spawn_wrongly, NULL);
    assert_int_equal(weft_run(&config, nothing, NULL), -EINVAL);
    config = (struct weft_config){.quantum_ns = 1};
    assert_int_equal(weft_run(&config, nothing, NULL), -EINVAL);
}

static void *use_much_stack(void *arg) {
    volatile char big[700 << 10];
    memset((void *)big, 1, sizeof big);
    return (void *)(uintptr_t)big[sizeof big - 1];
}

static void spawn_big(void *arg) {
    struct weft_task_options big = {.stack_size = 1 << 20};
    for (int i = 0; i < 10; i++) {
        struct weft_task *t;
        void *result;
        WEFT_CHECK_OP((long)(weft_spawn(&t, use_much_stack, NULL, &big)), ==,
                      (long)0);
        WEFT_CHECK_OP((long)(weft_join(t, &result)), ==, (long)0);
        WEFT_CHECK_OP((long)((uintptr_t)result), ==, (long)1);
    }
}

static void a_task_may_have_a_larger_stack(void **state) {
    run_with(2, spawn_big, NULL);
}

/* Blocks this thread until others have been seen to run. */
static void *blocking_part(void *arg) {
    int before = atomic_load_explicit(&count, memory_order_relaxed);
    while (atomic_load_explicit(&count, memory_order_relaxed) == before) {
        struct timespec ts = {.tv_nsec = 100000};
        nanosleep(&ts, NULL);
    }
    return (void *)((uintptr_t)arg + 5);
}

static void *tick(void *arg) {
    while (!atomic_load_explicit((_Atomic int *)arg, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
        weft_yield();
    }
    return NULL;
}

static void block_beside(void *arg) {
    static _Atomic int done;
    struct weft_task *t;
    atomic_store_explicit(&done, 0, memory_order_relaxed);
    WEFT_CHECK_OP((long)(weft_spawn(&t, tick, &done, NULL)), ==, (long)0);
    for (int i = 0; i < 5; i++) {
        WEFT_CHECK_OP(weft_blocking(blocking_part, (void *)1), ==, (void *)6);
    }
    atomic_store_explicit(&done, 1, memory_order_relaxed);
    WEFT_CHECK_OP((long)(weft_join(t, NULL)), ==, (long)0);
}

static void others_run_while_one_blocks(void **state) {
    run_with(1, block_beside, NULL);
    run_with(2, block_beside, NULL);
}

static struct weft_carried luggage;
static int unpacked;

static void unpack(struct weft_carried *self) {
    WEFT_CHECK_OP(self, ==, &luggage);
    WEFT_CHECK_OP(weft_carried(), ==, self);
    weft_yield(); /* it is still a task */
    unpacked++;
}

static void *takes_along(void *arg) {
    WEFT_CHECK(weft_carried() == NULL);
    luggage.end = unpack;
    WEFT_CHECK_OP((long)weft_carry(&luggage), ==, 0L);
    weft_yield();
    WEFT_CHECK_OP(weft_carried(), ==, &luggage);
    if (arg != NULL) {
        WEFT_CHECK_OP((long)weft_carry(NULL), ==, 0L);
    }
    return &luggage;
}

static void carry(void *arg) {
    for (int i = 0; i < 200; i++) {
        struct weft_task *t;
        void *result;
        int before = unpacked;
        bool lays_down = i % 2 == 0;
        WEFT_CHECK_OP((long)weft_spawn(&t, takes_along,
                                       lays_down ? &luggage : NULL, NULL),
                      ==, 0L);
        WEFT_CHECK_OP((long)weft_join(t, &result), ==, 0L);
        WEFT_CHECK_OP(result, ==, (void *)&luggage);
        WEFT_CHECK_OP(unpacked, ==, before + !lays_down);
    }
}

static void what_a_task_carries_is_told_of_its_end(void **state) {
    run_with(1, carry, NULL);
    run_with(2, carry, NULL);
    assert_int_equal(weft_carry(&luggage), -EPERM);
    assert_null(weft_carried());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_returns_what_the_function_returned),
        cmocka_unit_test(ten_thousand_tasks_run_once_each),
        cmocka_unit_test(yield_takes_turns_on_one_worker),
        cmocka_unit_test(a_cancelled_sleeper_wakes_and_knows_it),
        cmocka_unit_test(joining_wrongly_is_an_error_and_loses_nothing),
        cmocka_unit_test(sleepers_that_are_due_together_all_wake),
        cmocka_unit_test(sleep_lasts_at_least_as_long_as_asked),
        cmocka_unit_test(a_task_knows_its_name_and_state),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(a_task_may_have_a_larger_stack),
        cmocka_unit_test(others_run_while_one_blocks),
        cmocka_unit_test(what_a_task_carries_is_told_of_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
