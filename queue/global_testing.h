/* SPDX-License-Identifier: MIT */
/* What a global queue promises: order, batches, clear, the length without the
 * lock; random operations against a model; producers and consumers at once;
 * three nodes among four threads.
 *
 * Included once by each test, where the names that begin with weft_global mean
 * the queue to be tested. */
#ifndef WEFT_QUEUE_GLOBAL_TESTING_H_
#define WEFT_QUEUE_GLOBAL_TESTING_H_

#include <pthread.h>
#include <string.h>

#include "weft/queue/pest_testing.h"
#include "weft/queue/testing.h"

enum { COUNT = 64 };
static struct item items[COUNT];

#define assert_next(global_, number_)                       \
    do {                                                    \
        struct weft_node *got_ = weft_global_pop(global_);  \
        assert_non_null(got_);                              \
        assert_int_equal(item_of(got_)->number, (number_)); \
    } while (0)

static int number_all(void **state) {
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i].number = i;
    }
    return 0;
}

static void push_each(struct weft_global *global, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        weft_global_push(global, &items[i].node);
    }
}

static void a_new_queue_is_empty(void **state) {
    struct weft_global global;
    struct weft_batch out;
    weft_batch_init(&out);
    weft_global_init(&global);
    assert_null(weft_global_pop(&global));
    assert_int_equal(weft_global_pop_batch(&global, 5, &out), 0);
    assert_int_equal(weft_global_clear(&global, &out), 0);
    assert_int_equal(weft_global_length(&global), 0);
    assert_int_equal(out.count, 0);
    assert_true(weft_global_valid(&global));
}

static void first_in_is_first_out(void **state) {
    struct weft_global global;
    weft_global_init(&global);
    push_each(&global, 0, 5);
    assert_next(&global, 0);
    push_each(&global, 5, 6);
    assert_int_equal(weft_global_length(&global), 5);
    for (uint32_t i = 1; i < 6; i++) {
        assert_next(&global, i);
    }
    assert_null(weft_global_pop(&global));
}

static void push_front_is_next_out(void **state) {
    struct weft_global global;
    weft_global_init(&global);
    weft_global_push_front(&global, &items[1].node);
    weft_global_push_front(&global, &items[0].node);
    weft_global_push(&global, &items[2].node);
    for (uint32_t i = 0; i < 3; i++) {
        assert_next(&global, i);
    }
}

static bool is_divisible_by_four(const struct weft_node *node) {
    return item_of((struct weft_node *)(uintptr_t)node)->number % 4 == 0;
}

static void find_takes_the_oldest_that_fits_and_keeps_the_order(void **state) {
    struct weft_global global;
    weft_global_init(&global);
    assert_null(weft_global_find(&global, is_divisible_by_four));
    push_each(&global, 2, 9);
    for (uint32_t i = 4; i <= 8; i += 4) {
        struct weft_node *node =
            weft_global_find(&global, is_divisible_by_four);
        assert_non_null(node);
        assert_int_equal(item_of(node)->number, i);
        assert_true(weft_global_valid(&global));
    }
    assert_null(weft_global_find(&global, is_divisible_by_four));
    push_each(&global, 9, 10);
    for (uint32_t i = 2; i < 10; i++) {
        if (i % 4 != 0) {
            assert_next(&global, i);
        }
    }
    assert_null(weft_global_pop(&global));
}

static void a_batch_goes_in_and_out_in_order(void **state) {
    struct weft_global global;
    struct weft_batch in, out;
    weft_batch_init(&in);
    weft_batch_init(&out);
    weft_global_init(&global);
    weft_global_push_batch(&global, &in); /* nothing */
    push_each(&global, 0, 2);
    for (uint32_t i = 2; i < 10; i++) {
        weft_batch_push(&in, &items[i].node);
    }
    weft_global_push_batch(&global, &in);
    assert_int_equal(in.count, 0);
    assert_int_equal(weft_global_length(&global), 10);
    assert_int_equal(weft_global_pop_batch(&global, 0, &out), 0);
    assert_int_equal(weft_global_pop_batch(&global, 4, &out), 4);
    assert_int_equal(weft_global_length(&global), 6);
    assert_true(weft_global_valid(&global));
    assert_int_equal(weft_global_pop_batch(&global, 100, &out), 6);
    assert_int_equal(weft_global_length(&global), 0);
    assert_true(weft_batch_valid(&out));
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(item_of(weft_batch_pop(&out))->number, i);
    }
}

static void clear_takes_everything(void **state) {
    struct weft_global global;
    struct weft_batch out;
    weft_batch_init(&out);
    weft_global_init(&global);
    push_each(&global, 0, 7);
    assert_int_equal(weft_global_clear(&global, &out), 7);
    assert_int_equal(out.count, 7);
    assert_int_equal(weft_global_length(&global), 0);
    assert_null(weft_global_pop(&global));
    push_each(&global, 7, 8); /* and it goes on */
    assert_next(&global, 7);
}

static void random_operations_do_what_an_array_would(void **state) {
    uint64_t seed = test_seed();
    struct weft_global global;
    struct weft_node *model[COUNT]; /* what should be inside, oldest first */
    struct weft_node *spare[COUNT]; /* the others */
    uint32_t n = 0, free_count = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        spare[i] = &items[i].node;
    }
    weft_global_init(&global);
    for (uint32_t i = 0; i < 100000; i++) {
        struct weft_batch batch;
        uint32_t want = test_random(&seed, 12), took = 0;
        weft_batch_init(&batch);
        switch (test_random(&seed, 32) == 0 ? 9 : test_random(&seed, 5)) {
            case 0:
            case 1:
                for (; want != 0 && free_count != 0; want--) {
                    model[n] = spare[--free_count];
                    weft_batch_push(&batch, model[n++]);
                }
                weft_global_push_batch(&global, &batch);
                break;
            case 2:
                if (free_count != 0) {
                    memmove(model + 1, model, n++ * sizeof(model[0]));
                    model[0] = spare[--free_count];
                    weft_global_push_front(&global, model[0]);
                }
                break;
            case 3:
                took = weft_global_pop_batch(&global, want, &batch);
                assert_int_equal(took, want < n ? want : n);
                break;
            case 4: {
                struct weft_node *node = weft_global_pop(&global);
                assert_true((node == NULL) == (n == 0));
                if (node != NULL) {
                    weft_batch_push(&batch, node);
                    took = 1;
                }
                break;
            }
            default:
                took = weft_global_clear(&global, &batch);
                assert_int_equal(took, n);
                break;
        }
        for (uint32_t j = 0; j < took; j++) {
            assert_ptr_equal(weft_batch_pop(&batch), model[j]);
            spare[free_count++] = model[j];
        }
        n -= took;
        memmove(model, model + took, n * sizeof(model[0]));
        assert_int_equal(weft_global_length(&global), n);
        assert_true(weft_global_valid(&global));
    }
}

enum { PRODUCERS = 2, CONSUMERS = 2, EACH = WEFT_TSAN ? 20000 : 50000 };

struct fair {
    struct weft_global global;
    struct item *items;
    _Atomic uint32_t missing;
    _Atomic uint32_t left; /* items, or threads, that have something to do */
    _Atomic uint32_t next_producer;
    uint64_t seed;
};

static void *produce(void *arg) {
    struct fair *fair = arg;
    uint32_t id = atomic_fetch_add(&fair->next_producer, 1);
    uint32_t next = id * EACH, end = next + EACH;
    uint64_t seed = fair->seed + id;
    test_start_together(&fair->missing);
    while (next < end) {
        struct weft_batch batch;
        weft_batch_init(&batch);
        uint32_t n = test_random(&seed, 8);
        if (n == 0) {
            weft_global_push(&fair->global, &fair->items[next++].node);
        }
        for (; n != 0 && next < end; n--) {
            weft_batch_push(&batch, &fair->items[next++].node);
        }
        weft_global_push_batch(&fair->global, &batch);
    }
    return NULL;
}

/* Each producer's items come out in their order, for each consumer. */
static void *consume(void *arg) {
    struct fair *fair = arg;
    int64_t last[PRODUCERS] = {-1, -1};
    uint64_t seed = fair->seed + 99;
    test_start_together(&fair->missing);
    while (atomic_load_explicit(&fair->left, memory_order_relaxed) != 0) {
        struct weft_batch batch;
        struct weft_node *node;
        uint32_t max = test_random(&seed, 10), ran = 0;
        weft_batch_init(&batch);
        if (max != 0) {
            weft_global_pop_batch(&fair->global, max, &batch);
        } else if ((node = weft_global_pop(&fair->global)) != NULL) {
            weft_batch_push(&batch, node);
        }
        while ((node = weft_batch_pop(&batch)) != NULL) {
            struct item *item = item_of(node);
            int64_t *before = &last[item->number / EACH];
            WEFT_CHECK_OP((int64_t)item->number, >, *before);
            *before = item->number;
            item->taken++;
            ran++;
        }
        atomic_fetch_sub_explicit(&fair->left, ran, memory_order_relaxed);
        if (ran == 0) {
            sched_yield();
        } else if (test_random(&seed, 64) == 0) {
            WEFT_CHECK(weft_global_valid(&fair->global));
        }
    }
    return NULL;
}

/* Pesters `threads`, so that some stop between a push's steps or with the lock,
 * until nothing is left to do. */
static void pest_until_done(struct pest *pest, pthread_t *threads,
                            uint32_t count, struct fair *fair) {
    pest_start(pest, threads, count, fair->seed);
    while (atomic_load_explicit(&fair->left, memory_order_acquire) != 0) {
        sched_yield();
    }
    pest_stop(pest);
}

static void producers_and_consumers_lose_nothing_and_keep_order(void **state) {
    struct fair fair = {.seed = test_seed()};
    struct pest pest;
    pthread_t threads[PRODUCERS + CONSUMERS];
    weft_global_init(&fair.global);
    fair.items = items_new(PRODUCERS * EACH);
    atomic_init(&fair.left, PRODUCERS * EACH);
    atomic_init(&fair.missing, PRODUCERS + CONSUMERS);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        WEFT_CHECK(pthread_create(&threads[i], NULL,
                                  i < PRODUCERS ? produce : consume,
                                  &fair) == 0);
    }
    pest_until_done(&pest, threads, PRODUCERS + CONSUMERS, &fair);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        WEFT_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    assert_int_equal(weft_global_length(&fair.global), 0);
    assert_true(weft_global_valid(&fair.global));
    items_all_taken_once(fair.items, PRODUCERS * EACH);
    free(fair.items);
}

/* Three nodes among four threads, each of which pushes what it has got at once:
 * lists end everywhere, and a node is back in the queue before the others that
 * looked at it have moved on. Batches too, of what there is. This is for a list
 * what four slots are for a ring. */
enum { ROUND = 4, TURNS = 10000 };

static void *go_round(void *arg) {
    struct fair *fair = arg;
    uint64_t seed = fair->seed + 7 * atomic_fetch_add(&fair->next_producer, 1);
    test_start_together(&fair->missing);
    for (uint32_t i = 0; i < TURNS; i++) {
        struct weft_batch batch;
        struct weft_node *node;
        weft_batch_init(&batch);
        if (test_random(&seed, 3) == 0) {
            weft_global_pop_batch(&fair->global, 2, &batch);
        } else if ((node = weft_global_pop(&fair->global)) != NULL) {
            item_of(node)->taken++;
            if (test_random(&seed, 8) == 0) {
                weft_global_push_front(&fair->global, node);
            } else {
                weft_global_push(&fair->global, node);
            }
        }
        for (node = batch.head; node != NULL && batch.count != 0;
             node = node == batch.tail ? NULL : node->next) {
            item_of(node)->taken++;
        }
        weft_global_push_batch(&fair->global, &batch);
        if (i % 64 == 0) {
            sched_yield();
        }
    }
    atomic_fetch_sub_explicit(&fair->left, 1, memory_order_release);
    return NULL;
}

static void nodes_that_are_pushed_again_at_once_are_not_lost(void **state) {
    struct fair fair = {.seed = test_seed()};
    struct pest pest;
    pthread_t threads[ROUND];
    weft_global_init(&fair.global);
    fair.items = items_new(3);
    for (int i = 0; i < 3; i++) {
        weft_global_push(&fair.global, &fair.items[i].node);
    }
    atomic_init(&fair.left, ROUND);
    atomic_init(&fair.missing, ROUND);
    for (int i = 0; i < ROUND; i++) {
        WEFT_CHECK(pthread_create(&threads[i], NULL, go_round, &fair) == 0);
    }
    pest_until_done(&pest, threads, ROUND, &fair);
    for (int i = 0; i < ROUND; i++) {
        WEFT_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    struct weft_batch all;
    weft_batch_init(&all);
    assert_true(weft_global_valid(&fair.global));
    assert_int_equal(weft_global_clear(&fair.global, &all), 3);
    assert_true(weft_batch_valid(&all));
    uint32_t seen = 0;
    while (all.count != 0) {
        seen |= 1u << item_of(weft_batch_pop(&all))->number;
    }
    assert_int_equal(seen, 7);
    assert_int_equal(weft_global_length(&fair.global), 0);
    free(fair.items);
}

#define GLOBAL_TESTS                                                           \
    cmocka_unit_test(a_new_queue_is_empty),                                    \
        cmocka_unit_test(first_in_is_first_out),                               \
        cmocka_unit_test(push_front_is_next_out),                              \
        cmocka_unit_test(find_takes_the_oldest_that_fits_and_keeps_the_order), \
        cmocka_unit_test(a_batch_goes_in_and_out_in_order),                    \
        cmocka_unit_test(clear_takes_everything),                              \
        cmocka_unit_test(random_operations_do_what_an_array_would),            \
        cmocka_unit_test(producers_and_consumers_lose_nothing_and_keep_order), \
        cmocka_unit_test(nodes_that_are_pushed_again_at_once_are_not_lost)

#endif
