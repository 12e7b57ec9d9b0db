/* SPDX-License-Identifier: MIT */
/* Processors that feed, overflow and steal all at once, with the local queue's
 * 256 slots, and, compiled anew, with four of them: then every push meets a
 * full ring, a wrap or a thief. What the ring promises is tested in
 * weft/queue/lockfree_queue_race_test.c; here, that the counters add up. */
#include "weft/queue/local_queue.h"

#include <pthread.h>

#include "weft/queue/pest_testing.h"
#include "weft/queue/testing.h"

/* One processor feeds, three help themselves from each other; a fifth thread
 * samples, as a metrics page would. With four slots an item is a turn, and each
 * few turns end with a yield, which is long on a busy machine: so fewer items.
 */
enum {
    HANDS = 4,
    SLOTS = WEFT_LOCAL_SLOTS,
    MANY = SLOTS + SLOTS / 2, /* pushes at once, at most */
    FEW = SLOTS / 4 + 1,      /* pops, likewise */
    COUNT = (SLOTS < 100 ? 8000 : 200000) / (WEFT_TSAN ? 2 : 1)
};

static struct weft_local_counters counters(const struct weft_local *local) {
    struct weft_local_counters c;
    weft_local_counters_read(local, &c);
    return c;
}

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
        for (uint32_t n = test_random(&seed, MANY); n != 0 && next < COUNT;
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
        for (uint32_t n = test_random(&seed, FEW); n != 0; n--) {
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
            WEFT_CHECK_OP(c.high_water, <=, (uint32_t)SLOTS);
            WEFT_CHECK_OP(weft_local_length(&mill->queues[i]), <=,
                          (uint32_t)SLOTS);
            before[i] = c;
        }
        sched_yield();
    }
    return NULL;
}

static void four_processors_lose_nothing_and_the_counters_add_up(void **state) {
    static struct mill mill;
    struct hand hands[HANDS];
    struct pest pest;
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
    pest_start(&pest, threads, HANDS, mill.seed);
    while (atomic_load_explicit(&mill.left, memory_order_acquire) != 0) {
        sched_yield();
    }
    pest_stop(&pest);
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
    assert_true(sum.steals > 0);
    free(mill.items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_processors_lose_nothing_and_the_counters_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
