/* SPDX-License-Identifier: MIT */
/* When a task has a record and when a stack, what happens when one of them is
 * not to be had, and which of those that have not begun is next. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/sched/core.h"
#include "weft/sched/park.h"

enum { MANY = 5000 };

static struct weft_task *tasks[MANY];

static void run_on(unsigned workers, void (*fn)(void *), void *arg) {
    struct weft_config config = {.workers = workers};
    assert_int_equal(weft_run(&config, fn, arg), 0);
}

/* The runtime that runs the caller. */
static struct weft_runtime *here(void) {
    return ((struct weft_worker *)weft_thread_self())->runtime;
}

static uint64_t stacks_made(void) {
    struct weft_stack_pool_stats stats;
    weft_runtime_enter();
    weft_stack_pool_stats(here()->stacks, &stats);
    weft_runtime_leave();
    return stats.made;
}

static void *page_of_my_stack(void *arg) {
    (void)arg;
    return (void *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)4095);
}

static void spawn_all(void *(*fn)(void *)) {
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], fn, NULL, NULL), ==, 0);
    }
}

static void spawn_many_and_count_stacks(void *arg) {
    uint64_t before = stacks_made();
    (void)arg;
    spawn_all(page_of_my_stack);
    WEFT_CHECK_OP(stacks_made(), ==, before);
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
    /* At most what a processor fetches at a time. */
    WEFT_CHECK_OP(stacks_made(), <=, before + WEFT_STACK_CACHE);
}

static void a_task_that_has_not_run_has_no_stack(void **state) {
    (void)state;
    run_on(1, spawn_many_and_count_stacks, NULL);
}

static void see_where_they_run(void *arg) {
    uintptr_t last = 0;
    int changes = 0;
    (void)arg;
    spawn_all(page_of_my_stack);
    for (int i = 0; i < MANY; i++) {
        void *page;
        WEFT_CHECK_OP(weft_join(tasks[i], &page), ==, 0);
        changes += (uintptr_t)page != last;
        last = (uintptr_t)page;
    }
    /* The joiner waits, is woken and picked now and then: a few bursts. A fake
     * stack (ASan's) may be anywhere. */
    WEFT_CHECK(WEFT_ASAN || changes < MANY / 4);
}

static void tasks_that_do_not_wait_use_one_stack_in_turn(void **state) {
    (void)state;
    run_on(1, see_where_they_run, NULL);
}

static void *wait_a_little(void *arg) {
    weft_yield();
    return arg;
}

/* Each of the next guards fails once, so that the first runs of some tasks find
 * no stack. */
static void fail_and_go_on(void *arg) {
    (void)arg;
    for (int round = 0; round < 20; round++) {
        spawn_all(wait_a_little);
        weft_stack_pool_fail_nth(here()->stacks, (uint32_t)round / 2 + 1);
        for (int i = 0; i < MANY; i++) {
            WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
        }
        weft_stack_pool_fail_nth(here()->stacks, 0);
    }
}

static void a_task_that_finds_no_stack_runs_later(void **state) {
    (void)state;
    run_on(1, fail_and_go_on, NULL);
    run_on(2, fail_and_go_on, NULL);
}

/* Ten children each, `levels` deep. */
static void *grow_tree(void *levels) {
    struct weft_task *children[10];
    uintptr_t n = (uintptr_t)levels;
    for (int i = 0; n > 0 && i < 10; i++) {
        WEFT_CHECK_OP(
            weft_spawn(&children[i], grow_tree, (void *)(n - 1), NULL), ==, 0);
    }
    for (int i = 0; n > 0 && i < 10; i++) {
        WEFT_CHECK_OP(weft_join(children[i], NULL), ==, 0);
    }
    return NULL;
}

static void grow_and_count_stacks(void *arg) {
    uint64_t before = stacks_made();
    (void)arg;
    grow_tree((void *)4);
    /* In breadth it would be more than a thousand. */
    WEFT_CHECK_OP(stacks_made(), <, before + 500);
}

static void a_tree_of_tasks_is_served_in_depth(void **state) {
    (void)state;
    run_on(1, grow_and_count_stacks, NULL);
}

static void *say_so(void *flag) {
    *(bool *)flag = true;
    return NULL;
}

static void *do_nothing(void *arg) {
    return arg;
}

/* `old` lies in the brood, and newer ones come all the time. */
static void pass_one_by(void *arg) {
    struct weft_task *old, *pair[2];
    bool had_its_turn = false;
    uint64_t deadline = weft_now() + 20 * WEFT_S;
    (void)arg;
    WEFT_CHECK_OP(weft_spawn(&pair[0], do_nothing, NULL, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(pair[0], NULL), ==, 0);
    WEFT_CHECK_OP(weft_spawn(&old, say_so, &had_its_turn, NULL), ==, 0);
    while (!*(volatile bool *)&had_its_turn) {
        for (int i = 0; i < 2; i++) {
            WEFT_CHECK_OP(weft_spawn(&pair[i], do_nothing, NULL, NULL), ==, 0);
        }
        for (int i = 0; i < 2; i++) {
            WEFT_CHECK_OP(weft_join(pair[i], NULL), ==, 0);
        }
        WEFT_CHECK_OP(weft_now(), <, deadline);
    }
    WEFT_CHECK_OP(weft_join(old, NULL), ==, 0);
}

static void who_was_passed_by_has_its_turn(void **state) {
    (void)state;
    run_on(1, pass_one_by, NULL);
}

static void spawn_until_it_fails(void *arg) {
    enum { MOST = 50000 };
    static struct weft_task *all[MOST];
    struct rlimit old, less;
    int made = 0;
    int error = 0;
    bool *failed = arg;
    WEFT_CHECK_OP(getrlimit(RLIMIT_AS, &old), ==, 0);
    less = old;
    less.rlim_cur = (rlim_t)2 << 30;
    WEFT_CHECK_OP(setrlimit(RLIMIT_AS, &less), ==, 0);
    while (made < MOST &&
           (error = weft_spawn(&all[made], wait_a_little, NULL, NULL)) == 0) {
        made++;
    }
    /* All that were made get their stacks, though they wait at one time. */
    for (int i = 0; i < made; i++) {
        WEFT_CHECK_OP(weft_join(all[i], NULL), ==, 0);
    }
    WEFT_CHECK_OP(setrlimit(RLIMIT_AS, &old), ==, 0);
    WEFT_CHECK(error == 0 || error == -ENOMEM);
    *failed = error != 0;
}

static void who_spawns_hears_that_there_is_no_room_for_a_stack(void **state) {
    bool failed;
    (void)state;
    if (WEFT_ASAN || WEFT_TSAN) {
        skip(); /* terabytes of address space are theirs */
    }
    run_on(1, spawn_until_it_fails, &failed);
    if (!failed) {
        skip(); /* an emulator that knows no limit */
    }
}

/* A waker that comes too late, after the record has had many other lives. */
static void wake_the_dead(void *arg) {
    struct weft_task *gone;
    (void)arg;
    WEFT_CHECK_OP(weft_spawn(&gone, wait_a_little, NULL, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(gone, NULL), ==, 0);
    weft_unpark(gone); /* free */
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], wait_a_little, NULL, NULL), ==, 0);
        weft_unpark(gone); /* not begun, perhaps */
        if (i % 3 == 0) {
            weft_yield();
        }
        weft_unpark(gone); /* yields, or has ended, perhaps */
    }
    for (int i = 0; i < MANY; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
        weft_unpark(gone);
    }
}

static void a_late_waker_does_no_harm(void **state) {
    (void)state;
    run_on(1, wake_the_dead, NULL);
    run_on(2, wake_the_dead, NULL);
}

static void *say_my_name(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(weft_task_name(weft_self())[0], ==, 't');
    weft_set_name("another");
    return NULL;
}

static void name_them_one_after_the_other(void *arg) {
    static const struct weft_task_options named = {.name = "the named"};
    (void)arg;
    for (int i = 0; i < 100; i++) {
        struct weft_task *t;
        WEFT_CHECK_OP(weft_spawn(&t, say_my_name, NULL, i % 2 ? &named : NULL),
                      ==, 0);
        WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
    }
}

static void a_record_forgets_the_name_of_its_last_task(void **state) {
    (void)state;
    run_on(1, name_them_one_after_the_other, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_has_not_run_has_no_stack),
        cmocka_unit_test(tasks_that_do_not_wait_use_one_stack_in_turn),
        cmocka_unit_test(a_task_that_finds_no_stack_runs_later),
        cmocka_unit_test(a_tree_of_tasks_is_served_in_depth),
        cmocka_unit_test(who_was_passed_by_has_its_turn),
        cmocka_unit_test(who_spawns_hears_that_there_is_no_room_for_a_stack),
        cmocka_unit_test(a_late_waker_does_no_harm),
        cmocka_unit_test(a_record_forgets_the_name_of_its_last_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
