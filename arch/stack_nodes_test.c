/* SPDX-License-Identifier: MIT */
/* A pool whose stacks are of several memory nodes: whose one gets, and what
 * happens when there is no memory for more. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/arch/stack.h"

#define SIZE ((size_t)64 * 1024)

enum { NODES = 3, MANY = 100 };

static struct weft_stack stacks[NODES][MANY];

/* A pool where nodes are told apart, or none, where the kernel's guards do not
 * allow for it. */
static struct weft_stack_pool *pool_of_nodes(void) {
    struct weft_stack_pool_config config = {.guard = WEFT_STACK_GUARD_MADVISE,
                                            .warm_bytes = 32 * SIZE,
                                            .nodes = NODES};
    struct weft_stack_pool *pool = NULL;
    int error = weft_stack_pool_new(&pool, &config);
    if (error == -ENOTSUP) {
        skip();
    }
    assert_int_equal(error, 0);
    return pool;
}

static void take_all(struct weft_stack_pool *pool, uint32_t node) {
    for (uint32_t got = 0; got < MANY;) {
        int n = weft_stack_take_near(pool, SIZE, node, stacks[node] + got,
                                     MANY - got);
        assert_true(n > 0);
        got += (uint32_t)n;
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(weft_stack_node(&stacks[node][i]), node);
    }
}

static uint64_t made(struct weft_stack_pool *pool) {
    struct weft_stack_pool_stats stats;
    weft_stack_pool_stats(pool, &stats);
    return stats.made;
}

static void stacks_come_back_to_their_node(void **state) {
    struct weft_stack_pool *pool = pool_of_nodes();
    uint64_t first = 0;
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (uint32_t node = 0; node < NODES; node++) {
            take_all(pool, node);
        }
        first = round == 0 ? made(pool) : first;
        assert_int_equal(made(pool), first); /* none anew */
        /* Mixed, so that warm and cold ones are of all nodes. */
        for (int i = 0; i < MANY; i++) {
            for (int node = 0; node < NODES; node++) {
                weft_stack_give(pool, &stacks[node][i]);
            }
        }
        assert_true(weft_stack_pool_valid(pool));
    }
    weft_stack_pool_free(pool);
}

static void nodes_are_counted_modulo_the_pools(void **state) {
    struct weft_stack_pool *pool = pool_of_nodes();
    struct weft_stack stack;
    (void)state;
    assert_int_equal(weft_stack_take_near(pool, SIZE, NODES + 1, &stack, 1), 1);
    assert_int_equal(weft_stack_node(&stack), 1);
    assert_int_equal(weft_stack_take_near(pool, SIZE, 0, &stack, 0), 0);
    weft_stack_pool_free(pool);
}

static void without_memory_anothers_will_do(void **state) {
    struct weft_stack_pool *pool = pool_of_nodes();
    struct weft_stack stack;
    (void)state;
    take_all(pool, 2);
    weft_stack_give_batch(pool, stacks[2], MANY);
    weft_stack_pool_fail_nth(pool, 1);
    assert_int_equal(weft_stack_take_near(pool, SIZE, 1, &stack, 1), 1);
    assert_int_equal(weft_stack_node(&stack), 2);
    weft_stack_give(pool, &stack);
    assert_int_equal(weft_stack_take_near(pool, SIZE, 1, &stack, 1), 1);
    assert_int_equal(weft_stack_node(&stack), 1);
    weft_stack_give(pool, &stack);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void what_is_promised_is_there_for_any_node(void **state) {
    struct weft_stack_pool *pool = pool_of_nodes();
    struct weft_stack_pool_stats stats;
    (void)state;
    assert_int_equal(weft_stack_reserve(pool, SIZE, MANY), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        /* The first call, if any is made for a slab, fails; then one for a
         * guard may, and it is tried again. */
        weft_stack_pool_fail_nth(pool, 1);
        int error;
        do {
            error = weft_stack_take_near(pool, SIZE, i, &stacks[0][i], 1);
        } while (error == -ENOMEM);
        assert_int_equal(error, 1);
    }
    weft_stack_pool_fail_nth(pool, 0);
    weft_stack_pool_stats(pool, &stats);
    assert_true(stats.made >= MANY);
    weft_stack_give_batch(pool, stacks[0], MANY);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void few_guards_are_shared_by_all_nodes(void **state) {
    struct weft_stack_pool_config config = {
        .guard = WEFT_STACK_GUARD_MPROTECT, .max_guards = 8, .nodes = NODES};
    struct weft_stack_pool *pool;
    struct weft_stack stack;
    (void)state;
    assert_int_equal(weft_stack_pool_new(&pool, &config), 0);
    for (uint32_t i = 0; i < 3 * 8; i++) {
        assert_int_equal(weft_stack_take_near(pool, SIZE, i, &stack, 1), 1);
        assert_int_equal(weft_stack_node(&stack), 0);
        weft_stack_give(pool, &stack);
    }
    assert_int_equal(made(pool), 1);
    weft_stack_pool_free(pool);
}

static void too_many_nodes_are_refused(void **state) {
    struct weft_stack_pool_config config = {.nodes = WEFT_STACK_NODES + 1};
    struct weft_stack_pool *pool;
    (void)state;
    assert_int_equal(weft_stack_pool_new(&pool, &config), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_come_back_to_their_node),
        cmocka_unit_test(nodes_are_counted_modulo_the_pools),
        cmocka_unit_test(without_memory_anothers_will_do),
        cmocka_unit_test(what_is_promised_is_there_for_any_node),
        cmocka_unit_test(few_guards_are_shared_by_all_nodes),
        cmocka_unit_test(too_many_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
