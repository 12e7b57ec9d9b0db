/* SPDX-License-Identifier: MIT */
/* The brood, four slots small: each node comes out once, the thieves' and the
 * oldest in their order, the newest in the other. */
#define WEFT_BROOD_SLOTS 4
#include "weft/sched/brood.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"

struct item {
    struct weft_node node;
    uint64_t number;
    _Atomic uint32_t taken;
};

static uint64_t number(struct weft_node *node) {
    return ((struct item *)(void *)node)->number;
}

static void the_owner_takes_at_both_ends(void **state) {
    struct weft_brood brood = {0};
    struct item items[6] = {0};
    (void)state;
    assert_null(weft_brood_pop_newest(&brood));
    assert_null(weft_brood_pop_oldest(&brood));
    assert_null(weft_brood_steal(&brood));
    for (int round = 0; round < 10; round++) {
        for (uint64_t i = 0; i < 4; i++) {
            items[i].number = i;
            assert_true(weft_brood_push(&brood, &items[i].node));
        }
        assert_false(weft_brood_push(&brood, &items[4].node));
        assert_int_equal(weft_brood_length(&brood), 4);
        assert_int_equal(number(weft_brood_pop_newest(&brood)), 3);
        assert_int_equal(number(weft_brood_pop_oldest(&brood)), 0);
        assert_int_equal(number(weft_brood_steal(&brood)), 1);
        assert_int_equal(number(weft_brood_pop_newest(&brood)), 2);
        assert_int_equal(weft_brood_length(&brood), 0);
        assert_null(weft_brood_pop_newest(&brood));
        assert_null(weft_brood_steal(&brood));
    }
}

enum { ITEMS = 200000, THIEVES = 2 };

static struct {
    struct weft_brood brood;
    struct item items[ITEMS];
    _Atomic uint32_t done;
    _Atomic uint64_t stolen;
} shared;

static void take(struct weft_node *node) {
    struct item *item = (struct item *)(void *)node;
    WEFT_CHECK_OP(
        atomic_fetch_add_explicit(&item->taken, 1, memory_order_relaxed), ==,
        0U);
}

static void *thief(void *arg) {
    uint64_t last = 0;
    uint64_t count = 0;
    /* Acquire: pairs with the release in the test. */
    while (!atomic_load_explicit(&shared.done, memory_order_acquire)) {
        struct weft_node *node = weft_brood_steal(&shared.brood);
        if (node != NULL) {
            WEFT_CHECK_OP(number(node), >, last);
            last = number(node);
            take(node);
            count++;
        }
    }
    atomic_fetch_add_explicit(&shared.stolen, count, memory_order_relaxed);
    return arg;
}

static void nothing_is_lost_and_nothing_comes_twice(void **state) {
    pthread_t threads[THIEVES];
    uint32_t random = 1;
    uint64_t next = 0;
    uint64_t popped = 0;
    (void)state;
    for (int i = 0; i < THIEVES; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thief, NULL), 0);
    }
    while (next < ITEMS || weft_brood_length(&shared.brood) > 0) {
        struct weft_node *node = NULL;
        random = random * 1664525 + 1013904223;
        if (next < ITEMS && random >> 31 != 0) {
            /* Plain: whoever takes the node has to see it. */
            shared.items[next].number = next + 1;
            next += weft_brood_push(&shared.brood, &shared.items[next].node);
        } else if ((random >> 29 & 3) != 0) {
            node = weft_brood_pop_newest(&shared.brood);
        } else {
            node = weft_brood_pop_oldest(&shared.brood);
        }
        if (node != NULL) {
            take(node);
            popped++;
        }
    }
    /* Release: pairs with the acquire in thief(). */
    atomic_store_explicit(&shared.done, 1, memory_order_release);
    for (int i = 0; i < THIEVES; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(shared.items[i].taken, 1);
    }
    assert_int_equal(popped + shared.stolen, ITEMS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_takes_at_both_ends),
        cmocka_unit_test(nothing_is_lost_and_nothing_comes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
