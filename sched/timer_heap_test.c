/* SPDX-License-Identifier: MIT */
/* The heap against a model (an array that is searched), its memory at the
 * edges, and a million timers. One thread: the caller holds a lock anyway. */
#include "weft/sched/timer_heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void an_empty_heap_waits_for_ever(void **state) {
    (void)state;
    struct weft_timer_heap h;
    struct weft_timer_node node = {0};
    weft_timer_heap_init(&h);
    assert_true(weft_timer_heap_next(&h) == WEFT_FOREVER);
    assert_null(weft_timer_heap_pop(&h, WEFT_FOREVER));
    assert_false(weft_timer_heap_remove(&h, &node));
    assert_true(weft_timer_heap_valid(&h));
    weft_timer_heap_fini(&h);
}

static void a_timer_expires_at_its_time_and_not_before(void **state) {
    (void)state;
    struct weft_timer_heap h;
    struct weft_timer_node node = {0};
    weft_timer_heap_init(&h);
    assert_int_equal(weft_timer_heap_insert(&h, &node, 100), 0);
    assert_true(weft_timer_heap_next(&h) == 100);
    assert_null(weft_timer_heap_pop(&h, 99));
    assert_ptr_equal(weft_timer_heap_pop(&h, 100), &node);
    assert_false(weft_timer_is_armed(&node));
    assert_false(weft_timer_heap_remove(&h, &node));
    assert_true(weft_timer_heap_next(&h) == WEFT_FOREVER);
    weft_timer_heap_fini(&h);
}

static void removing_the_earliest_moves_next(void **state) {
    (void)state;
    struct weft_timer_heap h;
    struct weft_timer_node nodes[3] = {{0}};
    weft_timer_heap_init(&h);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            weft_timer_heap_insert(&h, &nodes[i], 10 * (uint64_t)(i + 1)), 0);
    }
    assert_true(weft_timer_heap_remove(&h, &nodes[0]));
    assert_true(weft_timer_heap_next(&h) == 20);
    assert_true(weft_timer_heap_remove(&h, &nodes[2]));
    assert_true(weft_timer_heap_next(&h) == 20);
    assert_true(weft_timer_heap_remove(&h, &nodes[1]));
    assert_true(weft_timer_heap_next(&h) == WEFT_FOREVER);
    weft_timer_heap_fini(&h);
}

#define MODEL_NODES 700

/* What the heap should hold, in an array that is searched from end to end. */
static struct weft_timer_node model_nodes[MODEL_NODES];
static bool model_in[MODEL_NODES];
static uint64_t model_when[MODEL_NODES];

static uint64_t model_next(void) {
    uint64_t best = WEFT_FOREVER;
    for (int i = 0; i < MODEL_NODES; i++) {
        if (model_in[i] && model_when[i] < best) {
            best = model_when[i];
        }
    }
    return best;
}

static void agree_with_a_model(uint32_t near) {
    struct weft_timer_heap h;
    uint64_t seed = 0x9e3779b97f4a7c15;
    weft_timer_heap_init_near(&h, near);
    for (int step = 0; step < 20000; step++) {
        /* In waves: mostly inserts, then mostly removals, across the edge of
         * the first block. */
        bool filling = (step / 1000) % 2 == 0;
        int i = (int)(random_next(&seed) % MODEL_NODES);
        unsigned dice = (unsigned)(random_next(&seed) % 8);
        if (dice < (filling ? 6u : 2u)) {
            if (!model_in[i]) {
                /* Few different times, so that equal ones are common. */
                model_when[i] = random_next(&seed) % 200;
                model_in[i] = true;
                assert_int_equal(
                    weft_timer_heap_insert(&h, &model_nodes[i], model_when[i]),
                    0);
            }
        } else if (dice < 7) {
            assert_int_equal(weft_timer_heap_remove(&h, &model_nodes[i]),
                             model_in[i]);
            model_in[i] = false;
        } else {
            uint64_t now = random_next(&seed) % 200;
            uint64_t next = model_next();
            struct weft_timer_node *node = weft_timer_heap_pop(&h, now);
            assert_int_equal(node != NULL, next <= now);
            if (node != NULL) {
                assert_true(model_in[node - model_nodes]);
                assert_true(model_when[node - model_nodes] == next);
                model_in[node - model_nodes] = false;
            }
        }
        assert_true(weft_timer_heap_next(&h) == model_next());
        if (step % 16 == 0) {
            assert_true(weft_timer_heap_valid(&h));
        }
    }
    struct weft_timer_node *node;
    while ((node = weft_timer_heap_pop(&h, WEFT_FOREVER)) != NULL) {
        model_in[node - model_nodes] = false;
        assert_true(weft_timer_heap_next(&h) == model_next());
    }
    weft_timer_heap_fini(&h);
}

static void random_operations_agree_with_a_model(void **state) {
    (void)state;
    agree_with_a_model(100000);
}

static void bags_agree_with_a_model(void **state) {
    (void)state;
    agree_with_a_model(2);
    agree_with_a_model(7);
    agree_with_a_model(100);
}

/* All at one time, or at the last there is, in rising and in falling order: no
 * tier shall be looked through for each of them. */
static void bags_stand_any_order(void **state) {
    (void)state;
    enum { MANY = 50000 };
    struct weft_timer_heap h;
    struct weft_timer_node *nodes = calloc(MANY, sizeof(*nodes));
    assert_non_null(nodes);
    weft_timer_heap_init_near(&h, 16);
    for (int order = 0; order < 4; order++) {
        for (uint32_t i = 0; i < MANY; i++) {
            uint64_t when = order == 0   ? 5
                            : order == 1 ? i
                            : order == 2 ? MANY - i
                                         : WEFT_FOREVER;
            assert_int_equal(weft_timer_heap_insert(&h, &nodes[i], when), 0);
        }
        assert_true(weft_timer_heap_valid(&h));
        uint64_t last = 0;
        for (uint32_t i = 0; i < MANY; i++) {
            struct weft_timer_node *node =
                weft_timer_heap_pop(&h, WEFT_FOREVER);
            assert_true(node != NULL && node->when >= last);
            last = node->when;
            if (i % 5000 == 0) {
                assert_true(weft_timer_heap_valid(&h));
            }
        }
        assert_int_equal(weft_timer_heap_count(&h), 0);
    }
    weft_timer_heap_fini(&h);
    free(nodes);
}

static void *no_memory(size_t size) {
    (void)size;
    return NULL;
}

static void growth_that_fails_loses_nothing(void **state) {
    (void)state;
    struct weft_timer_heap h;
    static struct weft_timer_node nodes[2048];
    uint32_t full = 0;
    weft_timer_heap_init(&h);
    void *(*map)(size_t) = h.map;

    h.map = no_memory;
    assert_int_equal(weft_timer_heap_insert(&h, &nodes[0], 1), -ENOMEM);
    assert_false(weft_timer_is_armed(&nodes[0]));
    assert_true(weft_timer_heap_valid(&h));

    h.map = map;
    assert_int_equal(weft_timer_heap_insert(&h, &nodes[full++], 5000), 0);
    h.map = no_memory;
    while (weft_timer_heap_insert(&h, &nodes[full], 5000 - full) == 0) {
        full++;
    }
    assert_true(full > 200 && full < 300);
    assert_false(weft_timer_is_armed(&nodes[full]));
    assert_int_equal(weft_timer_heap_count(&h), full);
    assert_true(weft_timer_heap_valid(&h));
    assert_true(weft_timer_heap_next(&h) == 5000 - full + 1);

    h.map = map;
    assert_int_equal(weft_timer_heap_insert(&h, &nodes[full], 1), 0);
    assert_true(weft_timer_heap_next(&h) == 1);
    for (uint32_t i = 0; i <= full; i++) {
        assert_non_null(weft_timer_heap_pop(&h, 5000));
    }
    assert_null(weft_timer_heap_pop(&h, WEFT_FOREVER));
    weft_timer_heap_fini(&h);
}

static void bags_without_memory_lose_nothing(void **state) {
    (void)state;
    enum { MANY = 3000, NEAR = 100 };
    static struct weft_timer_node nodes[MANY];
    struct weft_timer_heap h;
    uint32_t in = 0;
    weft_timer_heap_init_near(&h, NEAR);
    void *(*map)(size_t) = h.map;
    /* All but the first few at one time: what comes back into the heap together
     * is more than it has room for. */
    for (; in < MANY; in++) {
        uint64_t when = in < NEAR ? in : 1000;
        assert_int_equal(weft_timer_heap_insert(&h, &nodes[in], when), 0);
    }
    h.map = no_memory;
    uint64_t last = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        struct weft_timer_node *node = weft_timer_heap_pop(&h, WEFT_FOREVER);
        assert_true(node != NULL && node->when >= last);
        last = node->when;
        if (i % 100 == 0) {
            assert_true(weft_timer_heap_valid(&h));
        }
    }
    assert_true(weft_timer_heap_next(&h) == WEFT_FOREVER);
    /* And a bag that cannot be made: the heap goes on alone. */
    weft_timer_heap_fini(&h);
    weft_timer_heap_init_near(&h, NEAR);
    h.map = map;
    assert_int_equal(weft_timer_heap_insert(&h, &nodes[0], 0), 0);
    h.map = no_memory;
    for (in = 1; in < 2 * NEAR; in++) {
        assert_int_equal(weft_timer_heap_insert(&h, &nodes[in], in), 0);
        assert_true(weft_timer_heap_valid(&h));
    }
    while (weft_timer_heap_pop(&h, WEFT_FOREVER) != NULL) {
        in--;
    }
    assert_int_equal(in, 0);
    weft_timer_heap_fini(&h);
}

static void a_million_timers_come_out_in_order(void **state) {
    (void)state;
    const uint32_t million = 1000000;
    struct weft_timer_heap h;
    struct weft_timer_node *nodes = calloc(million, sizeof(*nodes));
    uint64_t seed = 88172645463325252;
    assert_non_null(nodes);
    weft_timer_heap_init(&h);
    for (uint32_t i = 0; i < million; i++) {
        assert_int_equal(
            weft_timer_heap_insert(&h, &nodes[i], random_next(&seed) >> 20), 0);
    }
    assert_true(weft_timer_heap_valid(&h));
    for (uint32_t i = 0; i < million; i += 10) {
        assert_true(weft_timer_heap_remove(&h, &nodes[i]));
    }
    assert_true(weft_timer_heap_valid(&h));
    uint64_t last = 0;
    for (uint32_t i = 0; i < million / 10 * 9; i++) {
        struct weft_timer_node *node = weft_timer_heap_pop(&h, WEFT_FOREVER);
        if (node == NULL || node->when < last) {
            fail_msg("timer %u of the heap is out of order", i);
        }
        last = node->when;
    }
    assert_int_equal(weft_timer_heap_count(&h), 0);
    weft_timer_heap_fini(&h);
    free(nodes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_waits_for_ever),
        cmocka_unit_test(a_timer_expires_at_its_time_and_not_before),
        cmocka_unit_test(removing_the_earliest_moves_next),
        cmocka_unit_test(random_operations_agree_with_a_model),
        cmocka_unit_test(bags_agree_with_a_model),
        cmocka_unit_test(bags_stand_any_order),
        cmocka_unit_test(bags_without_memory_lose_nothing),
        cmocka_unit_test(growth_that_fails_loses_nothing),
        cmocka_unit_test(a_million_timers_come_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
