/* SPDX-License-Identifier: MIT */
/* The loop does all its rounds, and about as many as it was calibrated for. */
#include "weft/demo_http/burn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_round_counts(void **state) {
    uint64_t x = 3;
    for (int i = 0; i < 3; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    }
    assert_true(http_burn(3) == x);
    assert_true(http_burn(2) != http_burn(3));
    assert_true(http_burn(0) == 1);
}

static void calibration_finds_a_rate(void **state) {
    assert_true(http_burn_calibrate() > 100);
}

static void fib_is_fib(void **state) {
    assert_int_equal(http_fib(0), 0);
    assert_int_equal(http_fib(1), 1);
    assert_int_equal(http_fib(20), 6765);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_round_counts),
        cmocka_unit_test(calibration_finds_a_rate),
        cmocka_unit_test(fib_is_fib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
