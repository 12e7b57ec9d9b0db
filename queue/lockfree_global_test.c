/* SPDX-License-Identifier: MIT */
/* The lock-free global queue: what all global queues promise, and the
 * moment between a pusher's two steps. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        GLOBAL_TESTS,
        cmocka_unit_test(what_is_behind_an_unfinished_push_appears_with_it),
        cmocka_unit_test(a_taker_waits_for_the_link_of_an_unfinished_push),
    };
    return cmocka_run_group_tests(tests, number_all, NULL);
}
