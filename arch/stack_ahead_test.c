/* SPDX-License-Identifier: MIT */
/* Stacks that are promised, and those that are prepared before anybody asks for
 * them: they are as good as others, few, and never what somebody was promised.
 * Where the kernel cannot do
 * several at one go there are none, and all of this holds. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/arch/stack.h"
#include "weft/base/compiler.h"

#define SIZE ((size_t)64 * 1024)

enum { FEW = 40, MANY = WEFT_ASAN || WEFT_TSAN ? 500 : 2000, BATCH = 8 };

static struct weft_stack stacks[MANY];

static struct weft_stack_pool *make(struct weft_stack_pool_config config) {
    struct weft_stack_pool *pool;
    assert_int_equal(weft_stack_pool_new(&pool, &config), 0);
    return pool;
}

static struct weft_stack_pool_stats stats_of(struct weft_stack_pool *pool) {
    struct weft_stack_pool_stats stats;
    weft_stack_pool_stats(pool, &stats);
    return stats;
}

/* Takes stacks until there are `n`; how many at most were ahead. */
static uint64_t take(struct weft_stack_pool *pool, uint32_t n) {
    uint64_t most = 0;
    for (uint32_t got = 0; got < n;) {
        uint32_t more = n - got < BATCH ? n - got : BATCH;
        int some = weft_stack_take_batch(pool, SIZE, stacks + got, more);
        assert_true(some > 0);
        got += (uint32_t)some;
        uint64_t ahead = stats_of(pool).made - got;
        most = ahead > most ? ahead : most;
    }
    return most;
}

/* Can the kernel read a byte there? */
static bool readable(const char *address) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool ok = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static void all_of_many_stacks_are_guarded_and_zeroes(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    (void)state;
    (void)take(pool, MANY);
    for (int i = 0; i < MANY; i++) {
        char *end = stacks[i].low + stacks[i].size;
        assert_false(readable(stacks[i].low - 1));
        assert_false(readable(stacks[i].low - WEFT_STACK_GUARD));
        assert_true(readable(stacks[i].low));
        for (int at = 1; at <= WEFT_STACK_TOP_KEEP; at++) {
            assert_int_equal(end[-at], 0);
            end[-at] = (char)i;
        }
    }
    for (int i = 0; i < MANY; i++) { /* each has bytes of its own */
        assert_int_equal(stacks[i].low[stacks[i].size - 1], (char)i);
    }
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_give_batch(pool, stacks, MANY);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void among_few_stacks_none_is_made_ahead(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    (void)state;
    assert_int_equal(take(pool, FEW), 0);
    weft_stack_pool_free(pool);
}

static void no_more_than_an_eighth_is_made_ahead(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    (void)state;
    assert_in_range(take(pool, 2 * FEW), 0, 2 * FEW / 8 + 1);
    weft_stack_give_batch(pool, stacks, 2 * FEW);
    weft_stack_pool_free(pool);
}

/* Many stacks lie in few large slabs, if there is so much room in one place. */
static void promises_are_kept_in_smaller_slabs_where_room_is_scarce(
    void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    (void)state;
    assert_int_equal(weft_stack_reserve(pool, SIZE, 5000), 0);
    uint64_t before = stats_of(pool).mapped;
    weft_stack_pool_fail_nth(pool, 1);
    assert_int_equal(weft_stack_reserve(pool, SIZE, 3500), 0);
    uint64_t after = stats_of(pool).mapped;
    assert_true(after > before && after < 2 * before);
    assert_int_equal(weft_stack_reserve(pool, SIZE, 5000), 0);
    assert_true(stats_of(pool).mapped >= 13500 * SIZE);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

/* Nothing is free then but what was promised. */
static void what_was_promised_is_not_made_ahead(void **state) {
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.slab_bytes = 1 << 20});
    uint32_t promised = 0;
    (void)state;
    while (promised < MANY - BATCH || stats_of(pool).mapped == 0) {
        assert_int_equal(weft_stack_reserve(pool, SIZE, 1), 0);
        promised++;
    }
    uint64_t mapped = stats_of(pool).mapped;
    while (stats_of(pool).mapped == mapped) {
        assert_int_equal(weft_stack_reserve(pool, SIZE, 1), 0);
        promised++;
    }
    weft_stack_unreserve(pool, SIZE, 1);
    promised--;
    mapped = stats_of(pool).mapped;
    /* A slab more was mapped for the last one: so many may be ahead. */
    (void)take(pool, promised < MANY ? promised : MANY);
    assert_int_equal(stats_of(pool).mapped, mapped);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

struct taker {
    struct weft_stack_pool *pool;
    atomic_int *failed;
    struct weft_stack own[MANY / 4];
};

static void *take_and_give(void *arg) {
    struct taker *t = arg;
    enum { OWN = MANY / 4 };
    uint32_t got = 0;
    while (got < OWN) {
        uint32_t more = OWN - got < BATCH ? OWN - got : BATCH;
        int some = weft_stack_take_batch(t->pool, SIZE, t->own + got, more);
        if (some <= 0) {
            atomic_fetch_add_explicit(t->failed, 1, memory_order_relaxed);
            break;
        }
        got += (uint32_t)some;
    }
    weft_stack_give_batch(t->pool, t->own, got);
    return NULL;
}

/* Address space is used up: what one thread prepares another may want. */
static void promises_hold_while_others_prepare(void **state) {
    static struct taker takers[4];
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
        pthread_t threads[4];
        atomic_int failed = 0;
        assert_int_equal(weft_stack_reserve(pool, SIZE, MANY), 0);
        uint64_t mapped = stats_of(pool).mapped;
        for (int i = 0; i < 4; i++) {
            takers[i] = (struct taker){.pool = pool, .failed = &failed};
            assert_int_equal(
                pthread_create(&threads[i], NULL, take_and_give, &takers[i]),
                0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_int_equal(failed, 0);
        assert_int_equal(stats_of(pool).mapped, mapped); /* none in need */
        assert_true(weft_stack_pool_valid(pool));
        weft_stack_pool_free(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_many_stacks_are_guarded_and_zeroes),
        cmocka_unit_test(among_few_stacks_none_is_made_ahead),
        cmocka_unit_test(no_more_than_an_eighth_is_made_ahead),
        cmocka_unit_test(
            promises_are_kept_in_smaller_slabs_where_room_is_scarce),
        cmocka_unit_test(what_was_promised_is_not_made_ahead),
        cmocka_unit_test(promises_hold_while_others_prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
