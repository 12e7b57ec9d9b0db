/* SPDX-License-Identifier: MIT */
/* The adaptive quantum keeps its bounds and its promise of a round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/sched/policy.h"

static struct weft_config config(uint64_t quantum, unsigned off) {
    return (struct weft_config){.workers = 2,
                                .quantum_ns = quantum,
                                .min_slice_ns = 200 * WEFT_US,
                                .policies_off = off};
}

static void it_is_long_where_few_wait(void **state) {
    struct weft_config c = config(10 * WEFT_MS, 0);
    (void)state;
    for (uint32_t waiting = 0; waiting < 4; waiting++) {
        assert_int_equal(weft_quantum(&c, waiting), 20 * WEFT_MS);
    }
}

static void it_is_short_where_many_wait(void **state) {
    struct weft_config c = config(10 * WEFT_MS, 0);
    (void)state;
    assert_int_equal(weft_quantum(&c, 4), 10 * WEFT_MS);
    assert_int_equal(weft_quantum(&c, 8), 5 * WEFT_MS);
    assert_int_equal(weft_quantum(&c, 16), 2500 * WEFT_US);
    assert_int_equal(weft_quantum(&c, 1000000), 2500 * WEFT_US);
}

static void more_that_wait_never_make_it_longer(void **state) {
    static const uint64_t quanta[] = {50 * WEFT_US, WEFT_MS, 3 * WEFT_MS,
                                      10 * WEFT_MS, 10 * WEFT_S};
    (void)state;
    for (unsigned i = 0; i < sizeof quanta / sizeof quanta[0]; i++) {
        struct weft_config c = config(quanta[i], 0);
        uint64_t before = UINT64_MAX;
        for (uint32_t waiting = 0; waiting < 100; waiting++) {
            uint64_t now = weft_quantum(&c, waiting);
            assert_true(now <= before);
            assert_true(now <= 2 * quanta[i]);
            before = now;
        }
    }
}

static void a_short_quantum_is_not_made_shorter(void **state) {
    struct weft_config c = config(WEFT_MS, 0);
    (void)state;
    assert_int_equal(weft_quantum(&c, 1000), WEFT_MS);
    c.quantum_ns = 2 * WEFT_MS;
    assert_int_equal(weft_quantum(&c, 1000), WEFT_MS);
}

static void it_is_never_below_the_minimum_slice(void **state) {
    struct weft_config c = config(10 * WEFT_MS, 0);
    (void)state;
    c.min_slice_ns = 7 * WEFT_MS;
    assert_int_equal(weft_quantum(&c, 1000), 7 * WEFT_MS);
}

static void switched_off_it_is_what_was_configured(void **state) {
    struct weft_config c = config(10 * WEFT_MS, WEFT_POLICY_QUANTUM);
    (void)state;
    assert_int_equal(weft_quantum(&c, 0), 10 * WEFT_MS);
    assert_int_equal(weft_quantum(&c, 1000), 10 * WEFT_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_long_where_few_wait),
        cmocka_unit_test(it_is_short_where_many_wait),
        cmocka_unit_test(more_that_wait_never_make_it_longer),
        cmocka_unit_test(a_short_quantum_is_not_made_shorter),
        cmocka_unit_test(it_is_never_below_the_minimum_slice),
        cmocka_unit_test(switched_off_it_is_what_was_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
