/* SPDX-License-Identifier: MIT */
/* The block queue in one thread: each promise of its header alone, then random
 * operations beside an array. Races: block_queue_race_test.c. */
#include "weft/queue/block_queue.h"

#include <string.h>

#include "weft/queue/testing.h"

WEFT_BLOCK_QUEUE_DEFINE(sixteen, 16, 4)

static struct item items[64];

static int number_all(void **state) {
    for (uint32_t i = 0; i < 64; i++) {
        items[i].number = i;
    }
    return 0;
}

#define assert_item(got, expected)                                \
    do {                                                          \
        struct weft_node *got_ = (got);                           \
        assert_non_null(got_);                                    \
        assert_int_equal(item_of(got_)->number, (int)(expected)); \
    } while (0)

/* Pushes the items [first, first + count). */
static void fill(struct sixteen *q, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i++) {
        assert_true(sixteen_push(q, &items[i].node));
    }
}

/* Pops all; they are the items [first, first + count). */
static void expect(struct sixteen *q, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i++) {
        assert_item(sixteen_pop(q), i);
        assert_true(sixteen_valid(q));
    }
    assert_null(sixteen_pop(q));
    assert_int_equal(sixteen_length(q), 0);
}

static uint32_t steal(struct sixteen *q, struct weft_batch *out) {
    weft_batch_init(out);
    uint32_t count = sixteen_steal(q, 16, out);
    assert_int_equal(count, out->count);
    assert_true(sixteen_valid(q));
    return count;
}

static void a_new_queue_is_empty(void **state) {
    struct sixteen q;
    struct weft_batch out;
    sixteen_init(&q);
    assert_true(sixteen_valid(&q));
    assert_int_equal(sixteen_length(&q), 0);
    assert_int_equal(sixteen_shared(&q), 0);
    assert_int_equal(steal(&q, &out), 0);
    expect(&q, 0, 0);
}

static void head_and_tail_and_slots_have_lines_of_their_own(void **state) {
    assert_int_equal(offsetof(struct weft_blocks, head) % WEFT_CACHE_LINE, 0);
    assert_int_equal(offsetof(struct weft_blocks, tail) % WEFT_CACHE_LINE, 0);
    assert_int_equal(offsetof(struct weft_blocks, own) % WEFT_CACHE_LINE, 0);
    assert_int_equal(offsetof(struct sixteen, slots) % WEFT_CACHE_LINE, 0);
}

static void pop_returns_the_oldest(void **state) {
    struct sixteen q;
    sixteen_init_at(&q, UINT32_MAX - 5);
    for (uint32_t round = 0; round < 20; round++) {
        fill(&q, round, round % 16 + 1);
        expect(&q, round, round % 16 + 1);
    }
}

/* Pops and pushes inside a block leave head alone; the next block is one
 * change of it. */
static void the_owner_touches_head_once_a_block(void **state) {
    struct sixteen q;
    sixteen_init(&q);
    uint32_t changes = 0;
    for (uint32_t i = 0; i < 64; i++) {
        uint64_t before = atomic_load(&q.ring.head);
        assert_true(sixteen_push(&q, &items[i].node));
        assert_item(sixteen_pop(&q), i);
        changes += atomic_load(&q.ring.head) != before;
    }
    assert_int_equal(changes, 64 / 4 - 1);
}

static void thieves_get_what_is_behind_the_block(void **state) {
    struct sixteen q;
    struct weft_batch out;
    sixteen_init(&q);
    fill(&q, 0, 4);
    assert_int_equal(sixteen_shared(&q), 0);
    assert_int_equal(steal(&q, &out), 0);
    fill(&q, 4, 5);
    assert_int_equal(sixteen_shared(&q), 5);
    assert_int_equal(steal(&q, &out), 3);
    assert_item(weft_batch_pop(&out), 4);
    assert_item(weft_batch_pop(&out), 5);
    assert_item(weft_batch_pop(&out), 6);
    assert_int_equal(sixteen_length(&q), 6);
    for (uint32_t i = 0; i < 4; i++) {
        assert_item(sixteen_pop(&q), i);
    }
    expect(&q, 7, 2);
}

static void a_shared_block_can_be_stolen(void **state) {
    struct sixteen q;
    struct weft_batch out;
    sixteen_init(&q);
    fill(&q, 0, 3);
    assert_true(sixteen_share(&q));
    assert_true(sixteen_valid(&q));
    assert_int_equal(sixteen_shared(&q), 3);
    fill(&q, 3, 1); /* shared at once */
    assert_int_equal(sixteen_shared(&q), 4);
    assert_int_equal(steal(&q, &out), 2);
    assert_item(weft_batch_pop(&out), 0);
    assert_item(weft_batch_pop(&out), 1);
    expect(&q, 2, 2);
}

static void a_block_is_shared_across_what_thieves_took(void **state) {
    struct sixteen q;
    struct weft_batch out;
    sixteen_init_at(&q, UINT32_MAX - 8);
    fill(&q, 0, 10);
    assert_item(sixteen_pop(&q), 0);
    assert_int_equal(steal(&q, &out), 3); /* 4, 5, 6 */
    assert_true(sixteen_share(&q));
    assert_true(sixteen_valid(&q));
    assert_int_equal(sixteen_shared(&q), 6);
    assert_int_equal(steal(&q, &out), 3);
    assert_item(weft_batch_pop(&out), 1);
    assert_item(weft_batch_pop(&out), 2);
    assert_item(weft_batch_pop(&out), 3);
    expect(&q, 7, 3);
}

static void an_empty_queue_that_was_shared_shares_what_is_pushed(void **state) {
    struct sixteen q;
    sixteen_init(&q);
    assert_true(sixteen_share(&q));
    assert_true(sixteen_share(&q));
    fill(&q, 0, 1);
    assert_int_equal(sixteen_shared(&q), 1);
    expect(&q, 0, 1);
    fill(&q, 0, 1); /* the pop took a block */
    assert_int_equal(sixteen_shared(&q), 0);
}

static void a_share_during_a_steal_is_refused(void **state) {
    struct sixteen q;
    uint32_t first = 0;
    sixteen_init(&q);
    fill(&q, 0, 8);
    assert_int_equal(weft_blocks_claim(&q.ring, q.slots, 16, 8, &first), 2);
    assert_int_equal(first, 4);
    assert_false(sixteen_share(&q));
    weft_blocks_give_back(&q.ring, first);
    assert_true(sixteen_share(&q));
    assert_int_equal(sixteen_shared(&q), 6);
}

static void a_second_thief_is_turned_away(void **state) {
    struct sixteen q;
    struct weft_batch out;
    uint32_t first = 0;
    sixteen_init(&q);
    fill(&q, 0, 16);
    assert_int_equal(weft_blocks_claim(&q.ring, q.slots, 16, 8, &first), 6);
    assert_int_equal(steal(&q, &out), 0);
    weft_blocks_give_back(&q.ring, first);
    assert_int_equal(steal(&q, &out), 3);
}

/* The claimed slots are not written, whatever the owner does meanwhile. */
static void the_owner_goes_on_while_a_thief_copies(void **state) {
    struct sixteen q;
    struct weft_batch out;
    uint32_t first = 0;
    sixteen_init(&q);
    fill(&q, 0, 16);
    assert_int_equal(weft_blocks_claim(&q.ring, q.slots, 16, 2, &first), 2);
    for (uint32_t i = 0; i < 16; i++) {
        if (i == 4 || i == 5) {
            continue;
        }
        assert_item(sixteen_pop(&q), i);
        assert_true(sixteen_valid(&q));
    }
    assert_null(sixteen_pop(&q));
    /* Only the slots before the thief's are free. */
    for (uint32_t i = 16; i < 20; i++) {
        assert_true(sixteen_push(&q, &items[i].node));
    }
    assert_false(sixteen_push(&q, &items[20].node));
    assert_true(sixteen_overflow(&q, &items[20].node, &out));
    assert_int_equal(out.count, 1);
    assert_item(weft_slot_read(q.slots, 16, first), 4);
    assert_item(weft_slot_read(q.slots, 16, first + 1), 5);
    weft_blocks_give_back(&q.ring, first);
    assert_true(sixteen_valid(&q));
    fill(&q, 20, 12);
    expect(&q, 16, 16);
}

/* Thieves emptied what is behind the block; the ring is not full of holes. */
static void a_block_that_stays_behind_moves_up(void **state) {
    struct sixteen q;
    struct weft_batch out;
    sixteen_init_at(&q, UINT32_MAX - 30);
    fill(&q, 0, 3);
    for (uint32_t i = 3; i < 60; i++) {
        assert_true(sixteen_push(&q, &items[i].node));
        while (steal(&q, &out) != 0) {
        }
    }
    assert_int_equal(sixteen_length(&q), 4);
    expect(&q, 0, 4);
}

static void a_full_queue_refuses_a_push_and_is_unchanged(void **state) {
    struct sixteen q;
    sixteen_init(&q);
    fill(&q, 0, 16);
    assert_false(sixteen_push(&q, &items[16].node));
    assert_true(sixteen_valid(&q));
    expect(&q, 0, 16);
}

static void overflow_keeps_the_older_half(void **state) {
    struct sixteen q;
    struct weft_batch out;
    for (uint32_t popped = 0; popped <= 8; popped++) {
        sixteen_init_at(&q, UINT32_MAX - 12);
        fill(&q, 0, 16);
        for (uint32_t i = 0; i < popped; i++) {
            assert_item(sixteen_pop(&q), i);
        }
        fill(&q, 16, popped);
        assert_false(sixteen_push(&q, &items[40].node));
        assert_true(sixteen_overflow(&q, &items[40].node, &out));
        assert_true(sixteen_valid(&q));
        assert_int_equal(out.count, 9);
        for (uint32_t i = popped + 8; i < popped + 16; i++) {
            assert_item(weft_batch_pop(&out), i);
        }
        assert_item(weft_batch_pop(&out), 40);
        assert_int_equal(sixteen_length(&q), 8);
        fill(&q, popped + 8, 8);
        expect(&q, popped, 16);
    }
}

static void overflow_of_a_queue_with_room_says_push_again(void **state) {
    struct sixteen q;
    struct weft_batch out;
    sixteen_init(&q);
    fill(&q, 0, 15);
    assert_false(sixteen_overflow(&q, &items[15].node, &out));
    assert_int_equal(out.count, 0);
    fill(&q, 15, 1);
    expect(&q, 0, 16);
}

static void a_catch_goes_behind_what_the_thief_has(void **state) {
    struct sixteen q, mine;
    uint32_t count;
    sixteen_init(&q);
    sixteen_init_at(&mine, UINT32_MAX - 2);
    fill(&q, 0, 12);
    fill(&mine, 20, 3);
    assert_item(sixteen_steal_into(&mine, &q, &count), 4);
    assert_int_equal(count, 4);
    assert_true(sixteen_valid(&mine));
    for (uint32_t i = 20; i < 23; i++) {
        assert_item(sixteen_pop(&mine), i);
    }
    expect(&mine, 5, 3);
}

static void a_thief_that_is_more_than_half_full_gets_nothing(void **state) {
    struct sixteen q, mine;
    uint32_t count;
    sixteen_init(&q);
    sixteen_init(&mine);
    fill(&q, 0, 12);
    fill(&mine, 20, 9);
    assert_null(sixteen_steal_into(&mine, &q, &count));
    assert_int_equal(count, 0);
    assert_item(sixteen_pop(&mine), 20);
    assert_item(sixteen_steal_into(&mine, &q, &count), 4);
    assert_true(sixteen_valid(&mine));
}

static void high_water_counts_whole_blocks(void **state) {
    struct sixteen q;
    sixteen_init(&q);
    assert_int_equal(sixteen_high_water(&q), 0);
    fill(&q, 0, 5);
    assert_int_equal(sixteen_high_water(&q), 8);
    expect(&q, 0, 5);
    fill(&q, 0, 16);
    assert_int_equal(sixteen_high_water(&q), 16);
}

/* What the queue should hold: an array, oldest first. */
struct model {
    struct weft_node *nodes[16];
    uint32_t count;
};

/* Out of the array go `n` from `at`, each equal to what the batch holds. */
static void model_take(struct model *m, uint32_t at, struct weft_batch *out) {
    uint32_t n = out->count;
    for (uint32_t i = 0; i < n; i++) {
        assert_ptr_equal(weft_batch_pop(out), m->nodes[at + i]);
    }
    m->count -= n;
    memmove(m->nodes + at, m->nodes + at + n,
            (m->count - at) * sizeof(m->nodes[0]));
}

static void random_operation(struct sixteen *q, struct model *m, uint32_t *next,
                             uint64_t *seed) {
    struct weft_node *node = &items[*next % 64].node;
    struct weft_batch out;
    uint32_t shared = sixteen_shared(q), count, max;
    weft_batch_init(&out);
    switch (test_random(seed, 8)) {
        case 0:
        case 1:
        case 2:
            if (sixteen_push(q, node)) {
                assert_true(m->count < 16);
                m->nodes[m->count++] = node;
                (*next)++;
            } else if (sixteen_overflow(q, node, &out)) {
                assert_int_equal(m->count, 16);
                assert_int_equal(out.count, 9);
                for (uint32_t i = 8; i < 16; i++) {
                    assert_ptr_equal(weft_batch_pop(&out), m->nodes[i]);
                }
                assert_ptr_equal(weft_batch_pop(&out), node);
                m->count = 8;
                (*next)++;
            } else {
                fail_msg("full, and no overflow, without thieves");
            }
            break;
        case 3:
        case 4:
            max = test_random(seed, 6);
            count = sixteen_pop_batch(q, max, &out);
            assert_int_equal(count, max < m->count ? max : m->count);
            model_take(m, 0, &out);
            break;
        case 5:
        case 6:
            count = sixteen_steal(q, 16, &out);
            assert_int_equal(count, shared - shared / 2);
            model_take(m, m->count - shared, &out);
            break;
        default:
            assert_true(sixteen_share(q));
            assert_int_equal(sixteen_shared(q), m->count);
            break;
    }
    assert_int_equal(sixteen_length(q), m->count);
    assert_true(m->count - sixteen_shared(q) <= 4);
}

static void random_operations_do_what_an_array_would(void **state) {
    uint64_t seed = test_seed();
    for (uint32_t round = 0; round < 400; round++) {
        struct sixteen q;
        struct model m = {.count = 0};
        uint32_t next = 0;
        sixteen_init_at(&q, 0u - test_random(&seed, 300));
        for (uint32_t i = 0; i < 400; i++) {
            random_operation(&q, &m, &next, &seed);
            assert_true(sixteen_valid(&q));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_queue_is_empty),
        cmocka_unit_test(head_and_tail_and_slots_have_lines_of_their_own),
        cmocka_unit_test(pop_returns_the_oldest),
        cmocka_unit_test(the_owner_touches_head_once_a_block),
        cmocka_unit_test(thieves_get_what_is_behind_the_block),
        cmocka_unit_test(a_shared_block_can_be_stolen),
        cmocka_unit_test(a_block_is_shared_across_what_thieves_took),
        cmocka_unit_test(an_empty_queue_that_was_shared_shares_what_is_pushed),
        cmocka_unit_test(a_share_during_a_steal_is_refused),
        cmocka_unit_test(a_second_thief_is_turned_away),
        cmocka_unit_test(the_owner_goes_on_while_a_thief_copies),
        cmocka_unit_test(a_block_that_stays_behind_moves_up),
        cmocka_unit_test(a_full_queue_refuses_a_push_and_is_unchanged),
        cmocka_unit_test(overflow_keeps_the_older_half),
        cmocka_unit_test(overflow_of_a_queue_with_room_says_push_again),
        cmocka_unit_test(a_catch_goes_behind_what_the_thief_has),
        cmocka_unit_test(a_thief_that_is_more_than_half_full_gets_nothing),
        cmocka_unit_test(high_water_counts_whole_blocks),
        cmocka_unit_test(random_operations_do_what_an_array_would),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
