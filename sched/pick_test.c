/* SPDX-License-Identifier: MIT */
/* Which task is next, queue by queue: on a processor that nobody runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weft/sched/core.h"

enum { TASKS = 2048 };

static struct weft_runtime *rt;
static struct weft_processor *p;   /* the first of two */
static struct weft_task *t[TASKS]; /* idle */
static struct weft_records records;

static void *zeroes(size_t size) {
    void *memory;
    assert_int_equal(posix_memalign(&memory, WEFT_CACHE_LINE, size), 0);
    return memset(memory, 0, size);
}

static int set_up(void **state) {
    (void)state;
    rt = zeroes(sizeof *rt);
    p = zeroes(2 * sizeof *p);
    struct weft_batch all;
    weft_batch_init(&all);
    weft_records_init(&records, WEFT_RECORD_PARTS, WEFT_RECORD_PART);
    assert_int_equal(weft_records_take(&records, TASKS, &all), TASKS);
    for (int i = 0; i < TASKS; i++) {
        t[i] = weft_node_task(weft_batch_pop(&all));
    }
    weft_global_init(&rt->global);
    weft_global_init(&rt->high);
    weft_global_init(&rt->hogs);
    rt->processors = p;
    rt->processor_count = 2;
    rt->hog_check = WEFT_HOG_CHECK - 1;
    for (int i = 0; i < 2; i++) {
        p[i].runtime = rt;
        weft_local_init(&p[i].queue);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(rt);
    free(p);
    weft_records_fini(&records);
    return 0;
}

static void put_local(struct weft_task *task) {
    struct weft_batch overflow;
    weft_batch_init(&overflow);
    assert_true(weft_local_push(&p->queue, &task->node, &overflow));
}

static void put_slot(struct weft_task *task) {
    atomic_store_explicit(&p->slot, task, memory_order_relaxed);
}

static void put_hog(struct weft_task *task) {
    task->hog = true;
    weft_push_global(rt, task);
}

static void put_high(struct weft_task *task) {
    task->priority = WEFT_PRIORITY_HIGH;
    weft_push_global(rt, task);
}

/* Light tasks have run for a second, all their credit is spent. */
static void light_tasks_have_had_their_burst(void) {
    p->light_since = weft_clock_now() - WEFT_S;
}

static void nothing_comes_of_empty_queues(void **state) {
    (void)state;
    for (int i = 0; i < 2000; i++) {
        assert_null(weft_pick(p));
    }
}

static void local_tasks_come_in_their_order(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        put_local(t[i]);
    }
    for (int i = 0; i < 50; i++) {
        assert_ptr_equal(weft_pick(p), t[i]);
    }
}

static void the_slot_comes_first_but_no_more_than_thrice_in_a_row(
    void **state) {
    (void)state;
    put_local(t[100]);
    for (int i = 0; i < 3; i++) {
        put_slot(t[i]);
        assert_ptr_equal(weft_pick(p), t[i]);
    }
    put_slot(t[3]);
    assert_ptr_equal(weft_pick(p), t[100]);
    assert_ptr_equal(weft_pick(p), t[3]);
}

static void a_full_slot_is_not_lost_where_it_is_all_there_is(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        put_slot(t[i]);
        assert_ptr_equal(weft_pick(p), t[i]);
    }
}

static void the_global_queue_gives_each_processor_its_share(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        weft_push_global(rt, t[i]);
    }
    assert_ptr_equal(weft_pick(p), t[0]);
    assert_int_equal(weft_local_length(&p->queue), 5);
    assert_int_equal(weft_global_length(&rt->global), 4);
    for (int i = 1; i < 10; i++) {
        assert_ptr_equal(weft_pick(p), t[i]);
    }
}

static void the_global_queue_moves_while_the_local_one_is_never_empty(
    void **state) {
    int before = 0;
    (void)state;
    weft_push_global(rt, t[TASKS - 1]);
    for (;; before++) {
        put_local(t[before]);
        if (weft_pick(p) == t[TASKS - 1]) {
            break;
        }
        assert_true(before < 61);
    }
}

static void high_comes_before_the_others_but_not_each_time(void **state) {
    int high = 0;
    (void)state;
    for (int i = 0; i < 64; i++) {
        put_high(t[i]);
        put_local(t[64 + i]);
    }
    for (int i = 0; i < 64; i++) {
        high += weft_pick(p)->priority == WEFT_PRIORITY_HIGH;
    }
    assert_int_equal(high, 64 - 8);
}

static void hogs_and_low_priority_come_last(void **state) {
    (void)state;
    put_hog(t[0]);
    t[1]->priority = WEFT_PRIORITY_LOW;
    weft_push_global(rt, t[1]);
    put_local(t[2]);
    weft_push_global(rt, t[3]);
    put_high(t[4]);
    put_slot(t[5]);
    assert_ptr_equal(weft_pick(p), t[4]);
    assert_ptr_equal(weft_pick(p), t[5]);
    assert_ptr_equal(weft_pick(p), t[2]);
    assert_ptr_equal(weft_pick(p), t[3]);
    assert_ptr_equal(weft_pick(p), t[0]);
    assert_ptr_equal(weft_pick(p), t[1]);
    assert_null(weft_pick(p));
}

/* How many picks are light tasks, beside a hog, until it comes; `max`: it did
 * not. */
static int picks_before_the_hog(int max) {
    put_hog(t[TASKS - 1]);
    for (int i = 0; i < max; i++) {
        put_local(t[i]);
        if (weft_pick(p) == t[TASKS - 1]) {
            return i;
        }
    }
    return max;
}

static void a_hog_comes_soon_when_light_tasks_have_had_their_burst(
    void **state) {
    (void)state;
    light_tasks_have_had_their_burst();
    assert_true(picks_before_the_hog(1000) < 16);
}

static void a_hog_waits_while_light_tasks_have_credit(void **state) {
    (void)state;
    p->light_since = weft_clock_now();
    p->credit = INT64_MAX / 2;
    assert_int_equal(picks_before_the_hog(200), 200);
}

static void a_hog_comes_in_the_end_whatever_credit_there_is(void **state) {
    (void)state;
    p->credit = INT64_MAX / 2;
    assert_int_equal(picks_before_the_hog(1023), 1023);
    put_local(t[1023]);
    assert_ptr_equal(weft_pick(p), t[TASKS - 1]);
}

static void without_classes_hogs_and_others_take_turns(void **state) {
    int hogs = 0;
    (void)state;
    rt->hog_check = WEFT_HOG_TURNS - 1;
    for (int i = 0; i < 40; i++) {
        put_hog(t[i]);
        put_local(t[40 + i]);
    }
    for (int i = 0; i < 40; i++) {
        hogs += weft_pick(p)->hog;
    }
    assert_int_equal(hogs, 20);
}

static void what_was_put_back_is_the_first_of_its_kind(void **state) {
    (void)state;
    put_hog(t[0]);
    put_hog(t[1]);
    struct weft_task *first = weft_pick(p);
    assert_ptr_equal(first, t[0]);
    weft_put_back(rt, first);
    assert_ptr_equal(weft_pick(p), t[0]);
    assert_ptr_equal(weft_pick(p), t[1]);
}

static void a_task_with_a_thread_of_its_own_is_found_in_any_queue(
    void **state) {
    struct weft_worker *w = zeroes(sizeof *w);
    (void)state;
    for (int i = 0; i < 9; i++) {
        if (i % 3 == 0) {
            weft_push_global(rt, t[i]);
        } else if (i % 3 == 1) {
            put_high(t[i]);
        } else {
            put_hog(t[i]);
        }
        t[i]->bound = i < 3 ? w : NULL;
        t[i]->context.sp = i < 3 ? WEFT_SP_BOUND : NULL;
    }
    assert_null(weft_pick_bound(rt)); /* none is counted */
    atomic_store_explicit(&rt->bound, 3, memory_order_relaxed);
    assert_ptr_equal(weft_pick_bound(rt), t[1]);
    assert_ptr_equal(weft_pick_bound(rt), t[0]);
    assert_ptr_equal(weft_pick_bound(rt), t[2]);
    assert_null(weft_pick_bound(rt));
    free(w);
}

static void what_waits_is_seen_but_a_slot_wakes_nobody(void **state) {
    (void)state;
    assert_false(weft_anything_waiting(rt));
    put_slot(t[0]);
    assert_true(weft_own_light(p));
    assert_false(weft_anything_waiting(rt));
    put_local(t[1]);
    assert_true(weft_anything_waiting(rt));
    assert_true(weft_own_light(p));
    assert_false(weft_own_light(&p[1]));
    assert_non_null(weft_pick(p));
    assert_non_null(weft_pick(p));
    put_hog(t[2]);
    assert_true(weft_anything_waiting(rt));
    assert_false(weft_own_light(p));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_comes_of_empty_queues),
        TEST(local_tasks_come_in_their_order),
        TEST(the_slot_comes_first_but_no_more_than_thrice_in_a_row),
        TEST(a_full_slot_is_not_lost_where_it_is_all_there_is),
        TEST(the_global_queue_gives_each_processor_its_share),
        TEST(the_global_queue_moves_while_the_local_one_is_never_empty),
        TEST(high_comes_before_the_others_but_not_each_time),
        TEST(hogs_and_low_priority_come_last),
        TEST(a_hog_comes_soon_when_light_tasks_have_had_their_burst),
        TEST(a_hog_waits_while_light_tasks_have_credit),
        TEST(a_hog_comes_in_the_end_whatever_credit_there_is),
        TEST(without_classes_hogs_and_others_take_turns),
        TEST(what_was_put_back_is_the_first_of_its_kind),
        TEST(a_task_with_a_thread_of_its_own_is_found_in_any_queue),
        TEST(what_waits_is_seen_but_a_slot_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
