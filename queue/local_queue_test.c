/* SPDX-License-Identifier: MIT */
/* The local queue: 256 slots, counters that add up, overflow handed back; then
 * processors that feed, overflow, steal and drain all at once. The protocol of
 * the ring has tests of its own. */
#include "weft/queue/local_queue.h"

#include <pthread.h>

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

/* One processor feeds, three help themselves from each other; a fifth thread
 * samples, as a metrics page would. */
enum { HANDS = 4, COUNT = WEFT_TSAN ? 100000 : 400000 };

struct mill {
    struct weft_local queues[HANDS];
    struct item *items;
    _Atomic uint32_t missing;
    _Atomic uint32_t left;
    _Atomic uint64_t overflowed; /* nodes that were handed back */
    uint64_t seed;
};

struct hand {
    struct mill *mill;
    uint32_t index;
};

static void *hand_main(void *arg) {
    struct hand *me = arg;
    struct mill *mill = me->mill;
    struct weft_local *mine = &mill->queues[me->index];
    uint64_t seed = mill->seed + me->index;
    uint32_t next = me->index == 0 ? 0 : COUNT;
    test_start_together(&mill->missing);
    while (atomic_load_explicit(&mill->left, memory_order_acquire) != 0) {
        struct weft_batch out;
        struct weft_node *node;
        uint32_t ran = 0;
        for (uint32_t n = test_random(&seed, 400); n != 0 && next < COUNT;
             n--) {
            weft_batch_init(&out);
            node = &mill->items[next++].node;
            if (!weft_local_push(mine, node, &out)) {
                atomic_fetch_add_explicit(&mill->overflowed, out.count,
                                          memory_order_relaxed);
            }
            while ((node = weft_batch_pop(&out)) != NULL) {
                item_of(node)->taken++;
                ran++;
            }
        }
        WEFT_CHECK(weft_local_valid(mine));
        uint32_t from = test_random(&seed, HANDS);
        if (from != me->index) {
            node = weft_local_steal(mine, &mill->queues[from]);
            if (node != NULL) {
                item_of(node)->taken++;
                ran++;
            }
            WEFT_CHECK(weft_local_valid(mine));
        }
        for (uint32_t n = test_random(&seed, 60); n != 0; n--) {
            if ((node = weft_local_pop(mine)) == NULL) {
                break;
            }
            item_of(node)->taken++;
            ran++;
        }
        if (ran == 0 || test_random(&seed, 8) == 0) {
            sched_yield();
        }
        if (ran != 0) {
            atomic_fetch_sub_explicit(&mill->left, ran, memory_order_acq_rel);
        }
    }
    return NULL;
}

static void *sampler_main(void *arg) {
    struct mill *mill = arg;
    struct weft_local_counters before[HANDS] = {{0}};
    while (atomic_load_explicit(&mill->left, memory_order_acquire) != 0) {
        for (uint32_t i = 0; i < HANDS; i++) {
            struct weft_local_counters c = counters(&mill->queues[i]);
            WEFT_CHECK_OP(c.pushes, >=, before[i].pushes);
            WEFT_CHECK_OP(c.pops, >=, before[i].pops);
            WEFT_CHECK_OP(c.stolen, >=, before[i].stolen);
            WEFT_CHECK_OP(c.high_water, >=, before[i].high_water);
            WEFT_CHECK_OP(c.high_water, <=, 256u);
            WEFT_CHECK_OP(weft_local_length(&mill->queues[i]), <=, 256u);
            before[i] = c;
        }
        sched_yield();
    }
    return NULL;
}

static void four_processors_lose_nothing_and_the_counters_add_up(void **state) {
    static struct mill mill;
    struct hand hands[HANDS];
    pthread_t threads[HANDS], sampler;
    mill.seed = test_seed();
    mill.items = items_new(COUNT);
    atomic_init(&mill.left, COUNT);
    atomic_init(&mill.missing, HANDS);
    for (uint32_t i = 0; i < HANDS; i++) {
        weft_local_init(&mill.queues[i]);
    }
    WEFT_CHECK(pthread_create(&sampler, NULL, sampler_main, &mill) == 0);
    for (uint32_t i = 0; i < HANDS; i++) {
        hands[i] = (struct hand){.mill = &mill, .index = i};
        WEFT_CHECK(pthread_create(&threads[i], NULL, hand_main, &hands[i]) ==
                   0);
    }
    struct weft_local_counters sum = {0};
    for (uint32_t i = 0; i < HANDS; i++) {
        WEFT_CHECK(pthread_join(threads[i], NULL) == 0);
        struct weft_local_counters c = counters(&mill.queues[i]);
        assert_true(weft_local_valid(&mill.queues[i]));
        assert_int_equal(weft_local_length(&mill.queues[i]), 0);
        sum.pushes += c.pushes;
        sum.pops += c.pops;
        sum.steals += c.steals;
        sum.stolen += c.stolen;
        sum.overflows += c.overflows;
    }
    WEFT_CHECK(pthread_join(sampler, NULL) == 0);
    items_all_taken_once(mill.items, COUNT);
    print_message("%llu steals, %llu stolen, %llu overflows\n",
                  (unsigned long long)sum.steals,
                  (unsigned long long)sum.stolen,
                  (unsigned long long)sum.overflows);
    /* A push that overflowed handed its own node back as well. */
    assert_int_equal(sum.pushes + sum.overflows, COUNT);
    assert_int_equal(sum.pops + sum.steals + atomic_load(&mill.overflowed),
                     COUNT);
    assert_true(sum.overflows > 0);
    free(mill.items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_256_in_order),
        cmocka_unit_test(a_queue_without_thieves_does_the_same),
        cmocka_unit_test(push_257_hands_back_the_newest_half),
        cmocka_unit_test(a_steal_moves_half_and_counts_on_the_thief),
        cmocka_unit_test(drain_takes_everything),
        cmocka_unit_test(a_batch_is_taken_as_far_as_it_fits),
        cmocka_unit_test(four_processors_lose_nothing_and_the_counters_add_up),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
