/* SPDX-License-Identifier: MIT */
/* The lock-free global queue: what all global queues promise, the moment
 * between a pusher's two steps, and nodes that go round at once. */
#include "weft/queue/lockfree_global.h"

#include "weft/queue/testing.h"

#define weft_global            weft_lockfree_global
#define weft_global_init       weft_lockfree_global_init
#define weft_global_push       weft_lockfree_global_push
#define weft_global_push_front weft_lockfree_global_push_front
#define weft_global_push_batch weft_lockfree_global_push_batch
#define weft_global_pop        weft_lockfree_global_pop
#define weft_global_pop_batch  weft_lockfree_global_pop_batch
#define weft_global_clear      weft_lockfree_global_clear
#define weft_global_find       weft_lockfree_global_find
#define weft_global_valid      weft_lockfree_global_valid
#define weft_global_length     weft_lockfree_global_length

#include "weft/queue/global_testing.h"

/* A push of `node` that stops between its steps 2 and 3; returns where 3 will
 * store. */
static _Atomic(struct weft_node *) *begin_push(struct weft_global *q,
                                               struct weft_node *node) {
    node->next = NULL;
    atomic_fetch_add(&q->pushed, 1);
    struct weft_node *before = atomic_exchange(&q->inbox_last, node);
    return before == NULL ? &q->inbox_first
                          : (_Atomic(struct weft_node *) *)&before->next;
}

static void what_is_behind_an_unfinished_push_appears_with_it(void **state) {
    struct weft_global q;
    weft_global_init(&q);
    _Atomic(struct weft_node *) *place = begin_push(&q, &items[0].node);
    assert_null(weft_global_pop(&q));
    push_each(&q, 1, 3);
    assert_null(weft_global_pop(&q));
    assert_int_equal(weft_global_length(&q), 3);
    weft_global_push_front(&q, &items[9].node);
    assert_next(&q, 9);
    assert_null(weft_global_pop(&q));
    assert_true(weft_global_valid(&q));
    atomic_store(place, &items[0].node);
    assert_next(&q, 0);
    assert_next(&q, 1);
    assert_next(&q, 2);
    assert_null(weft_global_pop(&q));
    assert_int_equal(weft_global_length(&q), 0);
}

struct late {
    struct weft_global q;
    _Atomic(struct weft_node *) *place;
};

static void *finish_late(void *arg) {
    struct late *late = arg;
    for (int i = 0; i < 20; i++) {
        sched_yield();
    }
    atomic_store(late->place, &items[1].node);
    return NULL;
}

static void a_taker_waits_for_the_link_of_an_unfinished_push(void **state) {
    struct late late;
    pthread_t thread;
    weft_global_init(&late.q);
    push_each(&late.q, 0, 1);
    late.place = begin_push(&late.q, &items[1].node);
    push_each(&late.q, 2, 3);
    WEFT_CHECK(pthread_create(&thread, NULL, finish_late, &late) == 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_next(&late.q, i);
    }
    assert_null(weft_global_pop(&late.q));
    WEFT_CHECK(pthread_join(thread, NULL) == 0);
}

/* Three nodes among four threads, each of which pushes what it has got at once:
 * lists end everywhere, and a node is back in the queue before the others that
 * looked at it have moved on. Batches too, of what there is. */
enum { ROUND = 4, TURNS = WEFT_TSAN ? 10000 : 20000 };

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
    return NULL;
}

static void nodes_that_are_pushed_again_at_once_are_not_lost(void **state) {
    struct fair fair = {.seed = test_seed()};
    pthread_t threads[ROUND];
    weft_global_init(&fair.global);
    fair.items = items_new(3);
    for (int i = 0; i < 3; i++) {
        weft_global_push(&fair.global, &fair.items[i].node);
    }
    atomic_init(&fair.missing, ROUND);
    for (int i = 0; i < ROUND; i++) {
        WEFT_CHECK(pthread_create(&threads[i], NULL, go_round, &fair) == 0);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        GLOBAL_TESTS,
        cmocka_unit_test(what_is_behind_an_unfinished_push_appears_with_it),
        cmocka_unit_test(a_taker_waits_for_the_link_of_an_unfinished_push),
        cmocka_unit_test(nodes_that_are_pushed_again_at_once_are_not_lost),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
