/* SPDX-License-Identifier: MIT */
/* How light tasks and hogs share a processor, on a clock of the test's own; and
 * what is timed and charged of their slices.
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
static struct weft_task *task, *other; /* a record is no small thing */
static uint64_t now;

static void *zeroes(size_t size) {
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, WEFT_CACHE_LINE, size), 0);
    return memset(memory, 0, size);
}

static int set_up(void **state) {
    (void)state;
    rt = zeroes(sizeof *rt);
    p = zeroes(sizeof *p);
    task = zeroes(sizeof *task);
    other = zeroes(sizeof *other);
    p->runtime = rt;
    now = BEGIN;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(rt);
    free(p);
    free(task);
    free(other);
    return 0;
}

static uint64_t protect(void) {
    return atomic_load_explicit(&p->protect, memory_order_relaxed);
}

static void run_hog(uint64_t ns) {
    weft_share_switch(p, WEFT_TIMED_HOG, now);
    now += ns;
}

static void run_light(uint64_t ns) {
    weft_share_switch(p, WEFT_TIMED_NOT, now);
    now += ns;
}

/* Light tasks run from now on; how long until it is a hog's turn? */
static uint64_t burst(void) {
    uint64_t began = now;
    weft_share_switch(p, WEFT_TIMED_NOT, now);
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
        weft_share_switch(p, WEFT_TIMED_HOG, now);
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
    weft_share_switch(p, WEFT_TIMED_HOG, now);
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
        weft_share_switch(p, WEFT_TIMED_HOG, now);
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

static bool is_timed(void) {
    return atomic_load_explicit(&p->began, memory_order_relaxed) != 0;
}

static void slices_of_light_migratable_tasks_are_timed(void **state) {
    (void)state;
    task->migratable = true;
    weft_share_slice(p, task);
    assert_true(is_timed());
    assert_false(weft_began_as_hog(
        atomic_load_explicit(&p->began, memory_order_relaxed)));
    weft_share_slice(p, other);
    assert_false(is_timed());
}

/* A few of them: then they are taken for quick, until one is preempted. */
static void but_not_where_they_wait_or_end_by_themselves(void **state) {
    int timed = 0;
    (void)state;
    task->migratable = true;
    for (int i = 0; i < 100; i++) {
        weft_share_slice(p, task);
        timed += is_timed();
    }
    assert_in_range(timed, 1, 10);
    weft_hogs_charge(p, task);
    weft_share_slice(p, task);
    assert_true(is_timed());
    for (int i = 0; i < 100; i++) {
        p->hog_used = WEFT_US; /* it was preempted */
        weft_share_slice(p, task);
        assert_true(is_timed());
    }
}

/* Beside light ones that nobody times they leave the account alone. */
static void the_account_is_of_hogs_and_all_others(void **state) {
    (void)state;
    run_hog(WEFT_MS);
    run_light(100 * WEFT_US);
    weft_share_switch(p, WEFT_TIMED_LIGHT, now);
    now += 100 * WEFT_US;
    run_light(100 * WEFT_US);
    run_hog(0);
    assert_int_equal(p->credit, -100 * (int64_t)WEFT_US);
}

/* A slice on `p` that began 1 ms ago and has used at least that. */
static void begin_ms_ago(struct weft_task *t) {
    uint64_t began = weft_clock_now() - WEFT_MS;
    p->mean_slice = 100 * WEFT_US;
    atomic_store_explicit(&p->began, t->hog ? began & ~UINT64_C(1) : began | 1,
                          memory_order_relaxed);
    atomic_store_explicit(&p->cpu_began, weft_hogs_clock() - WEFT_MS,
                          memory_order_relaxed);
}

static void a_slice_is_owed_but_for_a_turns_worth(void **state) {
    struct weft_task *light = other;
    (void)state;
    task->hog = true;
    begin_ms_ago(task);
    weft_hogs_charge(p, task);
    assert_true(task->owed >= 900 * (int32_t)WEFT_US);
    light->owed = 1; /* of before it waited */
    begin_ms_ago(light);
    weft_hogs_charge(p, light);
    assert_true(light->owed >= 900 * (int32_t)WEFT_US);
    atomic_store_explicit(&p->began, 0, memory_order_relaxed);
    light->owed = 1;
    weft_hogs_charge(p, light); /* nobody has timed it */
    assert_int_equal(light->owed, 0);
}

/* The thread did not compute then: its alarm would have interrupted it. */
static void what_passes_while_an_alarm_is_overdue_is_nobodys(void **state) {
    static struct weft_worker w;
    (void)state;
    task->hog = true;
    atomic_store_explicit(&p->worker, &w, memory_order_relaxed);
    begin_ms_ago(task);
    uint64_t began = atomic_load_explicit(&p->began, memory_order_relaxed);
    atomic_store_explicit(&w.thread.alarm.when, began + 100 * WEFT_US,
                          memory_order_relaxed);
    weft_hogs_charge(p, task);
    assert_int_equal(p->hog_used, 100 * WEFT_US);

    /* It rang late, and late again; and was set once more. */
    begin_ms_ago(task);
    began = atomic_load_explicit(&p->began, memory_order_relaxed);
    atomic_store_explicit(&w.thread.alarm.when, began + 100 * WEFT_US,
                          memory_order_relaxed);
    weft_alarm_rang(&w.thread.alarm, began + 300 * WEFT_US);
    atomic_store_explicit(&w.thread.alarm.when, began + 400 * WEFT_US,
                          memory_order_relaxed);
    weft_hogs_charge(p, task);
    assert_int_equal(p->hog_used, 200 * WEFT_US);
    weft_alarm_forget_late(&w.thread.alarm);
    atomic_store_explicit(&p->worker, NULL, memory_order_relaxed);
}

static void without_classes_no_slice_is_protected(void **state) {
    (void)state;
    rt->config.policies_off = WEFT_POLICY_CLASSES;
    run_hog(WEFT_MS);
    run_light(WEFT_S);
    weft_share_switch(p, WEFT_TIMED_HOG, now);
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
        TEST(slices_of_light_migratable_tasks_are_timed),
        TEST(but_not_where_they_wait_or_end_by_themselves),
        TEST(the_account_is_of_hogs_and_all_others),
        TEST(a_slice_is_owed_but_for_a_turns_worth),
        TEST(what_passes_while_an_alarm_is_overdue_is_nobodys),
        TEST(without_classes_no_slice_is_protected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
