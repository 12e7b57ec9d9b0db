/* SPDX-License-Identifier: MIT */
/* Every call with a deadline says -ENOMEM when no timer can be had, and is then
 * as if it had not been made. What needs no wait is done all the same. */
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
#include "weft/sync/failing.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/rwlock.h"
#include "weft/sync/scope.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/testing.h"
#include "weft/sync/ticker.h"
#include "weft/sync/wait_group.h"

/* More than a heap of timers holds without asking for memory again. */
enum { SLEEPERS = 1000 };

static struct weft_event start, stop;
static int slept, refused; /* one worker */

/* Has its stack before memory runs out, and takes a timer when it has. */
static void *sleeps(void *arg) {
    weft_event_wait(&start);
    int error = weft_sleep(1000 * WEFT_S);
    WEFT_CHECK(error == -ENOMEM || error == -ECANCELED);
    *(error == -ENOMEM ? &refused : &slept) += 1;
    weft_event_wait(&stop);
    return NULL;
}

static struct weft_mutex mutex;
static struct weft_rwlock rwlock;
static struct weft_once once;
static struct weft_event held;

static int waits_for_stop(void *arg) {
    return weft_event_wait(&stop);
}

/* Holds what the other waits for. */
static void *holds(void *arg) {
    weft_mutex_lock(&mutex);
    weft_rwlock_write_lock(&rwlock);
    weft_event_set(&held);
    WEFT_CHECK_OP(weft_once_run(&once, waits_for_stop, NULL), ==, 0);
    weft_rwlock_write_unlock(&rwlock);
    weft_mutex_unlock(&mutex);
    return NULL;
}

static int stays(void *arg) {
    int error = weft_event_wait(&stop);
    WEFT_CHECK_OP(error, ==, -ECANCELED);
    return error;
}

static int never(void *arg) {
    WEFT_CHECK(false);
    return 0;
}

static void every_wait(struct weft_task *holder, struct weft_scope *scope) {
    const uint64_t later = weft_now() + 1000 * WEFT_S;
    struct weft_condition condition = WEFT_CONDITION_INIT;
    struct weft_mutex own = WEFT_MUTEX_INIT;
    struct weft_semaphore semaphore;
    struct weft_wait_group group = WEFT_WAIT_GROUP_INIT;
    struct weft_barrier barrier;
    struct weft_channel *ch;
    struct weft_ticker ticker;
    int value = 7;

    WEFT_CHECK_OP(weft_sleep_until(later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_join_until(holder, NULL, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_mutex_lock_until(&mutex, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_rwlock_read_lock_until(&rwlock, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_rwlock_write_lock_until(&rwlock, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_once_run_until(&once, never, NULL, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_event_wait_until(&stop, later), ==, -ENOMEM);

    weft_mutex_lock(&own);
    WEFT_CHECK_OP(weft_condition_wait_until(&condition, &own, later), ==,
                  -ENOMEM);
    WEFT_CHECK(weft_mutex_is_mine(&own));
    weft_mutex_unlock(&own);

    weft_semaphore_init(&semaphore, 0);
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&semaphore, later), ==, -ENOMEM);
    weft_semaphore_release(&semaphore, 1);
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&semaphore, later), ==, 0);

    weft_wait_group_add(&group, 1);
    WEFT_CHECK_OP(weft_wait_group_wait_until(&group, later), ==, -ENOMEM);
    weft_wait_group_done(&group);
    WEFT_CHECK_OP(weft_wait_group_wait_until(&group, later), ==, 0);

    weft_barrier_init(&barrier, 2);
    WEFT_CHECK_OP(weft_barrier_wait_until(&barrier, later), ==, -ENOMEM);
    WEFT_CHECK(!weft_barrier_try_wait(&barrier));

    WEFT_CHECK_OP(weft_channel_new(&ch, 1, sizeof value), ==, 0);
    WEFT_CHECK_OP(weft_channel_recv_until(ch, &value, later), ==, -ENOMEM);
    struct weft_select_case c = weft_select_recv(ch, &value);
    WEFT_CHECK_OP(weft_select_until(&c, 1, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_channel_send_until(ch, &value, later), ==, 0);
    WEFT_CHECK_OP(weft_channel_send_until(ch, &value, later), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_select_until(&c, 1, later), ==, 0);
    weft_channel_free(ch);

    weft_ticker_init(&ticker, 1000 * WEFT_S);
    WEFT_CHECK_OP(weft_ticker_wait(&ticker), ==, -ENOMEM);
    WEFT_CHECK_OP(ticker.missed, ==, 0u);

    WEFT_CHECK_OP(weft_scope_wait_until(scope, later), ==, -ENOMEM);
}

static void without_timers(void *arg) {
    static struct weft_task *tasks[SLEEPERS];
    struct weft_scope scope;
    for (int i = 0; i < SLEEPERS; i++) {
        tasks[i] = weft_test_spawn(sleeps, NULL);
    }
    struct weft_task *holder = weft_test_spawn(holds, NULL);
    weft_scope_init(&scope);
    WEFT_CHECK_OP(weft_scope_go(&scope, stays, NULL), ==, 0);
    weft_event_wait(&held);
    weft_test_await_count(&start.waiters, SLEEPERS);
    weft_test_await_count(&stop.waiters, 2);

    weft_test_fail_mmap(1);
    weft_event_set(&start);
    while (refused == 0) {
        weft_yield();
    }
    every_wait(holder, &scope);
    weft_test_fail_mmap(0);

    weft_event_set(&stop);
    WEFT_CHECK_OP(weft_test_join(holder), ==, 0);
    WEFT_CHECK(weft_rwlock_try_write_lock(&rwlock));
    weft_rwlock_write_unlock(&rwlock);
    for (int i = 0; i < SLEEPERS; i++) {
        weft_cancel(tasks[i]);
        weft_test_join(tasks[i]);
    }
    WEFT_CHECK(slept > 0 && slept + refused == SLEEPERS);
    /* Timers are to be had again. */
    WEFT_CHECK_OP(weft_sleep(10 * WEFT_US), ==, 0);
}

static void without_a_timer_a_wait_says_so_and_nothing_else(void **state) {
    weft_test_run_stepwise(without_timers, NULL);
}

static void no_channel(void *arg) {
    struct weft_channel *ch = NULL;
    long before = weft_test_allocated();
    weft_test_fail_nth(1);
    WEFT_CHECK_OP(weft_channel_new(&ch, 1, 1), ==, -ENOMEM);
    WEFT_CHECK(ch == NULL && weft_test_has_failed());
    WEFT_CHECK_OP(weft_channel_new(&ch, 1, 1), ==, 0);
    weft_channel_free(ch);
    WEFT_CHECK_OP(weft_test_allocated(), ==, before);
}

static void without_memory_there_is_no_channel(void **state) {
    weft_test_run(no_channel, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_timer_a_wait_says_so_and_nothing_else),
        cmocka_unit_test(without_memory_there_is_no_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
