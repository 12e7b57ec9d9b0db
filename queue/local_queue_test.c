/* SPDX-License-Identifier: MIT */
/* The local queue: 256 slots, counters that add up, overflow handed back. The
 * protocol of the ring has tests of its own. */
#include "weft/queue/local_queue.h"

#include "weft/queue/testing.h"

static struct item items[600];

#define assert_item(node_, number_)                         \
    do {                                                    \
        struct weft_node *got_ = (node_);                   \
        assert_non_null(got_);                              \
        assert_int_equal(item_of(got_)->number, (number_)); \
    } while (0)

static int number_all(void **state) {
    for (uint32_t i = 0; i < 600; i++) {
        items[i].number = i;
    }
    return 0;
}

static void fill(struct weft_local *local, uint32_t from, uint32_t to) {
    struct weft_batch unused;
    for (uint32_t i = from; i < to; i++) {
        assert_true(weft_local_push(local, &items[i].node, &unused));
    }
}

static struct weft_local_counters counters(const struct weft_local *local) {
    struct weft_local_counters c;
    weft_local_counters_read(local, &c);
    return c;
}

static void it_holds_256_in_order(void **state) {
    struct weft_local local;
    weft_local_init(&local);
    fill(&local, 0, 256);
    assert_int_equal(weft_local_length(&local), 256);
    assert_true(weft_local_valid(&local));
    for (uint32_t i = 0; i < 256; i++) {
        assert_item(weft_local_pop(&local), i);
    }
    assert_null(weft_local_pop(&local));
    struct weft_local_counters c = counters(&local);
    assert_int_equal(c.pushes, 256);
    assert_int_equal(c.pops, 256);
    assert_int_equal(c.high_water, 256);
    assert_int_equal(c.steals + c.stolen + c.overflows, 0);
}

/* An overflow, a drain and a wrap too: they meet what the lone pop left. */
static void a_queue_without_thieves_does_the_same(void **state) {
    struct weft_local local;
    struct weft_batch out;
    weft_local_init_alone(&local);
    assert_null(weft_local_pop(&local));
    for (uint32_t round = 0; round < 3; round++) {
        fill(&local, 0, 200);
        for (uint32_t i = 0; i < 150; i++) {
            assert_item(weft_local_pop(&local), i);
            assert_true(weft_local_valid(&local));
        }
        fill(&local, 200, 406);
        assert_false(weft_local_push(&local, &items[406].node, &out));
        assert_int_equal(out.count, 129);
        assert_item(weft_local_pop(&local), 150);
        assert_int_equal(weft_local_drain(&local, &out), 127);
        assert_null(weft_local_pop(&local));
        assert_true(weft_local_valid(&local));
    }
}

static void push_257_hands_back_the_newest_half(void **state) {
    struct weft_local local;
    struct weft_batch out;
    weft_local_init(&local);
    fill(&local, 0, 256);
    assert_false(weft_local_push(&local, &items[256].node, &out));
    assert_true(weft_batch_valid(&out));
    assert_int_equal(out.count, 129);
    for (uint32_t i = 128; i <= 256; i++) {
        assert_item(weft_batch_pop(&out), i);
    }
    assert_int_equal(weft_local_length(&local), 128);
    fill(&local, 257, 257 + 128);
    for (uint32_t i = 0; i < 128; i++) {
        assert_item(weft_local_pop(&local), i);
    }
    for (uint32_t i = 257; i < 257 + 128; i++) {
        assert_item(weft_local_pop(&local), i);
    }
    struct weft_local_counters c = counters(&local);
    assert_int_equal(c.overflows, 1);
    assert_int_equal(c.pushes, 256 + 128);
}

static void a_steal_moves_half_and_counts_on_the_thief(void **state) {
    struct weft_local from, to;
    weft_local_init(&from);
    weft_local_init(&to);
    assert_null(weft_local_steal(&to, &from));
    fill(&from, 0, 101);
    assert_item(weft_local_steal(&to, &from), 0);
    assert_int_equal(weft_local_length(&from), 50);
    assert_int_equal(weft_local_length(&to), 50);
    for (uint32_t i = 1; i <= 50; i++) {
        assert_item(weft_local_pop(&to), i);
    }
    assert_item(weft_local_pop(&from), 51);
    struct weft_local_counters thief = counters(&to), victim = counters(&from);
    assert_int_equal(thief.steals, 1);
    assert_int_equal(thief.stolen, 51);
    assert_int_equal(thief.pops, 50);
    assert_int_equal(thief.high_water, 50);
    assert_int_equal(victim.steals + victim.stolen, 0);
    assert_int_equal(victim.pops, 1);
}

static void drain_takes_everything(void **state) {
    struct weft_local local;
    struct weft_batch out;
    weft_batch_init(&out);
    weft_local_init(&local);
    assert_int_equal(weft_local_drain(&local, &out), 0);
    fill(&local, 0, 200);
    assert_int_equal(weft_local_drain(&local, &out), 200);
    assert_int_equal(weft_local_length(&local), 0);
    assert_int_equal(out.count, 200);
    for (uint32_t i = 0; i < 200; i++) {
        assert_item(weft_batch_pop(&out), i);
    }
}

static void a_batch_is_taken_as_far_as_it_fits(void **state) {
    struct weft_local local;
    struct weft_batch batch;
    weft_batch_init(&batch);
    weft_local_init(&local);
    fill(&local, 0, 100);
    for (uint32_t i = 100; i < 300; i++) {
        weft_batch_push(&batch, &items[i].node);
    }
    assert_int_equal(weft_local_push_batch(&local, &batch), 156);
    assert_int_equal(batch.count, 44);
    for (uint32_t i = 0; i < 256; i++) {
        assert_item(weft_local_pop(&local), i);
    }
    assert_item(weft_batch_pop(&batch), 256);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_256_in_order),
        cmocka_unit_test(a_queue_without_thieves_does_the_same),
        cmocka_unit_test(push_257_hands_back_the_newest_half),
        cmocka_unit_test(a_steal_moves_half_and_counts_on_the_thief),
        cmocka_unit_test(drain_takes_everything),
        cmocka_unit_test(a_batch_is_taken_as_far_as_it_fits),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
