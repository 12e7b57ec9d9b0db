/* SPDX-License-Identifier: MIT */
/* The ring, one thread at a time: what each operation promises, then random
 * operations against a plain array, near the end of the indices too. */
#include "weft/queue/lockfree_queue.h"

#include <string.h>

#include "weft/queue/capacity_compiles.h"
#include "weft/queue/testing.h"

WEFT_LOCKFREE_QUEUE_DEFINE(two, 2)
WEFT_LOCKFREE_QUEUE_DEFINE(four, 4)
WEFT_LOCKFREE_QUEUE_DEFINE(sixteen, 16)

static struct item items[64];

static int number_all(void **state) {
    memset(items, 0, sizeof(items));
    for (uint32_t i = 0; i < 64; i++) {
        items[i].number = i;
    }
    return 0;
}

#define assert_item(node_, number_)                         \
    do {                                                    \
        struct weft_node *got_ = (node_);                   \
        assert_non_null(got_);                              \
        assert_int_equal(item_of(got_)->number, (number_)); \
    } while (0)

static void fill(struct four *q, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        assert_true(four_push(q, &items[i].node));
    }
}

static void a_new_ring_is_empty(void **state) {
    struct four q;
    struct weft_batch out;
    weft_batch_init(&out);
    four_init(&q);
    assert_null(four_pop(&q));
    assert_int_equal(four_pop_batch(&q, 9, &out), 0);
    assert_int_equal(four_steal(&q, 9, &out), 0);
    assert_int_equal(four_length(&q), 0);
    assert_int_equal(four_high_water(&q), 0);
    assert_true(four_valid(&q));
}

static void head_and_tail_and_slots_have_lines_of_their_own(void **state) {
    assert_int_equal(offsetof(struct weft_ring, tail) % WEFT_CACHE_LINE, 0);
    assert_int_equal(offsetof(struct weft_ring, head_seen) % WEFT_CACHE_LINE,
                     0);
    assert_int_equal(offsetof(struct four, slots) % WEFT_CACHE_LINE, 0);
    assert_true(_Alignof(struct four) >= WEFT_CACHE_LINE);
}

static void a_capacity_that_is_no_power_of_two_stops_the_build(void **state) {
    assert_int_equal(WEFT_CAPACITY_4_COMPILES, 1);
    assert_int_equal(WEFT_CAPACITY_6_COMPILES, 0);
    assert_int_equal(WEFT_CAPACITY_0_COMPILES, 0);
    assert_int_equal(WEFT_CAPACITY_1_COMPILES, 0);
}

static void pop_returns_the_oldest(void **state) {
    struct four q;
    four_init(&q);
    fill(&q, 3);
    assert_item(four_pop(&q), 0);
    assert_item(four_pop(&q), 1);
    assert_true(four_push(&q, &items[3].node));
    assert_item(four_pop(&q), 2);
    assert_item(four_pop(&q), 3);
    assert_null(four_pop(&q));
}

static void a_full_ring_refuses_a_push_and_is_unchanged(void **state) {
    struct four q;
    four_init(&q);
    fill(&q, 4);
    assert_false(four_push(&q, &items[4].node));
    assert_int_equal(four_length(&q), 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_item(four_pop(&q), i);
    }
}

static void overflow_gives_away_the_newest_half_and_the_node(void **state) {
    struct four q;
    struct weft_batch out;
    four_init_at(&q, UINT32_MAX - 1);
    fill(&q, 4);
    assert_true(four_overflow(&q, &items[4].node, &out));
    assert_true(four_valid(&q));
    assert_true(weft_batch_valid(&out));
    assert_int_equal(out.count, 3);
    assert_item(weft_batch_pop(&out), 2);
    assert_item(weft_batch_pop(&out), 3);
    assert_item(weft_batch_pop(&out), 4);
    assert_item(four_pop(&q), 0);
    assert_item(four_pop(&q), 1);
    assert_null(four_pop(&q));
    fill(&q, 4);
    assert_int_equal(four_length(&q), 4);
}

static void overflow_of_a_ring_with_room_says_push_again(void **state) {
    struct four q;
    struct weft_batch out;
    four_init(&q);
    fill(&q, 3);
    assert_false(four_overflow(&q, &items[3].node, &out));
    assert_true(four_push(&q, &items[3].node));
}

static void overflow_during_a_steal_gives_away_the_node_alone(void **state) {
    struct four q;
    struct weft_batch out;
    uint32_t first = 0;
    four_init(&q);
    fill(&q, 4);
    assert_int_equal(weft_ring_claim(&q.ring, q.slots, 4, 2, &first), 2);
    /* Two nodes left, but the thief still reads the other two slots. */
    assert_int_equal(four_length(&q), 2);
    assert_false(four_push(&q, &items[4].node));
    assert_true(four_overflow(&q, &items[4].node, &out));
    assert_int_equal(out.count, 1);
    assert_item(weft_batch_pop(&out), 4);
    assert_true(four_valid(&q));
    weft_ring_give_back(&q.ring, first);
    assert_true(four_push(&q, &items[4].node));
    assert_item(four_pop(&q), 2);
    assert_true(four_valid(&q));
}

static void the_owner_pops_while_a_thief_copies(void **state) {
    struct four q;
    uint32_t first = 0;
    four_init_at(&q, UINT32_MAX);
    fill(&q, 4);
    assert_int_equal(weft_ring_claim(&q.ring, q.slots, 4, 2, &first), 2);
    assert_item(four_pop(&q), 2);
    assert_true(four_valid(&q));
    assert_item(four_pop(&q), 3);
    assert_null(four_pop(&q));
    /* Nothing is left, and nothing has room yet. */
    assert_false(four_push(&q, &items[4].node));
    weft_ring_give_back(&q.ring, first);
    fill(&q, 4);
    assert_true(four_valid(&q));
}

static void a_second_thief_is_turned_away(void **state) {
    struct four q, mine;
    struct weft_batch out;
    uint32_t first = 0, count;
    weft_batch_init(&out);
    four_init(&q);
    four_init(&mine);
    fill(&q, 4);
    assert_int_equal(weft_ring_claim(&q.ring, q.slots, 4, 2, &first), 2);
    assert_null(four_steal_into(&mine, &q, &count));
    assert_int_equal(count, 0);
    assert_int_equal(four_steal(&q, 4, &out), 0);
    weft_ring_give_back(&q.ring, first);
    assert_item(four_steal_into(&mine, &q, &count), 2);
}

static void steal_takes_half_and_keeps_order(void **state) {
    static const uint32_t half[] = {0, 1, 1, 2, 2, 3, 3, 4, 4,
                                    5, 5, 6, 6, 7, 7, 8, 8};
    for (uint32_t n = 0; n <= 16; n++) {
        struct sixteen from, to;
        uint32_t count;
        sixteen_init_at(&from, UINT32_MAX - 4);
        sixteen_init_at(&to, UINT32_MAX - 2);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(sixteen_push(&from, &items[i].node));
        }
        struct weft_node *node = sixteen_steal_into(&to, &from, &count);
        assert_int_equal(count, half[n]);
        assert_int_equal(sixteen_length(&from), n - half[n]);
        assert_true(sixteen_valid(&from));
        assert_true(sixteen_valid(&to));
        for (uint32_t i = 0; i < half[n]; i++) {
            assert_item(node, i);
            node = sixteen_pop(&to);
        }
        assert_null(node);
    }
}

static void steal_into_a_ring_more_than_half_full_is_refused(void **state) {
    struct four from, to;
    uint32_t count;
    four_init(&from);
    four_init(&to);
    fill(&from, 4);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(four_push(&to, &items[8 + i].node));
    }
    assert_null(four_steal_into(&to, &from, &count));
    assert_int_equal(four_length(&from), 4);
    assert_item(four_pop(&to), 8);
    assert_item(four_steal_into(&to, &from, &count), 0);
    assert_int_equal(count, 2);
    assert_item(four_pop(&to), 9);
    assert_item(four_pop(&to), 10);
    assert_item(four_pop(&to), 1);
}

static void steal_of_the_last_two_slots_moves_one_each(void **state) {
    struct two from, to;
    uint32_t count;
    two_init(&from);
    two_init(&to);
    assert_true(two_push(&from, &items[0].node));
    assert_true(two_push(&from, &items[1].node));
    assert_item(two_steal_into(&to, &from, &count), 0);
    assert_item(two_steal_into(&to, &from, &count), 1);
    assert_null(two_steal_into(&to, &from, &count));
}

static void a_batch_is_taken_as_far_as_it_fits(void **state) {
    struct four q;
    struct weft_batch batch;
    weft_batch_init(&batch);
    four_init_at(&q, UINT32_MAX);
    assert_int_equal(four_push_batch(&q, &batch), 0);
    assert_true(four_push(&q, &items[0].node));
    for (uint32_t i = 1; i < 7; i++) {
        weft_batch_push(&batch, &items[i].node);
    }
    assert_int_equal(four_push_batch(&q, &batch), 3);
    assert_int_equal(four_push_batch(&q, &batch), 0);
    assert_int_equal(batch.count, 3);
    assert_int_equal(four_high_water(&q), 4);
    struct weft_batch out;
    weft_batch_init(&out);
    assert_int_equal(four_pop_batch(&q, 3, &out), 3);
    assert_int_equal(four_pop_batch(&q, 3, &out), 1);
    weft_batch_append(&out, &batch);
    for (uint32_t i = 0; i < 7; i++) {
        assert_item(weft_batch_pop(&out), i);
    }
}

static void high_water_is_the_most_ever_in_use(void **state) {
    struct sixteen q;
    sixteen_init(&q);
    for (uint32_t round = 1; round <= 5; round++) {
        for (uint32_t i = 0; i < round; i++) {
            sixteen_push(&q, &items[i].node);
        }
        for (uint32_t i = 0; i < round; i++) {
            sixteen_pop(&q);
        }
        assert_int_equal(sixteen_high_water(&q), round);
    }
    sixteen_push(&q, &items[0].node);
    assert_int_equal(sixteen_high_water(&q), 5);
}

/* What the ring should hold: an array, oldest first. */
struct model {
    struct weft_node *nodes[16];
    uint32_t count;
};

static void model_remove(struct model *m, uint32_t n) {
    m->count -= n;
    memmove(m->nodes, m->nodes + n, m->count * sizeof(m->nodes[0]));
}

static void random_operation(struct sixteen *q, struct sixteen *other,
                             struct model *m, uint64_t *seed) {
    struct weft_node *node = &items[test_random(seed, 64)].node;
    struct weft_batch out;
    uint32_t count, n = m->count;
    weft_batch_init(&out);
    switch (test_random(seed, 8)) {
        case 0:
        case 1:
        case 2:
        case 3:
            if (sixteen_push(q, node)) {
                assert_true(n < 16);
                m->nodes[m->count++] = node;
            } else {
                assert_int_equal(n, 16);
                /* Lists need distinct nodes; the model knows which are in use.
                 */
                struct weft_node *kept[16];
                memcpy(kept, m->nodes, sizeof(kept));
                for (uint32_t i = 0; i < 16; i++) {
                    sixteen_pop(q);
                }
                for (uint32_t i = 0; i < 16; i++) {
                    m->nodes[i] = &items[i].node;
                    assert_true(sixteen_push(q, m->nodes[i]));
                }
                assert_true(sixteen_overflow(q, &items[16].node, &out));
                assert_int_equal(out.count, 9);
                for (uint32_t i = 8; i <= 16; i++) {
                    assert_ptr_equal(weft_batch_pop(&out), &items[i].node);
                }
                m->count = 8;
            }
            break;
        case 4:
        case 5:
            node = sixteen_pop(q);
            assert_ptr_equal(node, n == 0 ? NULL : m->nodes[0]);
            model_remove(m, n == 0 ? 0 : 1);
            break;
        case 6:
            node = sixteen_steal_into(other, q, &count);
            assert_int_equal(count, n - n / 2);
            for (uint32_t i = 0; i < count; i++) {
                assert_ptr_equal(node, m->nodes[i]);
                node = sixteen_pop(other);
            }
            assert_null(node);
            model_remove(m, count);
            break;
        default:
            count = sixteen_length(q);
            assert_int_equal(count, n);
            break;
    }
}

static void random_operations_do_what_an_array_would(void **state) {
    uint64_t seed = test_seed();
    for (uint32_t round = 0; round < 400; round++) {
        struct sixteen q, other;
        struct model m = {.count = 0};
        sixteen_init_at(&q, 0u - test_random(&seed, 300));
        sixteen_init_at(&other, 0u - test_random(&seed, 300));
        for (uint32_t i = 0; i < 400; i++) {
            random_operation(&q, &other, &m, &seed);
            assert_true(sixteen_valid(&q));
            assert_true(sixteen_valid(&other));
        }
    }
}

static void batches_of_random_sizes_keep_their_order(void **state) {
    uint64_t seed = test_seed();
    enum { COUNT = 50000 };
    struct item *many = items_new(COUNT);
    struct sixteen q;
    struct weft_batch in, out;
    uint32_t next = 0, expected = 0;
    weft_batch_init(&in);
    weft_batch_init(&out);
    sixteen_init_at(&q, UINT32_MAX - 20000);
    while (expected < COUNT) {
        for (uint32_t n = test_random(&seed, 20); n != 0 && next < COUNT; n--) {
            weft_batch_push(&in, &many[next++].node);
        }
        sixteen_push_batch(&q, &in);
        assert_true(sixteen_valid(&q));
        if (test_random(&seed, 2) == 0) {
            sixteen_pop_batch(&q, test_random(&seed, 20), &out);
        } else {
            sixteen_steal(&q, test_random(&seed, 20), &out);
        }
        assert_true(sixteen_valid(&q));
        while (out.count != 0) {
            assert_item(weft_batch_pop(&out), expected);
            expected++;
        }
    }
    assert_int_equal(sixteen_length(&q), 0);
    free(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_ring_is_empty),
        cmocka_unit_test(head_and_tail_and_slots_have_lines_of_their_own),
        cmocka_unit_test(a_capacity_that_is_no_power_of_two_stops_the_build),
        cmocka_unit_test(pop_returns_the_oldest),
        cmocka_unit_test(a_full_ring_refuses_a_push_and_is_unchanged),
        cmocka_unit_test(overflow_gives_away_the_newest_half_and_the_node),
        cmocka_unit_test(overflow_of_a_ring_with_room_says_push_again),
        cmocka_unit_test(overflow_during_a_steal_gives_away_the_node_alone),
        cmocka_unit_test(the_owner_pops_while_a_thief_copies),
        cmocka_unit_test(a_second_thief_is_turned_away),
        cmocka_unit_test(steal_takes_half_and_keeps_order),
        cmocka_unit_test(steal_into_a_ring_more_than_half_full_is_refused),
        cmocka_unit_test(steal_of_the_last_two_slots_moves_one_each),
        cmocka_unit_test(a_batch_is_taken_as_far_as_it_fits),
        cmocka_unit_test(high_water_is_the_most_ever_in_use),
        cmocka_unit_test(random_operations_do_what_an_array_would),
        cmocka_unit_test(batches_of_random_sizes_keep_their_order),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
