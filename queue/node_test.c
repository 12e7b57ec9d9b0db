/* SPDX-License-Identifier: MIT */
/* Batches: lists that keep their order and their count however they are joined
 * and cut. */
#include "weft/queue/node.h"

#include "weft/queue/testing.h"

enum { COUNT = 40 };
static struct item items[COUNT];

static int number_all(void **state) {
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i].number = i;
        items[i].node.next = (void *)1; /* an unset link must not matter */
    }
    return 0;
}

static void batch_of(struct weft_batch *batch, uint32_t from, uint32_t to) {
    weft_batch_init(batch);
    for (uint32_t i = from; i < to; i++) {
        items[i].node.next = (void *)1;
        weft_batch_push(batch, &items[i].node);
    }
    assert_true(weft_batch_valid(batch));
}

static void assert_holds(struct weft_batch *batch, uint32_t from, uint32_t to) {
    assert_true(weft_batch_valid(batch));
    assert_int_equal(batch->count, to - from);
    for (uint32_t i = from; i < to; i++) {
        assert_int_equal(item_of(weft_batch_pop(batch))->number, i);
    }
    assert_null(weft_batch_pop(batch));
}

static void a_batch_is_first_in_first_out(void **state) {
    struct weft_batch batch;
    batch_of(&batch, 0, 0);
    assert_null(weft_batch_pop(&batch));
    batch_of(&batch, 0, 1);
    assert_holds(&batch, 0, 1);
    batch_of(&batch, 0, COUNT);
    assert_holds(&batch, 0, COUNT);
}

static void push_front_comes_before_all(void **state) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    for (uint32_t i = 10; i > 0; i--) {
        weft_batch_push_front(&batch, &items[i - 1].node);
        assert_true(weft_batch_valid(&batch));
    }
    weft_batch_push(&batch, &items[10].node);
    assert_holds(&batch, 0, 11);
}

static void append_moves_all_and_leaves_the_other_empty(void **state) {
    for (uint32_t cut = 0; cut <= 5; cut++) {
        struct weft_batch first, second;
        batch_of(&first, 0, cut);
        batch_of(&second, cut, 5);
        weft_batch_append(&first, &second);
        assert_int_equal(second.count, 0);
        assert_holds(&first, 0, 5);
        assert_null(weft_batch_pop(&second));
    }
}

static void split_takes_the_first_and_leaves_the_rest(void **state) {
    for (uint32_t max = 1; max <= 7; max++) {
        struct weft_batch all, first;
        uint32_t cut = max < 5 ? max : 5;
        batch_of(&all, 0, 5);
        weft_batch_split(&all, max, &first);
        assert_holds(&first, 0, cut);
        assert_holds(&all, cut, 5);
    }
}

static void valid_sees_a_wrong_count_and_a_wrong_tail(void **state) {
    struct weft_batch batch;
    batch_of(&batch, 0, 3);
    batch.tail->next = NULL;
    batch.count = 4;
    assert_false(weft_batch_valid(&batch));
    batch.count = 2;
    assert_false(weft_batch_valid(&batch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_first_in_first_out),
        cmocka_unit_test(push_front_comes_before_all),
        cmocka_unit_test(append_moves_all_and_leaves_the_other_empty),
        cmocka_unit_test(split_takes_the_first_and_leaves_the_rest),
        cmocka_unit_test(valid_sees_a_wrong_count_and_a_wrong_tail),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
