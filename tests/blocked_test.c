/* SPDX-License-Identifier: MIT */
/* Threads that sleep in the kernel, with the runtime told and without: the
 * others run meanwhile, and the sleepers go on when they wake. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"

static void *nap(void *ns) {
    struct timespec ts = {.tv_nsec = (long)(uintptr_t)ns};
    while (nanosleep(&ts, &ts) != 0) {
        WEFT_CHECK_OP(errno, ==, EINTR);
    }
    return ns;
}

/* The monitor, which saw the first nap, takes the processor at the moment at
 * which the task gives it up itself. */
static void *nap_secretly_then_openly(void *index) {
    uintptr_t rounds = 0;
    while (!storm_over()) {
        nap((void *)(uintptr_t)(40000 +
                                5000 * ((rounds + (uintptr_t)index) % 8)));
        WEFT_CHECK_OP(weft_blocking(nap, (void *)60000), ==, (void *)60000);
        rounds++;
    }
    return (void *)rounds;
}

static void a_call_that_blocks_openly_may_follow_one_that_did_not(
    void **state) {
    assert_int_not_equal(storm_tasks(1, 50, 8, 300, nap_secretly_then_openly),
                         0);
    assert_int_not_equal(storm_tasks(2, 50, 8, 300, nap_secretly_then_openly),
                         0);
}

static _Atomic uint64_t others; /* rounds of those that do not nap */

/* A page fault may put it to sleep, and others may spin for what it holds. */
static void *nap_undisturbed(void *index) {
    uintptr_t rounds = 0;
    while (!storm_over()) {
        if (index != NULL) {
            atomic_fetch_add_explicit(&others, 1, memory_order_relaxed);
            continue;
        }
        weft_preempt_disable();
        uint64_t seen = atomic_load_explicit(&others, memory_order_relaxed);
        nap((void *)2000000);
        WEFT_CHECK_OP(atomic_load_explicit(&others, memory_order_relaxed), ==,
                      seen);
        weft_preempt_enable();
        rounds++;
    }
    return (void *)rounds;
}

static void who_is_not_to_be_interrupted_keeps_its_processor_asleep(
    void **state) {
    (void)state;
    assert_int_not_equal(storm_tasks(1, 50, 2, 200, nap_undisturbed), 0);
}

static struct { int first[2], second[2]; /* pipes */ } pipes;

static void *read_one(void *fd) {
    char byte;
    WEFT_CHECK_OP(read((int)(uintptr_t)fd, &byte, 1), ==, 1);
    return fd;
}

static void *block_then_wake_the_others(void *arg) {
    weft_blocking(read_one, (void *)(uintptr_t)pipes.first[0]);
    WEFT_CHECK_OP(write(pipes.second[1], "ab", 2), ==, 2);
    return arg;
}

static void *block_on_the_second(void *arg) {
    weft_blocking(read_one, (void *)(uintptr_t)pipes.second[0]);
    return arg;
}

/* Three threads: two block, the third keeps the only processor until one of
 * them is back, which then waits for a processor with its task; then the third
 * blocks as well. No thread is left but the one that came back. */
static void block_all_but_one(void *arg) {
    struct weft_metrics m;
    struct weft_task *t[2];
    (void)arg;
    WEFT_CHECK_OP(weft_spawn(&t[0], block_then_wake_the_others, NULL, NULL), ==,
                  0);
    WEFT_CHECK_OP(weft_spawn(&t[1], block_on_the_second, NULL, NULL), ==, 0);
    do {
        weft_sleep(100 * WEFT_US);
        weft_metrics_read(&m);
    } while (m.blocked_threads != 2);
    WEFT_CHECK_OP(write(pipes.first[1], "x", 1), ==, 1);
    do {
        weft_metrics_read(&m);
    } while (m.kept_threads != 1);
    weft_blocking(read_one, (void *)(uintptr_t)pipes.second[0]);
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static void at_the_cap_a_task_that_came_back_goes_on_on_its_own_thread(
    void **state) {
    struct weft_config config = {.workers = 1,
                                 .max_threads = 3,
                                 .quantum_ns = 10 * WEFT_S,
                                 .min_slice_ns = 10 * WEFT_S};
    assert_int_equal(pipe(pipes.first), 0);
    assert_int_equal(pipe(pipes.second), 0);
    storm_run_with(&config, block_all_but_one, NULL);
    for (int i = 0; i < 2; i++) {
        close(pipes.first[i]);
        close(pipes.second[i]);
    }
}

enum { NAPS = 20 };

static _Atomic uint64_t steps; /* of who computes meanwhile */

/* A call of the kernel, made without a word to the runtime: somebody else has
 * the only processor before it returns, and it is not cut short. (It could be
 * by a signal that was on its way when the call began: so not each time.) */
static void *nap_beside_another(void *quiet) {
    for (int i = 0; i < NAPS; i++) {
        struct timespec ts = {.tv_nsec = 10 * 1000 * 1000};
        uint64_t before = atomic_load_explicit(&steps, memory_order_relaxed);
        if (nanosleep(&ts, NULL) == 0 &&
            atomic_load_explicit(&steps, memory_order_relaxed) != before) {
            ++*(int *)quiet;
        }
        weft_yield();
    }
    return NULL;
}

static void *count_steps(void *arg) {
    while (!atomic_load_explicit((_Atomic bool *)arg, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
        STORM_CHECK();
    }
    return NULL;
}

static void watch_naps(void *quiet) {
    static _Atomic bool enough;
    struct weft_task *napper, *counter;
    struct weft_metrics m;
    atomic_store_explicit(&enough, false, memory_order_relaxed);
    WEFT_CHECK_OP(weft_spawn(&napper, nap_beside_another, quiet, NULL), ==, 0);
    WEFT_CHECK_OP(weft_spawn(&counter, count_steps, &enough, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(napper, NULL), ==, 0);
    atomic_store_explicit(&enough, true, memory_order_relaxed);
    WEFT_CHECK_OP(weft_join(counter, NULL), ==, 0);
    weft_metrics_read(&m);
    WEFT_CHECK_OP(m.retaken, >, 0UL);
}

static void a_call_that_blocks_secretly_loses_the_processor_but_no_time(
    void **state) {
    int quiet = 0;
    storm_needs_preemption();
    storm_run(1, 1000, watch_naps, &quiet);
    assert_in_range(quiet, NAPS / 2, NAPS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_call_that_blocks_secretly_loses_the_processor_but_no_time),
        cmocka_unit_test(
            who_is_not_to_be_interrupted_keeps_its_processor_asleep),
        cmocka_unit_test(a_call_that_blocks_openly_may_follow_one_that_did_not),
        cmocka_unit_test(
            at_the_cap_a_task_that_came_back_goes_on_on_its_own_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
