/* SPDX-License-Identifier: MIT */
/* Records: each in one place, on its line, zeroes at first, never unmapped. */
#include "weft/sched/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTS = 3, PART = 64 };

/* The first part of one. */
struct record {
    struct weft_node node;
    uint64_t mark;
};

/* The mark of its part `i`. */
static uint64_t *mark_of(struct record *r, int i) {
    return (uint64_t *)(void *)((char *)&r->mark +
                                (ptrdiff_t)i * WEFT_RECORDS_DISTANCE);
}

static struct record *pop(struct weft_batch *batch) {
    return (struct record *)(void *)weft_batch_pop(batch);
}

static void a_record_begins_on_a_line_and_is_zeroes(void **state) {
    enum { N = 3000 };
    struct weft_records records;
    struct weft_batch all;
    (void)state;
    weft_records_init(&records, PARTS, PART);
    weft_batch_init(&all);
    assert_int_equal(weft_records_take(&records, N, &all), N);
    struct record *r;
    for (uint64_t i = 1; (r = pop(&all)) != NULL; i++) {
        assert_int_equal((uintptr_t)r % 64, 0);
        assert_int_equal(r->mark, 0);
        r->mark = i; /* would be seen above, were a record given out twice */
    }
    weft_records_fini(&records);
}

static void add(void *sum, void *record) {
    *(uint64_t *)sum += ((struct record *)record)->mark;
}

static void a_record_that_was_given_back_is_found_and_used_again(void **state) {
    enum { N = 1000 };
    struct weft_records records;
    struct weft_batch all, back;
    uint64_t sum = 0;
    (void)state;
    weft_records_init(&records, PARTS, PART);
    weft_batch_init(&all);
    weft_batch_init(&back);
    assert_int_equal(weft_records_take(&records, N, &all), N);
    struct record *r;
    for (uint64_t i = 1; (r = pop(&all)) != NULL; i++) {
        r->mark = i;
        weft_batch_push(&back, &r->node);
    }
    weft_records_give(&records, &back);
    assert_int_equal(back.count, 0);
    weft_records_each(&records, add, &sum);
    assert_int_equal(sum, N * (N + 1) / 2);
    for (int half = 0; half < 2; half++) {
        assert_int_equal(weft_records_take(&records, N / 2, &all), N / 2);
    }
    sum = 0;
    while ((r = pop(&all)) != NULL) {
        sum += r->mark;
        r->mark = 0;
    }
    assert_int_equal(sum, N * (N + 1) / 2);
    weft_records_fini(&records);
}

static void what_is_given_last_is_taken_first(void **state) {
    struct weft_records records;
    struct weft_batch some, one;
    (void)state;
    weft_records_init(&records, PARTS, PART);
    weft_batch_init(&some);
    weft_batch_init(&one);
    assert_int_equal(weft_records_take(&records, 2, &some), 2);
    struct record *a = pop(&some);
    struct record *b = pop(&some);
    weft_batch_push(&one, &a->node);
    weft_records_give(&records, &one);
    weft_batch_push(&one, &b->node);
    weft_records_give(&records, &one);
    assert_int_equal(weft_records_take(&records, 1, &one), 1);
    assert_ptr_equal(pop(&one), b);
    weft_records_fini(&records);
}

static void no_part_of_a_record_is_anothers(void **state) {
    enum { N = 100000 }; /* in four slabs */
    struct weft_records records;
    struct weft_batch all;
    uint64_t sum = 0;
    (void)state;
    weft_records_init(&records, PARTS, PART);
    weft_batch_init(&all);
    assert_int_equal(weft_records_take(&records, N, &all), N);
    struct record *r;
    while ((r = pop(&all)) != NULL) {
        for (int i = 0; i < PARTS; i++) {
            assert_int_equal(*mark_of(r, i), 0);
            *mark_of(r, i) = 1; /* another's part would be seen above */
        }
    }
    weft_records_each(&records, add, &sum);
    assert_int_equal(sum, N);
    weft_records_fini(&records);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_begins_on_a_line_and_is_zeroes),
        cmocka_unit_test(a_record_that_was_given_back_is_found_and_used_again),
        cmocka_unit_test(what_is_given_last_is_taken_first),
        cmocka_unit_test(no_part_of_a_record_is_anothers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
