/* SPDX-License-Identifier: MIT */
/* Deadlines saturate instead of wrapping into the past. */
#include "weft/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_deadline_never_wraps_into_the_past(void **state) {
    assert_true(weft_clock_after(5, 7) == 12);
    assert_true(weft_clock_after(5, 0) == 5);
    assert_true(weft_clock_after(5, WEFT_FOREVER) == WEFT_FOREVER);
    assert_true(weft_clock_after(5, WEFT_FOREVER - 5) == WEFT_FOREVER);
    assert_true(weft_clock_after(5, WEFT_FOREVER - 6) == WEFT_FOREVER - 1);
    assert_true(weft_clock_after(WEFT_FOREVER, 1) == WEFT_FOREVER);
}

static void a_timespec_survives_the_round_trip(void **state) {
    static const uint64_t times[] = {
        0, 1, WEFT_S - 1, WEFT_S, 3 * WEFT_S + 7 * WEFT_MS + 9 * WEFT_US,
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct timespec ts = weft_ns_timespec(times[i]);
        assert_in_range(ts.tv_nsec, 0, WEFT_S - 1);
        assert_true(weft_timespec_ns(&ts) == times[i]);
    }
}

static void the_clock_does_not_go_back(void **state) {
    uint64_t last = weft_clock_now();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = weft_clock_now();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_never_wraps_into_the_past),
        cmocka_unit_test(a_timespec_survives_the_round_trip),
        cmocka_unit_test(the_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
