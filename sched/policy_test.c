/* SPDX-License-Identifier: MIT */
/* A program comes to its end whatever policy is switched off: tasks that spin,
 * sleep, yield and wait, more of them than processors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

enum { SPINNERS = 3, NAPS = 5 };

static _Atomic bool stop;
static _Atomic int turns[SPINNERS];

static void *spin(void *turn) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        atomic_store_explicit((_Atomic int *)turn, 1, memory_order_relaxed);
        weft_check(); /* for builds and runs without signals */
    }
    return NULL;
}

static void *nap(void *arg) {
    for (int i = 0; i < NAPS; i++) {
        WEFT_CHECK_OP(weft_sleep(100 * WEFT_US), ==, 0);
        weft_yield();
    }
    return arg;
}

static void spin_and_nap(void *arg) {
    struct weft_task *spinner[SPINNERS];
    struct weft_task *napper[2];
    (void)arg;
    for (int i = 0; i < SPINNERS; i++) {
        atomic_store_explicit(&turns[i], 0, memory_order_relaxed);
        WEFT_CHECK_OP(
            weft_spawn(&spinner[i], spin, (void *)(uintptr_t)&turns[i], NULL),
            ==, 0);
    }
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(weft_spawn(&napper[i], nap, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(weft_join(napper[i], NULL), ==, 0);
    }
    for (int i = 0; i < SPINNERS; i++) {
        while (!atomic_load_explicit(&turns[i], memory_order_relaxed)) {
            weft_sleep(WEFT_MS); /* each gets its turn */
        }
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < SPINNERS; i++) {
        WEFT_CHECK_OP(weft_join(spinner[i], NULL), ==, 0);
    }
}

static void run_without(unsigned policies, unsigned workers) {
    struct weft_config config = {.workers = workers,
                                 .quantum_ns = 200 * WEFT_US,
                                 .min_slice_ns = 100 * WEFT_US,
                                 .policies_off = policies};
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    assert_int_equal(weft_run(&config, spin_and_nap, NULL), 0);
}

static void a_program_ends_without_any_one_policy(void **state) {
    (void)state;
    for (unsigned bit = 1; bit < WEFT_POLICY_ALL; bit <<= 1) {
        run_without(bit, 2);
    }
}

static void a_program_ends_without_all_policies(void **state) {
    (void)state;
    run_without(WEFT_POLICY_ALL, 1);
    run_without(WEFT_POLICY_ALL, 2);
}

static void an_unknown_policy_is_refused(void **state) {
    struct weft_config config = {.policies_off = WEFT_POLICY_ALL + 1};
    (void)state;
    assert_int_equal(weft_run(&config, spin_and_nap, NULL), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_ends_without_any_one_policy),
        cmocka_unit_test(a_program_ends_without_all_policies),
        cmocka_unit_test(an_unknown_policy_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
