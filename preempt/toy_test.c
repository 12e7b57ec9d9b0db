/* SPDX-License-Identifier: MIT */
/* The parts together, as a scheduler that is not weft's would use them. */
#include "toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"

enum { LOOPS = 4 };

static _Atomic uint64_t steps[LOOPS];
static _Atomic bool end;

/* No call in it; asks for nothing, gives nothing away. */
static void loop_without_calls(void *arg) {
    _Atomic uint64_t *mine = arg;
    uint64_t count = 0;
    while (!atomic_load_explicit(&end, memory_order_relaxed)) {
        atomic_store_explicit(mine, ++count, memory_order_relaxed);
    }
}

static uint64_t step_of(int i) {
    return atomic_load_explicit(&steps[i], memory_order_relaxed);
}

/* The only one of them that will end the others: it must get its turn, see all
 * others get theirs, and again. */
static void wait_for_the_others(void *arg) {
    int others = *(int *)arg;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < others; i++) {
            uint64_t seen = step_of(i);
            while (step_of(i) == seen) {
                toy_check();
            }
        }
    }
    atomic_store_explicit(&end, true, memory_order_relaxed);
}

static void share(int loops, struct toy_result *result) {
    struct toy_job jobs[LOOPS + 1];
    if (weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    atomic_store_explicit(&end, false, memory_order_relaxed);
    for (int i = 0; i < loops; i++) {
        atomic_store_explicit(&steps[i], 0, memory_order_relaxed);
        jobs[i] = (struct toy_job){loop_without_calls, &steps[i]};
    }
    jobs[loops] = (struct toy_job){wait_for_the_others, &loops};
    toy_run(jobs, loops + 1, 500 * WEFT_US, WEFT_PREEMPT_SIGNAL, result);
}

static void two_loops_without_calls_share_one_processor(void **state) {
    struct toy_result result;
    share(1, &result);
    assert_true(result.counters.kept >= 10);
    assert_true(result.switches >= 20);
}

static void five_loops_get_their_turns_as_well(void **state) {
    struct toy_result result;
    share(LOOPS, &result);
    assert_true(result.counters.kept >= 40);
}

static void count_with_checks(void *arg) {
    _Atomic uint64_t *mine = arg;
    while (!atomic_load_explicit(&end, memory_order_relaxed)) {
        atomic_fetch_add_explicit(mine, 1, memory_order_relaxed);
        toy_check();
    }
}

static void cooperative_jobs_share_it_at_their_checks(void **state) {
    struct toy_result result;
    int loops = 1;
    struct toy_job jobs[2] = {{count_with_checks, &steps[0]},
                              {wait_for_the_others, &loops}};
    atomic_store_explicit(&end, false, memory_order_relaxed);
    atomic_store_explicit(&steps[0], 0, memory_order_relaxed);
    toy_run(jobs, 2, 500 * WEFT_US, WEFT_PREEMPT_COOPERATIVE, &result);
    assert_int_equal(result.counters.deliveries, 0);
    assert_true(result.counters.requests >= 10);
    assert_true(result.switches >= 10);
}

static void sleep_a_little(void *arg) {
    usleep(20000);
}

/* A quantum of an hour: the timer must not wake up for nothing. */
static void a_long_quantum_makes_few_ticks(void **state) {
    struct toy_result result;
    struct toy_job job = {sleep_a_little, NULL};
    toy_run(&job, 1, 3600 * WEFT_S, WEFT_PREEMPT_COOPERATIVE, &result);
    assert_in_range(result.ticks, 0, 2);
    assert_int_equal(result.counters.requests, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_loops_without_calls_share_one_processor),
        cmocka_unit_test(five_loops_get_their_turns_as_well),
        cmocka_unit_test(cooperative_jobs_share_it_at_their_checks),
        cmocka_unit_test(a_long_quantum_makes_few_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
