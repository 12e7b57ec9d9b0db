/* SPDX-License-Identifier: MIT */
/* What a task is made with, and what becomes of it: priority, name, rounding
 * mode, a stack that is too small, a handle given up. */
#include <errno.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

/* Long quanta: nobody is interrupted. */
static void run_on(unsigned workers, void (*fn)(void *), void *arg) {
    struct weft_config config = {.workers = workers,
                                 .quantum_ns = 10 * WEFT_S,
                                 .min_slice_ns = 10 * WEFT_S};
    assert_int_equal(weft_run(&config, fn, arg), 0);
}

enum { EACH = 32, PRIORITIES = 3 };

static int places[PRIORITIES]; /* the sum of the places at which they ended */
static int place;

static void *take_a_place(void *priority) {
    places[(uintptr_t)priority] += ++place;
    return NULL;
}

static void start_of_each_priority(void *arg) {
    static struct weft_task *t[PRIORITIES * EACH];
    (void)arg;
    for (uintptr_t i = 0; i < PRIORITIES * EACH; i++) {
        struct weft_task_options options = {
            .priority = (enum weft_priority)(i % PRIORITIES)};
        WEFT_CHECK_OP(
            weft_spawn(&t[i], take_a_place, (void *)(i % PRIORITIES), &options),
            ==, 0);
    }
    for (int i = 0; i < PRIORITIES * EACH; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static void high_runs_before_normal_and_normal_before_low(void **state) {
    memset(places, 0, sizeof places);
    place = 0;
    run_on(1, start_of_each_priority, NULL);
    assert_int_equal(place, PRIORITIES * EACH);
    assert_true(places[WEFT_PRIORITY_HIGH] < places[WEFT_PRIORITY_NORMAL]);
    assert_true(places[WEFT_PRIORITY_NORMAL] < places[WEFT_PRIORITY_LOW]);
}

static _Atomic bool done;

static void *yield_until_done(void *priority) {
    WEFT_CHECK_OP(weft_set_priority((enum weft_priority)(uintptr_t)priority),
                  ==, 0);
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        weft_yield();
    }
    return NULL;
}

static void *say_done(void *arg) {
    atomic_store_explicit(&done, true, memory_order_relaxed);
    return arg;
}

/* Tasks of priority `busy` never pause; one of priority `poor` still runs. */
static void run_one_beside(enum weft_priority busy, enum weft_priority poor) {
    struct weft_task_options options = {.priority = poor};
    struct weft_task *t[4], *last;
    atomic_store_explicit(&done, false, memory_order_relaxed);
    for (int i = 0; i < 4; i++) {
        WEFT_CHECK_OP(
            weft_spawn(&t[i], yield_until_done, (void *)(uintptr_t)busy, NULL),
            ==, 0);
    }
    WEFT_CHECK_OP(weft_spawn(&last, say_done, NULL, &options), ==, 0);
    WEFT_CHECK_OP(weft_join(last, NULL), ==, 0);
    for (int i = 0; i < 4; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static void run_the_poor(void *arg) {
    (void)arg;
    run_one_beside(WEFT_PRIORITY_HIGH, WEFT_PRIORITY_NORMAL);
    run_one_beside(WEFT_PRIORITY_HIGH, WEFT_PRIORITY_LOW);
    run_one_beside(WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_LOW);
    run_one_beside(WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_HIGH);
}

static void no_priority_starves_another(void **state) {
    run_on(1, run_the_poor, NULL);
    run_on(2, run_the_poor, NULL);
}

static void *round_upward(void *arg) {
    WEFT_CHECK_OP(fesetround(FE_UPWARD), ==, 0);
    for (int i = 0; i < 10; i++) {
        weft_yield();
        WEFT_CHECK_OP(fegetround(), ==, FE_UPWARD);
    }
    weft_sleep(WEFT_US);
    WEFT_CHECK_OP(fegetround(), ==, FE_UPWARD);
    return arg; /* without putting it back */
}

static void *look_at_rounding(void *arg) {
    for (int i = 0; i < 20; i++) {
        WEFT_CHECK_OP(fegetround(), ==, FE_TONEAREST);
        weft_yield();
    }
    return arg;
}

static void round_differently(void *arg) {
    struct weft_task_options keep = {.keep_fp = true};
    struct weft_task *t[8];
    (void)arg;
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(i % 2 == 0
                          ? weft_spawn(&t[i], round_upward, NULL, &keep)
                          : weft_spawn(&t[i], look_at_rounding, NULL, NULL),
                      ==, 0);
    }
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
        WEFT_CHECK_OP(fegetround(), ==, FE_TONEAREST);
    }
}

static void a_rounding_mode_that_is_kept_is_nobody_elses(void **state) {
    run_on(1, round_differently, NULL);
    run_on(2, round_differently, NULL);
}

static _Atomic int ended;

static void *count_end(void *arg) {
    if (arg != NULL) {
        weft_sleep(WEFT_US);
    }
    atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
    return NULL;
}

static void wait_for_ends(int count) {
    while (atomic_load_explicit(&ended, memory_order_relaxed) < count) {
        weft_yield();
    }
}

static void detach_early_and_late(void *arg) {
    struct weft_task *t;
    struct weft_metrics m;
    (void)arg;
    atomic_store_explicit(&ended, 0, memory_order_relaxed);
    for (int i = 0; i < 2000; i++) {
        WEFT_CHECK_OP(weft_spawn(&t, count_end, i % 2 ? &t : NULL, NULL), ==,
                      0);
        if (i % 3 == 0) { /* it has ended, or is about to */
            wait_for_ends(i + 1);
        }
        WEFT_CHECK_OP(weft_detach(t), ==, 0);
        wait_for_ends(i + 1);
    }
    do { /* the last may be on its way out */
        weft_yield();
        weft_metrics_read(&m);
    } while (m.tasks > 1);
    WEFT_CHECK_OP(m.spawned, ==, 2001U);
}

static void a_detached_task_goes_when_it_has_ended(void **state) {
    run_on(1, detach_early_and_late, NULL);
    run_on(2, detach_early_and_late, NULL);
}

WEFT_NOINLINE static uintptr_t descend(uintptr_t depth) {
    volatile char frame[64];
    frame[depth % 64] = (char)depth;
    if (depth == UINTPTR_MAX) {
        return 0;
    }
    return descend(depth + 1) + (uintptr_t)frame[depth % 64];
}

static void *recurse_for_ever(void *arg) {
    return (void *)descend((uintptr_t)arg);
}

static void spawn_one_that_is_too_deep(void *arg) {
    struct weft_task_options options = {.name = "too deep"};
    struct weft_task *t;
    (void)arg;
    weft_spawn(&t, recurse_for_ever, NULL, &options);
    weft_join(t, NULL);
}

/* In a child, which dies of it. */
static void a_task_that_overflows_is_named(void **state) {
    char said[4096];
    size_t length = 0;
    ssize_t n;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        /* cmocka's handlers are its own threads' business. */
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        weft_run(NULL, spawn_one_that_is_too_deep, NULL);
        _exit(0);
    }
    close(ends[1]);
    while (length < sizeof said - 1 &&
           (n = read(ends[0], said + length, sizeof said - 1 - length)) > 0) {
        length += (size_t)n;
    }
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (strstr(said, "stack overflow in task \"too deep\" (id ") == NULL) {
        fail_msg("said: %s", said);
    }
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(high_runs_before_normal_and_normal_before_low),
        cmocka_unit_test(no_priority_starves_another),
        cmocka_unit_test(a_rounding_mode_that_is_kept_is_nobody_elses),
        cmocka_unit_test(a_detached_task_goes_when_it_has_ended),
        cmocka_unit_test(a_task_that_overflows_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
