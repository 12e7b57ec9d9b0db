/* SPDX-License-Identifier: MIT */
/* How light tasks and hogs share a processor, on a clock of the test's own.
 * share.c has the constants: light tasks earn a fifth of the hogs' time, up
 * to 0.7 ms, may owe as much, and have a burst of as much beyond what they own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weft/sched/core.h"

enum { BEGIN = 1000 * 1000 * 1000 };

static struct weft_runtime *rt;
static struct weft_processor *p;
static uint64_t now;

static void *zeroes(size_t size) {
    void *memory;
    assert_int_equal(posix_memalign(&memory, WEFT_CACHE_LINE, size), 0);
    return memset(memory, 0, size);
}

static int set_up(void **state) {
    (void)state;
    rt = zeroes(sizeof *rt);
    p = zeroes(sizeof *p);
    p->runtime = rt;
    now = BEGIN;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(rt);
    free(p);
    return 0;
}

static uint64_t protect(void) {
    return atomic_load_explicit(&p->protect, memory_order_relaxed);
}

static void run_hog(uint64_t ns) {
    weft_share_switch(p, true, now);
    now += ns;
}

static void run_light(uint64_t ns) {
    weft_share_switch(p, false, now);
    now += ns;
}

/* Light tasks run from now on; how long until it is a hog's turn? */
static uint64_t burst(void) {
    uint64_t began = now;
    weft_share_switch(p, false, now);
    while (!weft_share_hog_due(p, now)) {
        now += 10 * WEFT_US;
        assert_true(now < began + WEFT_S);
    }
    return now - began;
}

static void light_tasks_that_use_little_never_wait(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++) {
        run_hog(WEFT_MS);
        assert_int_equal(protect(), 0);
        run_light(200 * WEFT_US);
    }
}

/* What others took of its slice is not the hog's, and not theirs to earn. */
static void light_tasks_earn_of_what_a_hog_used(void **state) {
    (void)state;
    run_hog(3500 * WEFT_US);
    p->hog_used = 500 * WEFT_US;
    assert_in_range(burst(), 790 * WEFT_US, 820 * WEFT_US);
    assert_int_equal(p->hog_used, 0);
}

static void hogs_keep_five_sixths_beside_endless_light_tasks(void **state) {
    uint64_t hogs = 0;
    (void)state;
    run_hog(WEFT_MS);
    uint64_t began = now;
    while (now < began + WEFT_S) {
        burst();
        weft_share_switch(p, true, now);
        /* What watch.c allows: the minimum slice or its protection. */
        uint64_t slice = protect() > 200 * WEFT_US ? protect() : 200 * WEFT_US;
        now += slice;
        hogs += slice;
    }
    assert_in_range(hogs * 100 / (now - began), 80, 87);
}

static void credit_does_not_grow_for_ever(void **state) {
    (void)state;
    run_hog(100 * WEFT_S);
    assert_in_range(burst(), 1400 * WEFT_US, 1420 * WEFT_US);
}

static void debt_does_not_grow_for_ever(void **state) {
    (void)state;
    run_hog(WEFT_MS);
    run_light(100 * WEFT_S);
    weft_share_switch(p, true, now);
    assert_int_equal(protect(), 3500 * WEFT_US);
}

static void a_debt_is_earned_back_while_a_hog_runs(void **state) {
    (void)state;
    run_hog(WEFT_US);
    run_light(400 * WEFT_US);
    run_hog(2000 * WEFT_US);
    assert_in_range(protect(), 1990 * WEFT_US, 2000 * WEFT_US);
    run_light(0);
    run_hog(WEFT_MS);
    assert_in_range(protect(), 0, 10 * WEFT_US);
}

/* However long light tasks would like to run, all that a burst took is paid. */
static void the_debt_of_a_burst_is_within_bounds(void **state) {
    (void)state;
    run_hog(100 * WEFT_MS);
    for (int i = 0; i < 100; i++) {
        uint64_t credit = i == 0 ? 700 * WEFT_US : 0;
        uint64_t took = burst();
        weft_share_switch(p, true, now);
        assert_in_range(protect(), 3450 * WEFT_US, 3500 * WEFT_US);
        assert_in_range(5 * (took - credit), protect(), protect() + 50000);
        now += protect();
    }
}

static void a_hog_is_due_only_after_light_tasks_ran(void **state) {
    (void)state;
    assert_false(weft_share_hog_due(p, now));
    run_hog(WEFT_S);
    assert_false(weft_share_hog_due(p, now));
}

static void the_slice_of_a_hog_says_when_it_began(void **state) {
    (void)state;
    run_hog(WEFT_MS);
    assert_int_equal(atomic_load_explicit(&p->began, memory_order_relaxed),
                     BEGIN);
    run_light(WEFT_MS);
    assert_int_equal(atomic_load_explicit(&p->began, memory_order_relaxed), 0);
}

static void without_classes_no_slice_is_protected(void **state) {
    (void)state;
    rt->config.policies_off = WEFT_POLICY_CLASSES;
    run_hog(WEFT_MS);
    run_light(WEFT_S);
    weft_share_switch(p, true, now);
    assert_int_equal(protect(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(light_tasks_that_use_little_never_wait),
        TEST(light_tasks_earn_of_what_a_hog_used),
        TEST(hogs_keep_five_sixths_beside_endless_light_tasks),
        TEST(credit_does_not_grow_for_ever),
        TEST(debt_does_not_grow_for_ever),
        TEST(a_debt_is_earned_back_while_a_hog_runs),
        TEST(the_debt_of_a_burst_is_within_bounds),
        TEST(a_hog_is_due_only_after_light_tasks_ran),
        TEST(the_slice_of_a_hog_says_when_it_began),
        TEST(without_classes_no_slice_is_protected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
