/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/compiler.h"
#include "weft/preempt/mode.h"

/* Whether this build has signals is asked by insisting. */
static enum weft_preempt_mode best(void) {
    setenv("WEFT_PREEMPT", "signal", 1);
    enum weft_preempt_mode mode = weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL);
    unsetenv("WEFT_PREEMPT");
    return mode;
}

static enum weft_preempt_mode usual(void) {
    return WEFT_TSAN ? WEFT_PREEMPT_COOPERATIVE : best();
}

static void names_and_modes_belong_together(void **state) {
    for (int i = WEFT_PREEMPT_DEFAULT; i <= WEFT_PREEMPT_OFF; i++) {
        enum weft_preempt_mode mode = WEFT_PREEMPT_DEFAULT;
        const char *name = weft_preempt_mode_name((enum weft_preempt_mode)i);
        assert_int_equal(weft_preempt_mode_parse(name, &mode), 0);
        assert_int_equal(mode, i);
    }
    enum weft_preempt_mode mode = WEFT_PREEMPT_OFF;
    assert_true(weft_preempt_mode_parse("signals", &mode) < 0);
    assert_true(weft_preempt_mode_parse("", &mode) < 0);
    assert_int_equal(mode, WEFT_PREEMPT_OFF);
    assert_string_equal(weft_preempt_mode_name((enum weft_preempt_mode)99),
                        "unknown");
}

static void without_a_wish_the_best_mode_is_chosen(void **state) {
    unsetenv("WEFT_PREEMPT");
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT), usual());
}

static void the_environment_decides_where_the_program_does_not(void **state) {
    setenv("WEFT_PREEMPT", "cooperative", 1);
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT),
                     WEFT_PREEMPT_COOPERATIVE);
    setenv("WEFT_PREEMPT", "off", 1);
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT),
                     WEFT_PREEMPT_OFF);
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_COOPERATIVE),
                     WEFT_PREEMPT_COOPERATIVE);
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL), usual());
    unsetenv("WEFT_PREEMPT");
}

static void a_word_that_is_no_mode_is_passed_over(void **state) {
    setenv("WEFT_PREEMPT", "sometimes", 1);
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT), usual());
    setenv("WEFT_PREEMPT", "", 1);
    assert_int_equal(weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT), usual());
    unsetenv("WEFT_PREEMPT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_modes_belong_together),
        cmocka_unit_test(without_a_wish_the_best_mode_is_chosen),
        cmocka_unit_test(the_environment_decides_where_the_program_does_not),
        cmocka_unit_test(a_word_that_is_no_mode_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
