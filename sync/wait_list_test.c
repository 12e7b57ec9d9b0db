/* SPDX-License-Identifier: MIT */
/* The list that all of sync waits in: order, withdrawal, and grants that race
 * with deadlines and cancellation. */
#include "weft/sync/wait_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/park.h"
#include "weft/sync/testing.h"

static struct weft_wait_list list;

/* A task that waits in the list until the deadline at `arg`. */
static void *waits(void *arg) {
    struct weft_waiter w;
    weft_wait_list_enter(&list);
    weft_wait_list_push(&list, &w);
    weft_wait_list_leave(&list);
    return (void *)(intptr_t)weft_wait_list_wait(&list, &w, *(uint64_t *)arg,
                                                 "test");
}

static void *waits_uncancellably(void *arg) {
    struct weft_waiter w;
    weft_wait_list_enter(&list);
    weft_wait_list_push_front(&list, &w);
    weft_wait_list_leave(&list);
    return (void *)(intptr_t)weft_wait_list_wait_uncancellable(
        &list, &w, *(uint64_t *)arg, "test");
}

static uint64_t forever = WEFT_FOREVER;

/* Chooses the first and grants `result`; returns whether there was one, and
 * whose wait it was (NULL: a thread's). */
static bool grant_to(int result, struct weft_task **task) {
    weft_wait_list_enter(&list);
    struct weft_waiter *w = weft_wait_list_choose(&list);
    weft_lock_release(&list.lock);
    if (w != NULL) {
        *task = w->task;
        weft_waiter_grant(w, result);
    }
    weft_runtime_leave();
    return w != NULL;
}

static struct weft_task *grant_one(int result) {
    struct weft_task *task = NULL;
    grant_to(result, &task);
    return task;
}

static void in_order(void *arg) {
    struct weft_task *tasks[8];
    for (uint32_t i = 0; i < 8; i++) {
        /* The last one goes to the front. */
        tasks[i] =
            weft_test_spawn(i < 7 ? waits : waits_uncancellably, &forever);
        weft_test_await_count(&list, i + 1);
    }
    WEFT_CHECK_OP(grant_one(107), ==, tasks[7]);
    for (int i = 0; i < 7; i++) {
        WEFT_CHECK_OP(grant_one(100 + i), ==, tasks[i]);
    }
    WEFT_CHECK(grant_one(0) == NULL);
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 100 + i);
    }
}

static void who_came_first_is_granted_first(void **state) {
    weft_test_run(in_order, NULL);
}

/* So many that the list sends for those ahead; every other one gives up, among
 * them whoever is marked. */
static void long_list(void *arg) {
    enum { MANY = 4 * WEFT_WAIT_AHEAD };
    struct weft_task *tasks[MANY];
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t there = 0;
        for (uint32_t i = 0; i < MANY; i++) {
            tasks[i] = weft_test_spawn(waits, &forever);
            weft_test_await_count(&list, ++there);
            if (i % 5 == round) { /* while it grows, too */
                weft_cancel(tasks[i / 2]);
                (void)weft_test_join(tasks[i / 2]);
                tasks[i / 2] = weft_test_spawn(waits, &forever);
                weft_test_await_count(&list, there);
            }
        }
        for (uint32_t i = round; i < MANY; i += 2) {
            weft_cancel(tasks[i]);
            WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, -ECANCELED);
            weft_test_await_count(&list, --there);
            tasks[i] = NULL;
        }
        struct weft_wait_chain chain = {0};
        weft_wait_list_enter(&list);
        WEFT_CHECK(weft_wait_list_valid(&list));
        WEFT_CHECK_OP(weft_wait_list_choose_batch(&list, MANY, &chain), ==,
                      there);
        WEFT_CHECK(weft_wait_list_valid(&list));
        weft_lock_release(&list.lock);
        weft_wait_chain_grant_and_leave(&chain, 7);
        for (uint32_t i = 0; i < MANY; i++) {
            WEFT_CHECK(tasks[i] == NULL || weft_test_join(tasks[i]) == 7);
        }
    }
}

static void a_long_list_is_left_and_woken_like_a_short_one(void **state) {
    weft_test_run(long_list, NULL);
}

static void middle_leaves(void *arg) {
    struct weft_task *tasks[3];
    uint64_t soon = weft_now() + 2 * WEFT_MS;
    for (uint32_t i = 0; i < 3; i++) {
        tasks[i] = weft_test_spawn(waits, i == 1 ? &soon : &forever);
        if (i != 1) {
            weft_test_await_waiting(tasks[i]);
        } else {
            /* It may be gone before anybody looks. */
            WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, -ETIMEDOUT);
        }
    }
    weft_test_await_count(&list, 2);
    struct weft_task *middle = weft_test_spawn(waits, &forever);
    weft_test_await_count(&list, 3);
    weft_cancel(tasks[2]);
    WEFT_CHECK_OP(weft_test_join(tasks[2]), ==, -ECANCELED);
    weft_test_await_count(&list, 2);
    WEFT_CHECK_OP(grant_one(1), ==, tasks[0]);
    WEFT_CHECK_OP(grant_one(2), ==, middle);
    WEFT_CHECK_OP(weft_test_join(tasks[0]), ==, 1);
    WEFT_CHECK_OP(weft_test_join(middle), ==, 2);
}

static void who_gives_up_leaves_the_list_whole(void **state) {
    weft_test_run(middle_leaves, NULL);
}

static void late_grant(void *arg) {
    uint64_t soon = weft_now() + WEFT_MS;
    struct weft_task *task = weft_test_spawn(waits, &soon);
    struct weft_waiter *w = NULL;
    while (w == NULL) {
        weft_wait_list_enter(&list);
        w = weft_wait_list_choose(&list);
        weft_wait_list_leave(&list);
        if (weft_task_state(task) == WEFT_TASK_DEAD) {
            /* The deadline was faster: once more, with a later one. */
            WEFT_CHECK_OP(weft_test_join(task), ==, -ETIMEDOUT);
            soon = weft_now() + 20 * WEFT_MS;
            task = weft_test_spawn(waits, &soon);
        }
        weft_yield();
    }
    while (weft_now() < soon + 2 * WEFT_MS) {
        weft_yield();
    }
    weft_cancel(task);
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK(weft_task_state(task) != WEFT_TASK_DEAD);
        weft_yield();
    }
    weft_waiter_grant(w, 42);
    WEFT_CHECK_OP(weft_test_join(task), ==, 42);
}

static void who_was_chosen_waits_for_the_grant_past_its_deadline(void **state) {
    weft_test_run(late_grant, NULL);
}

static void uncancellable(void *arg) {
    struct weft_task *task = weft_test_spawn(waits_uncancellably, &forever);
    weft_test_await_count(&list, 1);
    weft_cancel(task);
    for (int i = 0; i < 100; i++) {
        weft_yield();
    }
    weft_test_await_count(&list, 1);
    WEFT_CHECK_OP(grant_one(3), ==, task);
    WEFT_CHECK_OP(weft_test_join(task), ==, 3);
    uint64_t past = 1;
    task = weft_test_spawn(waits_uncancellably, &past);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ETIMEDOUT);
}

static void an_uncancellable_wait_ends_by_grant_or_deadline_alone(
    void **state) {
    weft_test_run(uncancellable, NULL);
}

static void many(void *arg) {
    enum { TASKS = 3 * WEFT_WAIT_BATCH + 5 };
    static struct weft_task *tasks[TASKS];
    struct weft_wait_chain chain = {0};
    uint32_t chosen = 0;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(waits, &forever);
    }
    weft_test_await_count(&list, TASKS);
    weft_wait_list_enter(&list);
    WEFT_CHECK_OP(weft_wait_list_choose_batch(&list, 2, &chain), ==, 2u);
    chosen = 2;
    while (list.head != NULL) {
        uint32_t n = weft_wait_list_choose_batch(&list, UINT32_MAX, &chain);
        WEFT_CHECK(n > 0 && n <= WEFT_WAIT_BATCH);
        WEFT_CHECK(weft_wait_list_valid(&list));
        chosen += n;
    }
    WEFT_CHECK_OP(chosen, ==, (uint32_t)TASKS);
    weft_lock_release(&list.lock);
    weft_wait_chain_grant_and_leave(&chain, 9);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 9);
    }
}

static void a_chain_of_many_is_granted_to_the_last(void **state) {
    weft_test_run(many, NULL);
}

static _Atomic long granted_seen, gone;

static void *waits_shortly(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    int rounds = WEFT_TEST_ROUNDS(weft_self() != NULL ? 4000 : 400);
    for (int i = 0; i < rounds; i++) {
        uint64_t deadline =
            weft_now() + weft_test_random(&seed) % (20 * WEFT_US);
        intptr_t result = (intptr_t)waits(&deadline);
        WEFT_CHECK(result == 7 || result == -ETIMEDOUT);
        if (result == 7) {
            atomic_fetch_add_explicit(&granted_seen, 1, memory_order_relaxed);
        }
    }
    /* Release: pairs with the acquire in grants_race(). */
    atomic_fetch_add_explicit(&gone, 1, memory_order_release);
    return NULL;
}

static void from_outside(void *arg) {
    waits_shortly(arg);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, arg);
    return NULL;
}

static void grants_race(void *arg) {
    struct weft_task *tasks[16];
    long grants = 0;
    atomic_store(&granted_seen, 0);
    atomic_store(&gone, 0);
    for (uintptr_t i = 0; i < 16; i++) {
        tasks[i] = weft_test_spawn(i < 13 ? waits_shortly : goes_outside,
                                   (void *)(i + 1));
    }
    /* Acquire: pairs with the release in waits_shortly(). */
    while (atomic_load_explicit(&gone, memory_order_acquire) < 16) {
        struct weft_task *task;
        grants += grant_to(7, &task);
        if (grants % 4 == 0) {
            weft_yield();
        }
    }
    for (int i = 0; i < 16; i++) {
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK_OP(grants, ==, atomic_load(&granted_seen));
    WEFT_CHECK(weft_wait_list_valid(&list) && list.count == 0);
}

static void no_grant_is_lost_to_a_deadline(void **state) {
    weft_test_run(grants_race, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_came_first_is_granted_first),
        cmocka_unit_test(a_long_list_is_left_and_woken_like_a_short_one),
        cmocka_unit_test(who_gives_up_leaves_the_list_whole),
        cmocka_unit_test(who_was_chosen_waits_for_the_grant_past_its_deadline),
        cmocka_unit_test(an_uncancellable_wait_ends_by_grant_or_deadline_alone),
        cmocka_unit_test(a_chain_of_many_is_granted_to_the_last),
        cmocka_unit_test(no_grant_is_lost_to_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
