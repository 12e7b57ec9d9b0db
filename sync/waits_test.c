/* SPDX-License-Identifier: MIT */
/* What all calls that wait have in common, one table of them all: deadlines
 * that have passed and at the limit, and cancellation before and during the
 * wait. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/task.h"
#include "weft/sync/barrier.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/rwlock.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/testing.h"
#include "weft/sync/wait_group.h"

static struct weft_mutex mutex, own;
static struct weft_condition condition;
static struct weft_rwlock rwlock;
static struct weft_semaphore semaphore;
static struct weft_wait_group group;
static struct weft_event event;
static struct weft_barrier barrier;
static struct weft_channel *empty, *full;
static struct weft_once once;
static struct weft_event go_on; /* for the two below */
static struct weft_task *runner, *ending;

/* Each waits for something that does not come before it is let go, and leaves
 * everything as it was. */
static int locks(uint64_t deadline) {
    int error = weft_mutex_lock_until(&mutex, deadline);
    if (error == 0) {
        weft_mutex_unlock(&mutex);
    }
    return error;
}

static int reads(uint64_t deadline) {
    int error = weft_rwlock_read_lock_until(&rwlock, deadline);
    if (error == 0) {
        weft_rwlock_read_unlock(&rwlock);
    }
    return error;
}

static int writes(uint64_t deadline) {
    int error = weft_rwlock_write_lock_until(&rwlock, deadline);
    if (error == 0) {
        weft_rwlock_write_unlock(&rwlock);
    }
    return error;
}

static int waits_for_signal(uint64_t deadline) {
    weft_mutex_lock(&own);
    int error = weft_condition_wait_until(&condition, &own, deadline);
    WEFT_CHECK(weft_mutex_is_mine(&own));
    weft_mutex_unlock(&own);
    return error;
}

static int acquires(uint64_t deadline) {
    return weft_semaphore_acquire_until(&semaphore, deadline);
}

static int waits_for_group(uint64_t deadline) {
    return weft_wait_group_wait_until(&group, deadline);
}

static int waits_for_event(uint64_t deadline) {
    return weft_event_wait_until(&event, deadline);
}

static int waits_for_others(uint64_t deadline) {
    return weft_barrier_wait_until(&barrier, deadline);
}

static int receives(uint64_t deadline) {
    int value = -1;
    int error = weft_channel_recv_until(empty, &value, deadline);
    WEFT_CHECK_OP(value, ==, error == 0 ? 5 : -1);
    return error;
}

static int sends(uint64_t deadline) {
    int value = 5;
    return weft_channel_send_until(full, &value, deadline);
}

static int selects(uint64_t deadline) {
    int in = -1, out = 5;
    struct weft_select_case cases[] = {
        weft_select_recv(empty, &in),
        weft_select_send(full, &out),
    };
    int which = weft_select_until(cases, 2, deadline);
    WEFT_CHECK_OP(in, ==, which == 0 ? 5 : -1);
    return which > 0 ? 0 : which;
}

static int is_run_by_another(void *arg) {
    WEFT_CHECK(false);
    return 0;
}

static int waits_for_first(uint64_t deadline) {
    return weft_once_run_until(&once, is_run_by_another, NULL, deadline);
}

static int joins(uint64_t deadline) {
    return weft_join_until(ending, NULL, deadline);
}

static int goes_on(void *arg) {
    return weft_event_wait(&go_on);
}

static void *runs_once(void *arg) {
    return (void *)(intptr_t)weft_once_run(&once, goes_on, NULL);
}

static void *ends(void *arg) {
    return (void *)(intptr_t)goes_on(arg);
}

/* What the last two wait for. */
static void start_others(void) {
    once = (struct weft_once)WEFT_ONCE_INIT;
    weft_event_reset(&go_on);
    runner = weft_test_spawn(runs_once, NULL);
    ending = weft_test_spawn(ends, NULL);
    weft_test_await_count(&go_on.waiters, 2);
}

/* How they are let go, by the task that runs the test. */
static struct weft_task *waiting;

/* A mutex may be had by whoever is first, so this one stays away from it. */
static void unlock(void) {
    weft_mutex_unlock(&mutex);
    while (weft_task_state(waiting) != WEFT_TASK_DEAD) {
        weft_yield();
    }
    weft_mutex_lock(&mutex);
}

static void rwunlock(void) {
    weft_rwlock_write_unlock(&rwlock);
    weft_rwlock_write_lock(&rwlock);
}

static void signal_one(void) {
    weft_condition_signal(&condition);
}

static void release(void) {
    weft_semaphore_release(&semaphore, 1);
}

static void is_done(void) {
    weft_wait_group_done(&group);
    weft_wait_group_add(&group, 1);
}

static void set(void) {
    weft_event_set(&event);
    weft_event_reset(&event);
}

static void comes_last(void) {
    WEFT_CHECK(weft_barrier_try_wait(&barrier));
}

static void gives(void) {
    int value = 5;
    WEFT_CHECK_OP(weft_channel_try_send(empty, &value), ==, 0);
}

static void takes(void) {
    int value = -1;
    WEFT_CHECK_OP(weft_channel_try_recv(full, &value), ==, 0);
    WEFT_CHECK_OP(value, ==, 5);
}

static void end_both(void) {
    weft_event_set(&go_on);
    WEFT_CHECK_OP(weft_test_join(runner), ==, 0);
    while (waiting != NULL && weft_task_state(waiting) != WEFT_TASK_DEAD) {
        weft_yield();
    }
}

static void is_done_once(void) {
    end_both();
    WEFT_CHECK_OP(weft_test_join(ending), ==, 0);
    start_others();
}

static void ends_at_last(void) {
    end_both();
    start_others();
}

static const struct {
    int (*wait)(uint64_t deadline);
    void (*let_go)(void);
    bool cancellable;
} all[] = {
    {locks, unlock, false},
    {reads, rwunlock, false},
    {writes, rwunlock, false},
    {waits_for_signal, signal_one, true},
    {acquires, release, true},
    {waits_for_group, is_done, true},
    {waits_for_event, set, true},
    {waits_for_others, comes_last, true},
    {receives, gives, true},
    {sends, takes, true},
    {selects, gives, true},
    {selects, takes, true},
    {waits_for_first, is_done_once, true},
    {joins, ends_at_last, true},
};

enum { WAITS = sizeof all / sizeof all[0] };

/* One wait in a task of its own. */
struct call {
    int (*wait)(uint64_t deadline);
    uint64_t deadline;
    bool cancelled_before;
};

static void *makes(void *arg) {
    const struct call *call = arg;
    while (call->cancelled_before && !weft_cancelled()) {
        weft_yield();
    }
    return (void *)(intptr_t)call->wait(call->deadline);
}

static struct weft_task *start(struct call *call, int i, uint64_t deadline) {
    *call = (struct call){all[i].wait, deadline, false};
    waiting = weft_test_spawn(makes, call);
    weft_test_await_waiting(waiting);
    return waiting;
}

static void prepare(void) {
    int value = 5;
    weft_mutex_lock(&mutex);
    weft_rwlock_write_lock(&rwlock);
    weft_wait_group_add(&group, 1);
    weft_barrier_init(&barrier, 2);
    WEFT_CHECK_OP(weft_channel_new(&empty, 0, sizeof value), ==, 0);
    WEFT_CHECK_OP(weft_channel_new(&full, 1, sizeof value), ==, 0);
    WEFT_CHECK_OP(weft_channel_send(full, &value), ==, 0);
    start_others();
}

static void tidy(void) {
    waiting = NULL;
    end_both();
    WEFT_CHECK_OP(weft_test_join(ending), ==, 0);
    weft_mutex_unlock(&mutex);
    weft_rwlock_write_unlock(&rwlock);
    weft_wait_group_done(&group);
    weft_channel_free(empty);
    weft_channel_free(full);
}

static void *times_out(void *arg) {
    int i = (int)(intptr_t)arg;
    WEFT_CHECK_OP(all[i].wait(0), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(all[i].wait(1), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(all[i].wait(weft_now()), ==, -ETIMEDOUT);
    uint64_t soon = weft_now() + 200 * WEFT_US;
    WEFT_CHECK_OP(all[i].wait(soon), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    return NULL;
}

static void deadlines(void *arg) {
    prepare();
    for (intptr_t i = 0; i < WAITS; i++) {
        struct call call;
        weft_test_join(weft_test_spawn(times_out, (void *)i));
        struct weft_task *task = start(&call, (int)i, WEFT_FOREVER - 1);
        all[i].let_go();
        WEFT_CHECK_OP(weft_test_join(task), ==, 0);
        task = start(&call, (int)i, weft_now() + 1000 * WEFT_S);
        all[i].let_go();
        WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    }
    tidy();
}

static void a_deadline_may_have_passed_or_lie_at_the_limit(void **state) {
    weft_test_run(deadlines, NULL);
}

static void cancels(void *arg) {
    prepare();
    for (int i = 0; i < WAITS; i++) {
        for (int before = 0; before < 2; before++) {
            struct call call;
            struct weft_task *task;
            if (before) {
                call = (struct call){all[i].wait, WEFT_FOREVER, true};
                task = waiting = weft_test_spawn(makes, &call);
                weft_cancel(task);
            } else {
                task = start(&call, i, WEFT_FOREVER);
                weft_cancel(task);
            }
            if (!all[i].cancellable) {
                for (int k = 0; k < 50; k++) {
                    weft_yield();
                }
                weft_test_await_waiting(task);
                all[i].let_go();
            }
            WEFT_CHECK_OP(weft_test_join(task), ==,
                          all[i].cancellable ? -ECANCELED : 0);
        }
        /* It took nothing along: the next is let go by one. */
        struct call call;
        struct weft_task *task = start(&call, i, WEFT_FOREVER);
        all[i].let_go();
        WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    }
    tidy();
}

static void cancelling_ends_all_waits_but_those_for_locks(void **state) {
    weft_test_run(cancels, NULL);
}

/* Deadline, cancellation and what is waited for come at the same time. What a
 * wait took it says, so that all can be counted. */
static void races(void *arg) {
    uint64_t seed = 3;
    prepare();
    for (int round = 0; round < WEFT_TEST_ROUNDS(400); round++) {
        for (int i = 0; i < WAITS; i++) {
            uint64_t dice = weft_test_random(&seed);
            struct call call = {all[i].wait, weft_now() + dice % (40 * WEFT_US),
                                false};
            struct weft_task *task = waiting = weft_test_spawn(makes, &call);
            for (uint64_t k = 0; k < dice / 64 % 4; k++) {
                weft_yield();
            }
            if (dice / 256 % 2 == 0) {
                weft_cancel(task);
            }
            if (all[i].let_go == release) {
                release();
            } else if (!all[i].cancellable || all[i].let_go == set ||
                       all[i].let_go == is_done ||
                       all[i].let_go == signal_one) {
                all[i].let_go();
            }
            intptr_t result = weft_test_join(task);
            WEFT_CHECK(result == 0 || result == -ETIMEDOUT ||
                       (result == -ECANCELED && all[i].cancellable));
            if (all[i].let_go == release) {
                WEFT_CHECK_OP(weft_semaphore_value(&semaphore), ==,
                              result == 0 ? 0u : 1u);
                (void)weft_semaphore_try_acquire(&semaphore);
            }
        }
    }
    WEFT_CHECK_OP(weft_channel_len(full), ==, 1u);
    tidy();
}

static void a_wait_ends_once_and_says_how(void **state) {
    weft_test_run(races, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_may_have_passed_or_lie_at_the_limit),
        cmocka_unit_test(cancelling_ends_all_waits_but_those_for_locks),
        cmocka_unit_test(a_wait_ends_once_and_says_how),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
