/* SPDX-License-Identifier: MIT */
/* Stacks: sizes, guards, what survives, what is used again, what fails. */
#include "weft/arch/stack.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/compiler.h"

enum { KIB = 1024, CLASS = 256 * KIB };

static struct weft_stack_pool *make(struct weft_stack_pool_config config) {
    struct weft_stack_pool *pool;
    assert_int_equal(weft_stack_pool_new(&pool, &config), 0);
    return pool;
}

static struct weft_stack take(struct weft_stack_pool *pool, size_t size) {
    struct weft_stack stack;
    assert_int_equal(weft_stack_take(pool, size, &stack), 0);
    return stack;
}

static char *end_of(const struct weft_stack *stack) {
    return stack->low + stack->size;
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

static void sizes_are_rounded_up_to_powers_of_two(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    const struct {
        size_t asked, class;
    } table[] = {
        {0, weft_stack_default_size()},   {1, weft_stack_min_size()},
        {200 * KIB, 256 * KIB},           {256 * KIB, 256 * KIB},
        {256 * KIB + 1, 512 * KIB},       {1024 * KIB, 1024 * KIB},
        {5 * 1024 * KIB, 8 * 1024 * KIB}, {512 << 20, 512 << 20},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct weft_stack stack = take(pool, table[i].asked);
        assert_int_equal(stack.size + stack.colour, table[i].class);
        assert_int_equal((uintptr_t)stack.low % 4096, 0);
        assert_int_equal((uintptr_t)end_of(&stack) % 64, 0);
        stack.low[0] = end_of(&stack)[-1] = 1;
        weft_stack_give(pool, &stack);
    }
    struct weft_stack stack;
    assert_int_equal(weft_stack_take(pool, ((size_t)1 << 30) + 1, &stack),
                     -EINVAL);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void the_smallest_stack_has_room_for_two_signal_frames(void **state) {
    assert_true(weft_stack_min_size() >= 16 * KIB);
    assert_int_equal(weft_stack_min_size() & (weft_stack_min_size() - 1), 0);
    assert_true(weft_stack_default_size() >= weft_stack_min_size());
}

static void configurations_out_of_range_are_refused(void **state) {
    struct weft_stack_pool *pool;
    struct weft_stack_pool_config colours = {.colours = 17};
    struct weft_stack_pool_config guard = {.guard = 3};
    assert_int_equal(weft_stack_pool_new(&pool, &colours), -EINVAL);
    assert_int_equal(weft_stack_pool_new(&pool, &guard), -EINVAL);
    assert_int_equal(weft_stack_pool_new(&pool, NULL), 0);
    weft_stack_pool_free(pool);
    weft_stack_pool_free(NULL);
}

static void check_guards(enum weft_stack_guard guard) {
    struct weft_stack_pool *pool;
    struct weft_stack_pool_config config = {.guard = guard};
    int error = weft_stack_pool_new(&pool, &config);
    if (error == -ENOTSUP) {
        skip();
    }
    assert_int_equal(error, 0);
    for (int i = 0; i < 20; i++) { /* more than the first slab holds */
        struct weft_stack stack = take(pool, 64 * KIB);
        memset(stack.low, 1, stack.size);
        assert_false(readable(stack.low - 1));
        assert_false(readable(stack.low - WEFT_STACK_GUARD));
        assert_true(readable(stack.low));
        assert_true(readable(end_of(&stack) - 1));
    }
    weft_stack_pool_free(pool);
}

static void a_guard_lies_below_each_stack(void **state) {
    check_guards(WEFT_STACK_GUARD_AUTO);
}

static void a_guard_by_madvise_is_one(void **state) {
    check_guards(WEFT_STACK_GUARD_MADVISE);
}

static void a_guard_by_mprotect_is_one(void **state) {
    check_guards(WEFT_STACK_GUARD_MPROTECT);
}

static void the_tops_have_different_colours(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    struct weft_stack stacks[1000];
    uint32_t seen[WEFT_STACK_COLOURS] = {0};
    for (int i = 0; i < 1000; i++) {
        stacks[i] = take(pool, 0);
        assert_true(stacks[i].colour + WEFT_STACK_TOP_KEEP <= 4096);
        seen[stacks[i].colour / 64]++;
    }
    for (int i = 0; i < WEFT_STACK_COLOURS; i++) {
        assert_in_range(seen[i], 1000 / WEFT_STACK_COLOURS / 2,
                        1000 / WEFT_STACK_COLOURS * 2);
    }
    weft_stack_give_batch(pool, stacks, 1000);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void the_stack_given_last_is_taken_first(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    struct weft_stack a = take(pool, 0), b = take(pool, 0);
    weft_stack_give(pool, &a);
    weft_stack_give(pool, &b);
    assert_ptr_equal(take(pool, 0).low, b.low);
    assert_ptr_equal(take(pool, 0).low, a.low);
    weft_stack_pool_free(pool);
}

static void trimming_spares_the_top_page(void **state) {
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.warm_bytes = CLASS});
    struct weft_stack stacks[3];
    struct weft_stack_pool_stats stats;
    for (int i = 0; i < 3; i++) {
        stacks[i] = take(pool, CLASS);
        memset(stacks[i].low, 7, stacks[i].size);
    }
    weft_stack_give_batch(pool, stacks, 3);
    for (int i = 0; i < 3; i++) {
        char *top = end_of(&stacks[i]);
        for (int byte = 1; byte <= WEFT_STACK_TOP_KEEP; byte++) {
            assert_int_equal(top[-byte], 7);
        }
        assert_int_equal(stacks[i].low[0], i == 0 ? 7 : 0);
        assert_int_equal(stacks[i].low[CLASS - 4096 * 17], i == 0 ? 7 : 0);
    }
    weft_stack_pool_stats(pool, &stats);
    assert_int_equal(stats.free_warm, 1);
    assert_int_equal(stats.free_cold, 2);
    assert_int_equal(stats.trims, 2);
    assert_ptr_equal(take(pool, CLASS).low, stacks[0].low); /* warm first */
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void a_stack_that_has_only_its_top_page_is_not_trimmed(void **state) {
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.warm_bytes = CLASS});
    struct weft_stack stacks[3];
    struct weft_stack_pool_stats stats;
    for (int i = 0; i < 3; i++) {
        stacks[i] = take(pool, CLASS);
        memset(end_of(&stacks[i]) - 64, 7, 64);
    }
    stacks[1].low[0] = 7;
    weft_stack_give_batch(pool, stacks, 3);
    assert_int_equal(stacks[1].low[0], 0);
    weft_stack_pool_stats(pool, &stats);
    assert_int_equal(stats.free_warm, 1);
    assert_int_equal(stats.free_cold, 2);
    assert_in_range(stats.trims, 1, 2); /* 2 where nobody can tell */
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void after_many_shallow_ones_deep_stacks_are_still_trimmed(
    void **state) {
    enum { SHALLOW = 300, DEEP = 100 };
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.warm_bytes = CLASS});
    static struct weft_stack stacks[SHALLOW + DEEP];
    struct weft_stack_pool_stats stats;
    for (int i = 0; i < SHALLOW + DEEP; i++) {
        stacks[i] = take(pool, CLASS);
    }
    for (int i = 0; i < SHALLOW + DEEP; i++) {
        if (i >= SHALLOW) {
            stacks[i].low[0] = 7;
        }
        weft_stack_give(pool, &stacks[i]);
    }
    weft_stack_pool_stats(pool, &stats);
    assert_true(stats.trims >= DEEP - 16); /* one in 16 is asked at first */
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void batches_mix_sizes_and_lose_none(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    struct weft_stack stacks[96];
    struct weft_stack_pool_stats stats;
    uint32_t got = 0;
    assert_int_equal(weft_stack_take_batch(pool, 0, stacks, 0), 0);
    for (size_t size = CLASS; got < 96;
         size = size == CLASS ? 2 * CLASS : CLASS) {
        int n = weft_stack_take_batch(pool, size, stacks + got,
                                      96 - got < 8 ? 96 - got : 8);
        assert_in_range(n, 1, 8);
        got += (uint32_t)n;
    }
    for (int i = 0; i < 96; i++) {
        for (int j = 0; j < i; j++) {
            assert_ptr_not_equal(stacks[i].low, stacks[j].low);
        }
    }
    weft_stack_give_batch(pool, stacks, 96);
    weft_stack_pool_stats(pool, &stats);
    assert_int_equal(stats.made, 96);
    assert_int_equal(stats.free_warm + stats.free_cold, 96);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void an_address_finds_its_stack(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    struct weft_stack stacks[30], found;
    bool in_guard;
    for (int i = 0; i < 30; i++) {
        stacks[i] = take(pool, i % 2 ? 64 * KIB : 512 * KIB);
    }
    for (int i = 0; i < 30; i++) {
        const char *low = stacks[i].low;
        assert_true(weft_stack_pool_find(pool, low, &found, &in_guard));
        assert_ptr_equal(found.low, low);
        assert_int_equal(found.size, stacks[i].size);
        assert_false(in_guard);
        assert_true(weft_stack_pool_find(pool, end_of(&stacks[i]) - 1, &found,
                                         &in_guard));
        assert_ptr_equal(found.low, low);
        assert_true(weft_stack_pool_find(pool, low - 1, &found, &in_guard));
        assert_ptr_equal(found.low, low);
        assert_true(in_guard);
        assert_true(weft_stack_pool_find(pool, low - WEFT_STACK_GUARD, &found,
                                         &in_guard));
        assert_ptr_equal(found.low, low);
        assert_true(in_guard);
    }
    assert_false(weft_stack_pool_find(pool, pool, &found, &in_guard));
    assert_false(weft_stack_pool_find(pool, NULL, &found, &in_guard));
    assert_false(weft_stack_pool_find(pool, (void *)-1, &found, &in_guard));
    weft_stack_pool_free(pool);
}

static void what_is_reserved_can_be_taken_and_no_more_is(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){
        .guard = WEFT_STACK_GUARD_MPROTECT, .max_guards = 10});
    struct weft_stack stacks[10];
    (void)take(pool, 512 * KIB); /* another size: one guard is gone */
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 10), -ENOMEM);
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 9), 0);
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 1), -ENOMEM);
    for (int i = 0; i < 9; i++) {
        stacks[i] = take(pool, 64 * KIB);
    }
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 1), -ENOMEM);
    weft_stack_give_batch(pool, stacks, 4);
    weft_stack_unreserve(pool, 64 * KIB, 4);
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 5), -ENOMEM);
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 4), 0);
    for (int i = 0; i < 4; i++) {
        stacks[i] = take(pool, 64 * KIB);
    }
    assert_int_equal(weft_stack_reserve(pool, SIZE_MAX / 2, 1), -EINVAL);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void a_reservation_needs_room_and_no_memory(void **state) {
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.slab_bytes = 64 << 20});
    struct weft_stack_pool_stats stats;
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 5000), 0);
    weft_stack_pool_stats(pool, &stats);
    assert_true(stats.mapped >= 5000 * 64ULL * KIB);
    assert_int_equal(stats.made, 0);
    weft_stack_pool_fail_nth(pool, 1);
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 5000), -ENOMEM);
    weft_stack_pool_fail_nth(pool, 1);
    assert_int_equal(weft_stack_reserve(pool, 512 * KIB, 1), -ENOMEM);
    weft_stack_unreserve(pool, 64 * KIB, 5000);
    assert_int_equal(weft_stack_reserve(pool, 64 * KIB, 5000), 0);
    weft_stack_pool_free(pool);
}

static void count_stack(void *arg, const struct weft_stack *stack) {
    uint32_t *seen = arg;
    seen[*(const uint32_t *)stack->low]++;
}

static void each_visits_every_stack_ever_made(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
    struct weft_stack stacks[50];
    uint32_t seen[50] = {0};
    for (uint32_t i = 0; i < 50; i++) {
        stacks[i] = take(pool, i % 2 ? 64 * KIB : 512 * KIB);
        *(uint32_t *)stacks[i].low = i;
    }
    weft_stack_give_batch(pool, stacks, 25);
    weft_stack_pool_each(pool, count_stack, seen);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(seen[i], 1);
    }
    weft_stack_pool_free(pool);
}

static void every_failing_system_call_is_an_answer(void **state) {
    bool all_passed = false;
    for (uint32_t nth = 1; !all_passed; nth++) {
        struct weft_stack_pool_config config = {.fail_nth = nth};
        struct weft_stack_pool *pool;
        struct weft_stack stacks[40];
        int taken = 0, failures = 0;
        int error = weft_stack_pool_new(&pool, &config);
        if (error < 0) {
            assert_int_equal(error, -ENOMEM);
            continue;
        }
        for (int i = 0; i < 40; i++) {
            error = weft_stack_take(pool, 64 * KIB, &stacks[taken]);
            if (error == 0) {
                assert_false(readable(stacks[taken].low - 1));
                taken++;
            } else {
                assert_int_equal(error, -ENOMEM);
                failures++;
            }
            assert_true(weft_stack_pool_valid(pool));
        }
        assert_in_range(failures, 0, 1);
        all_passed = failures == 0;
        assert_true(nth < 100);
        weft_stack_give_batch(pool, stacks, (uint32_t)taken);
        weft_stack_pool_fail_nth(pool, 1); /* none is needed for these */
        for (int i = 0; i < taken; i++) {
            stacks[i] = take(pool, 64 * KIB);
        }
        assert_true(weft_stack_pool_valid(pool));
        weft_stack_pool_free(pool);
    }
}

static void a_batch_goes_without_the_stack_whose_guard_failed(void **state) {
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.slab_bytes = 64 << 20});
    struct weft_stack stacks[4];
    struct weft_stack_pool_stats stats;
    weft_stack_pool_fail_nth(pool, 3); /* the slab, a guard, this one */
    assert_int_equal(weft_stack_take_batch(pool, 64 * KIB, stacks, 3), 1);
    weft_stack_pool_stats(pool, &stats);
    assert_int_equal(stats.free_cold, 2);
    assert_int_equal(weft_stack_take_batch(pool, 64 * KIB, stacks + 1, 3), 3);
    for (int i = 0; i < 4; i++) {
        assert_false(readable(stacks[i].low - 1));
    }
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void stacks_end_with_the_guards_that_mprotect_may_make(void **state) {
    struct weft_stack_pool *pool = make((struct weft_stack_pool_config){
        .guard = WEFT_STACK_GUARD_MPROTECT, .max_guards = 5});
    struct weft_stack stacks[5], more;
    for (int i = 0; i < 5; i++) {
        stacks[i] = take(pool, 0);
    }
    assert_int_equal(weft_stack_take(pool, 0, &more), -ENOMEM);
    assert_int_equal(weft_stack_take(pool, CLASS * 4, &more), -ENOMEM);
    weft_stack_give(pool, &stacks[2]);
    assert_ptr_equal(take(pool, 0).low, stacks[2].low);
    assert_int_equal(weft_stack_take(pool, 0, &more), -ENOMEM);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

static void a_stack_given_twice_stops_the_process(void **state) {
    pid_t child = fork();
    if (child == 0) {
        struct weft_stack_pool *pool = make((struct weft_stack_pool_config){0});
        struct weft_stack stack = take(pool, 0);
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        weft_stack_give(pool, &stack);
        weft_stack_give(pool, &stack);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_not_equal(status, 0);
}

enum { THREADS = 4, HELD = 24, AHEAD = 24, ROUNDS = 300 };

/* Marks what it holds and looks for marks of others. */
static void *churn(void *arg) {
    struct weft_stack_pool *pool = arg;
    struct weft_stack held[HELD];
    uint32_t count = 0, seed = (uint32_t)(uintptr_t)&seed | 1;
    uintptr_t wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t n = seed >> 28;
        if (count + n <= HELD) {
            int got = weft_stack_take_batch(pool, 64 * KIB, held + count, n);
            for (uint32_t i = 0; (int)i < got; i++, count++) {
                *(uintptr_t *)held[count].low = (uintptr_t)&seed;
                ((uintptr_t *)end_of(&held[count]))[-1] = (uintptr_t)&seed;
            }
        } else {
            uint32_t give = n < count ? n : count;
            for (uint32_t i = count - give; i < count; i++) {
                wrong += *(uintptr_t *)held[i].low != (uintptr_t)&seed;
                wrong +=
                    ((uintptr_t *)end_of(&held[i]))[-1] != (uintptr_t)&seed;
            }
            count -= give;
            weft_stack_give_batch(pool, held + count, give);
        }
    }
    weft_stack_give_batch(pool, held, count);
    return (void *)wrong;
}

static void threads_never_hold_the_same_stack(void **state) {
    struct weft_stack_pool *pool =
        make((struct weft_stack_pool_config){.warm_bytes = THREADS * CLASS});
    struct weft_stack_pool_stats stats;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, pool), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_int_equal((uintptr_t)wrong, 0);
    }
    weft_stack_pool_stats(pool, &stats);
    /* Each of them may have had some prepared ahead. */
    assert_in_range(stats.made, 1, THREADS * (HELD + AHEAD));
    assert_int_equal(stats.free_warm + stats.free_cold, stats.made);
    assert_true(weft_stack_pool_valid(pool));
    weft_stack_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_up_to_powers_of_two),
        cmocka_unit_test(the_smallest_stack_has_room_for_two_signal_frames),
        cmocka_unit_test(configurations_out_of_range_are_refused),
        cmocka_unit_test(a_guard_lies_below_each_stack),
        cmocka_unit_test(a_guard_by_madvise_is_one),
        cmocka_unit_test(a_guard_by_mprotect_is_one),
        cmocka_unit_test(the_tops_have_different_colours),
        cmocka_unit_test(the_stack_given_last_is_taken_first),
        cmocka_unit_test(trimming_spares_the_top_page),
        cmocka_unit_test(a_stack_that_has_only_its_top_page_is_not_trimmed),
        cmocka_unit_test(after_many_shallow_ones_deep_stacks_are_still_trimmed),
        cmocka_unit_test(batches_mix_sizes_and_lose_none),
        cmocka_unit_test(an_address_finds_its_stack),
        cmocka_unit_test(what_is_reserved_can_be_taken_and_no_more_is),
        cmocka_unit_test(a_reservation_needs_room_and_no_memory),
        cmocka_unit_test(each_visits_every_stack_ever_made),
        cmocka_unit_test(every_failing_system_call_is_an_answer),
        cmocka_unit_test(a_batch_goes_without_the_stack_whose_guard_failed),
        cmocka_unit_test(stacks_end_with_the_guards_that_mprotect_may_make),
        cmocka_unit_test(a_stack_given_twice_stops_the_process),
        cmocka_unit_test(threads_never_hold_the_same_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
