/* SPDX-License-Identifier: MIT */
/* Very many wait at one place: each is woken, in time that grows with their
 * number alone. The crowd is a scope's, and goes from one primitive to the
 * next; in the end all are cancelled at once.
 *
 * //sync:crowd_million_test is the same with a million, where there are 5 GB of
 * memory for their stacks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/sched/runtime.h"
#include "weft/sync/barrier.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/rwlock.h"
#include "weft/sync/scope.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/wait_group.h"

#ifndef CROWD
#if WEFT_ASAN || WEFT_TSAN || !defined(__x86_64__)
#define CROWD 2000
#else
#define CROWD 100000
#endif
#endif

static struct weft_event event, done;
static struct weft_once once;
static struct weft_barrier barrier;
static _Atomic uint64_t awakening;
static struct weft_semaphore semaphore;
static struct weft_wait_group group;
static struct weft_mutex mutex;
static struct weft_condition condition;
static bool ready; /* under the mutex */
static struct weft_rwlock rwlock;
static long inside; /* under the rwlock */
static struct weft_channel *values, *never;

/* How many have come to each place, and how many were cancelled in the last. */
enum {
    EVENT,
    ONCE,
    BARRIER,
    SEMAPHORE,
    GROUP,
    CONDITION,
    READ,
    WRITE,
    SLEEP,
    CHANNEL,
    SELECT,
    PLACES
};
static _Atomic long come[PLACES], cancelled, ran, last;
static _Atomic long sum;

static void comes(int place) {
    atomic_fetch_add_explicit(&come[place], 1, memory_order_relaxed);
}

/* One of them, and the others wait for it. */
static int runs_once(void *arg) {
    (void)arg;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    return weft_event_wait(&done);
}

static int goes_round(void *arg) {
    long value;
    comes(EVENT);
    WEFT_CHECK_OP(weft_event_wait(&event), ==, 0);
    comes(ONCE);
    WEFT_CHECK_OP(weft_once_run(&once, runs_once, NULL), ==, 0);
    comes(BARRIER);
    int place = weft_barrier_wait(&barrier);
    WEFT_CHECK(place == 0 || place == WEFT_BARRIER_LAST);
    atomic_fetch_add_explicit(&last, place == WEFT_BARRIER_LAST,
                              memory_order_relaxed);
    comes(SEMAPHORE);
    WEFT_CHECK_OP(weft_semaphore_acquire(&semaphore), ==, 0);
    comes(GROUP);
    WEFT_CHECK_OP(weft_wait_group_wait(&group), ==, 0);
    comes(CONDITION);
    weft_mutex_lock(&mutex);
    while (!ready) {
        WEFT_CHECK_OP(weft_condition_wait(&condition, &mutex), ==, 0);
    }
    weft_mutex_unlock(&mutex);
    comes(READ);
    weft_rwlock_read_lock(&rwlock);
    /* Who was interrupted on the last line finds that others have written. */
    long seen = *(volatile long *)&inside;
    WEFT_CHECK_OP(seen, <, (long)CROWD);
    WEFT_CHECK_OP(*(volatile long *)&inside, ==, seen);
    weft_rwlock_read_unlock(&rwlock);
    comes(WRITE);
    weft_rwlock_write_lock(&rwlock);
    inside++;
    weft_rwlock_write_unlock(&rwlock);
    comes(SLEEP);
    WEFT_CHECK_OP(weft_sleep_until(atomic_load(&awakening)), ==, 0);
    comes(CHANNEL);
    WEFT_CHECK_OP(weft_channel_recv(values, &value), ==, 0);
    atomic_fetch_add_explicit(&sum, value, memory_order_relaxed);
    struct weft_select_case cases[] = {
        weft_select_recv(values, &value),
        weft_select_recv(never, NULL),
    };
    comes(SELECT);
    int result = weft_select(cases, 2);
    WEFT_CHECK_OP(result, ==, -ECANCELED);
    atomic_fetch_add_explicit(&cancelled, 1, memory_order_relaxed);
    return result;
}

/* All are at the place, or on the last lines before it. */
static void await_all(int place) {
    while (atomic_load_explicit(&come[place], memory_order_relaxed) < CROWD) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
    }
}

static void conduct(void *arg) {
    struct weft_scope scope;
    weft_scope_init(&scope);
    weft_wait_group_add(&group, 1);
    weft_barrier_init(&barrier, CROWD);
    WEFT_CHECK_OP(weft_channel_new(&values, 0, sizeof(long)), ==, 0);
    WEFT_CHECK_OP(weft_channel_new(&never, 0, 0), ==, 0);
    for (long i = 0; i < CROWD; i++) {
        WEFT_CHECK_OP(weft_scope_go(&scope, goes_round, NULL), ==, 0);
    }
    await_all(EVENT);
    weft_event_set(&event);
    await_all(ONCE);
    weft_event_set(&done);
    await_all(SEMAPHORE);
    WEFT_CHECK_OP(atomic_load(&ran), ==, 1);
    WEFT_CHECK_OP(atomic_load(&last), ==, 1);
    weft_semaphore_release(&semaphore, CROWD);
    await_all(GROUP);
    weft_wait_group_done(&group);
    await_all(CONDITION);
    weft_rwlock_write_lock(&rwlock);
    weft_mutex_lock(&mutex);
    ready = true;
    weft_mutex_unlock(&mutex);
    weft_condition_broadcast(&condition);
    await_all(READ);
    /* Some before they come to it, most at once. */
    atomic_store(&awakening, weft_now() + 50 * WEFT_MS);
    weft_rwlock_write_unlock(&rwlock);
    await_all(CHANNEL);
    weft_rwlock_read_lock(&rwlock);
    WEFT_CHECK_OP(inside, ==, (long)CROWD);
    weft_rwlock_read_unlock(&rwlock);
    for (long i = 0; i < CROWD; i++) {
        WEFT_CHECK_OP(weft_channel_send(values, &i), ==, 0);
    }
    await_all(SELECT);
    weft_scope_cancel(&scope);
    WEFT_CHECK_OP(weft_scope_wait(&scope), ==, -ECANCELED);
    WEFT_CHECK_OP(atomic_load(&cancelled), ==, (long)CROWD);
    WEFT_CHECK_OP(atomic_load(&sum), ==, (long)CROWD * (CROWD - 1) / 2);
    weft_channel_free(values);
    weft_channel_free(never);
}

static void a_crowd_waits_everywhere_and_each_is_woken(void **state) {
    static const struct weft_config config = {.workers = 2};
    assert_int_equal(weft_run(&config, conduct, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_waits_everywhere_and_each_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
