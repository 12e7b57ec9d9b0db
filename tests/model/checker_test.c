/* SPDX-License-Identifier: MIT */
/* The checker itself: the small programs by which memory models are compared
 * show the outcomes that C11 allows and no others, and each kind of mistake is
 * found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "weft/base/check.h"

static _Atomic uint32_t x, y, go;
static uint32_t plain, seen[4];
static bool outcomes[8]; /* over all runs */

static void set_up(void) {
    atomic_init(&x, 0);
    atomic_init(&y, 0);
    atomic_init(&go, 0);
    plain = 0;
    memset(seen, 0, sizeof(seen));
    model_name(&x, sizeof(x), "x");
    model_name(&y, sizeof(y), "y");
    model_name(&go, sizeof(go), "go");
    model_name(&plain, sizeof(plain), "plain");
}

static void note(void) {
    outcomes[seen[0] | seen[1] << 1] = true;
}

#define READ(word)  atomic_load_explicit(&(word), memory_order_relaxed)
#define WRITE(word) atomic_store_explicit(&(word), 1, memory_order_relaxed)
#define FENCE()     atomic_thread_fence(memory_order_seq_cst)

/* Runs two threads, all schedules, all values; what came out is in outcomes. */
static struct model_result explore(void (*a)(void), void (*b)(void),
                                   void (*check)(void)) {
    struct model_scenario scenario = {
        .name = "litmus",
        .set_up = set_up,
        .threads = {a, b},
        .check = check,
        .preemptions = MODEL_ALL,
        .stale = 2, /* a loop may else see the old value for ever */
    };
    memset(outcomes, 0, sizeof(outcomes));
    return model_explore(&scenario, NULL);
}

/* --- store buffering -------------------------------------------------------
 */

static void write_x_read_y(void) {
    WRITE(x);
    seen[0] = READ(y);
}
static void write_y_read_x(void) {
    WRITE(y);
    seen[1] = READ(x);
}
static void write_x_fence_read_y(void) {
    WRITE(x);
    FENCE();
    seen[0] = READ(y);
}
static void write_y_fence_read_x(void) {
    WRITE(y);
    FENCE();
    seen[1] = READ(x);
}
static void write_x_membarrier_read_y(void) {
    WRITE(x);
    model_membarrier();
    seen[0] = READ(y);
}
static void write_x_read_y_strictly(void) {
    atomic_store_explicit(&x, 1, memory_order_seq_cst);
    seen[0] = atomic_load_explicit(&y, memory_order_seq_cst);
}
static void write_y_read_x_strictly(void) {
    atomic_store_explicit(&y, 1, memory_order_seq_cst);
    seen[1] = atomic_load_explicit(&x, memory_order_seq_cst);
}

static void a_store_may_come_after_a_load(void **state) {
    assert_false(explore(write_x_read_y, write_y_read_x, note).failed);
    assert_true(outcomes[0] && outcomes[1] && outcomes[2] && outcomes[3]);
}

static void not_past_a_full_fence(void **state) {
    (void)explore(write_x_fence_read_y, write_y_fence_read_x, note);
    assert_true(!outcomes[0] && outcomes[1] && outcomes[2] && outcomes[3]);
    (void)explore(write_x_fence_read_y, write_y_read_x, note);
    assert_true(outcomes[0]); /* one is not enough */
}

static void not_past_a_membarrier_of_the_other(void **state) {
    (void)explore(write_x_membarrier_read_y, write_y_read_x, note);
    assert_true(!outcomes[0] && outcomes[1] && outcomes[2] && outcomes[3]);
}

static void not_in_sequentially_consistent_order(void **state) {
    (void)explore(write_x_read_y_strictly, write_y_read_x_strictly, note);
    assert_true(!outcomes[0] && outcomes[1] && outcomes[2] && outcomes[3]);
}

/* --- message passing -------------------------------------------------------
 */

static void write_both(void) {
    WRITE(x);
    WRITE(go);
}
static void write_both_released(void) {
    WRITE(x);
    atomic_store_explicit(&go, 1, memory_order_release);
}
static void write_both_fenced(void) {
    WRITE(x);
    atomic_thread_fence(memory_order_release);
    WRITE(go);
}
static void read_both(void) {
    seen[0] = READ(go);
    seen[1] = READ(x);
}
static void read_both_acquired(void) {
    seen[0] = atomic_load_explicit(&go, memory_order_acquire);
    seen[1] = READ(x);
}
static void read_both_fenced(void) {
    seen[0] = READ(go);
    atomic_thread_fence(memory_order_acquire);
    seen[1] = READ(x);
}

static void stores_may_be_seen_in_another_order(void **state) {
    (void)explore(write_both, read_both, note);
    assert_true(outcomes[0] && outcomes[1] && outcomes[2] && outcomes[3]);
    (void)explore(write_both_released, read_both, note);
    assert_true(outcomes[1]);
    (void)explore(write_both, read_both_acquired, note);
    assert_true(outcomes[1]);
}

static void not_from_a_release_to_an_acquire(void **state) {
    void (*writers[])(void) = {write_both_released, write_both_fenced};
    void (*readers[])(void) = {read_both_acquired, read_both_fenced};
    for (int i = 0; i < 4; i++) {
        (void)explore(writers[i / 2], readers[i % 2], note);
        assert_true(outcomes[0] && !outcomes[1] && outcomes[2] && outcomes[3]);
    }
}

static void read_x_twice(void) {
    seen[0] = READ(x);
    seen[1] = READ(x);
}

static void one_word_has_one_order(void **state) {
    /* The second load never returns the older value. */
    (void)explore(write_both, read_x_twice, note);
    assert_true(outcomes[0] && !outcomes[1] && outcomes[2] && outcomes[3]);
}
/* A release sequence goes on through exchanges of others, not through stores.
 */
static void write_plain_release(void) {
    plain = 1;
    atomic_store_explicit(&x, 1, memory_order_release);
}
static void add_to_x(void) {
    atomic_fetch_add_explicit(&x, 2, memory_order_relaxed);
}
static void read_plain_after_3(void) {
    if (atomic_load_explicit(&x, memory_order_acquire) == 3) {
        seen[0] = plain;
        WEFT_CHECK_OP(plain, ==, 1u);
        atomic_store_explicit(&go, 1, memory_order_relaxed);
    }
}

static void an_exchange_goes_on_with_a_release(void **state) {
    struct model_scenario scenario = {
        .name = "sequence",
        .set_up = set_up,
        .threads = {write_plain_release, add_to_x, read_plain_after_3},
        .preemptions = MODEL_ALL,
        .stale = MODEL_ALL,
    };
    assert_false(model_explore(&scenario, NULL).failed);
    struct model_fault fault = {"x", MODEL_STORE, memory_order_release,
                                memory_order_relaxed, -1};
    struct model_result result = model_explore(&scenario, &fault);
    assert_true(result.failed);
    assert_non_null(strstr(result.message, "data race at plain"));
}

/* --- mistakes of each kind --------------------------------------------------
 */

static void sleep_on_go(void) {
    while (READ(go) == 0) {
        model_futex_wait((const volatile void *)&go, 0, false);
    }
}
static void set_go(void) {
    WRITE(go);
}
static void set_go_and_wake(void) {
    WRITE(go);
    model_futex_wake((const volatile void *)&go, 1);
}

static void a_wake_up_that_is_lost_is_found(void **state) {
    assert_false(explore(sleep_on_go, set_go_and_wake, NULL).failed);
    struct model_result result = explore(sleep_on_go, set_go, NULL);
    assert_true(result.failed);
    assert_non_null(strstr(result.message, "nobody can go on: 0 at go"));
}

static void write_plain(void) {
    plain++;
}

static void a_race_is_found_whatever_the_schedule(void **state) {
    struct model_result result = explore(write_plain, write_plain, NULL);
    assert_true(result.failed);
    assert_int_equal(result.runs, 1);
}

static void loop_without_end(void) {
    while (READ(go) != 2) {
    }
}

static void a_run_without_an_end_is_found(void **state) {
    struct model_result result = explore(loop_without_end, set_go, NULL);
    assert_true(result.failed);
    assert_non_null(strstr(result.message, "without an end"));
}

static void set_up_watched(void) {
    set_up();
    model_watch(&x, sizeof(x));
}
static void read_x_write_go(void) {
    seen[0] = READ(x);
    WRITE(go);
}
static void read_x_release_go(void) {
    seen[0] = READ(x);
    atomic_store_explicit(&go, 1, memory_order_release);
}
static void write_x_after_go(void) {
    if (atomic_load_explicit(&go, memory_order_acquire) == 1) {
        WRITE(x);
    }
}

static void a_load_that_comes_too_late_is_found(void **state) {
    struct model_scenario scenario = {
        .name = "buffering",
        .set_up = set_up_watched,
        .threads = {read_x_release_go, write_x_after_go},
        .preemptions = MODEL_ALL,
        .stale = MODEL_ALL,
    };
    assert_false(model_explore(&scenario, NULL).failed);
    scenario.threads[0] = read_x_write_go;
    assert_true(model_explore(&scenario, NULL).failed);
}

static void expect_not_both(void) {
    WEFT_CHECK(seen[0] || seen[1]);
}

static void a_failure_can_be_run_again(void **state) {
    struct model_scenario scenario = {
        .name = "again",
        .set_up = set_up,
        .threads = {write_x_read_y, write_y_read_x},
        .check = expect_not_both,
        .preemptions = 2,
        .stale = 1,
    };
    struct model_result first = model_explore(&scenario, NULL);
    assert_true(first.failed);
    struct model_result again = model_replay(&scenario, first.schedule);
    assert_true(again.failed);
    assert_string_equal(again.message, first.message);
    assert_false(model_replay(&scenario, "/").failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_may_come_after_a_load),
        cmocka_unit_test(not_past_a_full_fence),
        cmocka_unit_test(not_past_a_membarrier_of_the_other),
        cmocka_unit_test(not_in_sequentially_consistent_order),
        cmocka_unit_test(stores_may_be_seen_in_another_order),
        cmocka_unit_test(not_from_a_release_to_an_acquire),
        cmocka_unit_test(one_word_has_one_order),
        cmocka_unit_test(an_exchange_goes_on_with_a_release),
        cmocka_unit_test(a_wake_up_that_is_lost_is_found),
        cmocka_unit_test(a_race_is_found_whatever_the_schedule),
        cmocka_unit_test(a_run_without_an_end_is_found),
        cmocka_unit_test(a_load_that_comes_too_late_is_found),
        cmocka_unit_test(a_failure_can_be_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
