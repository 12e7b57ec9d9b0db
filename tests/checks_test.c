/* SPDX-License-Identifier: MIT */
/* Without signals: code that knows nothing of weft, built with checks that the
 * compiler inserts, lets the others run, and is none the worse for it. So do
 * loops with a weft_check() in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/plain.h"
#include "tests/storm.h"
#include "weft/base/check.h"

static _Atomic int stop;

static void *spin(void *arg) {
    plain_spin(&stop);
    return arg;
}

static void *go_round(void *arg) {
    WEFT_CHECK_OP(plain_goto(&stop), !=, 0U);
    return arg;
}

static void *count(void *arg) {
    WEFT_CHECK_OP(plain_count(&stop), !=, 0U);
    return arg;
}

static void *check(void *arg) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        weft_check();
    }
    return arg;
}

static void *use_errno(void *arg) {
    WEFT_CHECK_OP(plain_errno(&stop), ==, 0U);
    return arg;
}

static void *sort(void *arg) {
    WEFT_CHECK_OP(plain_sort(&stop), ==, 0U);
    return arg;
}

static void *add_up(void *arg) {
    WEFT_CHECK_OP(plain_sums(&stop), ==, 0U);
    return arg;
}

/* Must be reached while the others go on. */
static void *end_it(void *arg) {
    for (int i = 0; i < 20; i++) {
        weft_yield();
    }
    weft_sleep(5 * WEFT_MS);
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    return arg;
}

typedef void *(*function)(void *);

static void run_all(void *functions) {
    const function *fn = functions;
    struct weft_task *tasks[64];
    struct weft_metrics metrics;
    int n = 0;
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    for (; fn[n] != NULL; n++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[n], fn[n], NULL, NULL), ==, 0);
    }
    WEFT_CHECK_OP(weft_spawn(&tasks[n++], end_it, NULL, NULL), ==, 0);
    while (n > 0) {
        WEFT_CHECK_OP(weft_join(tasks[--n], NULL), ==, 0);
    }
    weft_metrics_read(&metrics);
    WEFT_CHECK_OP((int)metrics.preempt, ==, WEFT_PREEMPT_COOPERATIVE);
    WEFT_CHECK(metrics.preempt_kept + metrics.preempt_yielded > 0);
}

static void run_cooperatively(unsigned workers, const function *functions) {
    struct weft_config config = {.workers = workers,
                                 .quantum_ns = 100 * WEFT_US,
                                 .min_slice_ns = 100 * WEFT_US,
                                 .preempt = WEFT_PREEMPT_COOPERATIVE};
    storm_run_with(&config, run_all, (void *)functions);
    assert_false(weft_anybody_asked());
}

static void a_loop_without_calls_lets_others_run(void **state) {
    run_cooperatively(1, (function[]){spin, NULL});
    run_cooperatively(1, (function[]){go_round, NULL});
    run_cooperatively(1, (function[]){count, NULL});
    run_cooperatively(1, (function[]){spin, go_round, count, spin, NULL});
    run_cooperatively(2, (function[]){spin, go_round, count, spin, NULL});
}

static void a_loop_with_a_check_does_so_too(void **state) {
    run_cooperatively(1, (function[]){check, NULL});
    run_cooperatively(2, (function[]){check, check, check, spin, NULL});
}

static void code_between_two_checks_notices_nothing(void **state) {
    static const function all[] = {
        use_errno, sort,   add_up, use_errno, sort,   add_up, use_errno,
        sort,      add_up, check,  spin,      count,  sort,   add_up,
        use_errno, sort,   add_up, use_errno, add_up, NULL};
    run_cooperatively(1, all);
    run_cooperatively(2, all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_without_calls_lets_others_run),
        cmocka_unit_test(a_loop_with_a_check_does_so_too),
        cmocka_unit_test(code_between_two_checks_notices_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
