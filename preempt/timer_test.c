/* SPDX-License-Identifier: MIT */
/* No timing is asserted, save that what must not happen does not happen in a
 * few milliseconds. */
#include "weft/preempt/timer.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"

struct record {
    _Atomic uint64_t ticks;
    _Atomic uint64_t seen; /* what the last tick saw in `told` */
    _Atomic uint64_t told;
    uint64_t period;            /* WEFT_FOREVER: only when kicked */
    struct weft_timer *elastic; /* NULL: its sleeps are not */
    sigset_t blocked;
};

static uint64_t tick(void *arg, uint64_t now) {
    struct record *record = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &record->blocked);
    atomic_store_explicit(
        &record->seen,
        atomic_load_explicit(&record->told, memory_order_relaxed),
        memory_order_relaxed);
    if (record->elastic != NULL) {
        assert_true(weft_timer_stretch(record->elastic));
    }
    /* Release: pairs with the acquire in ticks_of(). */
    atomic_fetch_add_explicit(&record->ticks, 1, memory_order_release);
    return weft_clock_after(now, record->period);
}

static uint64_t ticks_of(struct record *record) {
    /* Acquire: pairs with the release in tick(). */
    return atomic_load_explicit(&record->ticks, memory_order_acquire);
}

static bool wait_for_ticks(struct record *record, uint64_t count) {
    for (int i = 0; i < 50000 && ticks_of(record) < count; i++) {
        usleep(100);
    }
    return ticks_of(record) >= count;
}

static void start(struct weft_timer *timer, struct record *record) {
    struct weft_timer_config config = {
        .tick = tick, .arg = record, .elastic = record->elastic != NULL};
    assert_int_equal(weft_timer_start(timer, &config), 0);
}

static void it_ticks_again_when_the_tick_says_so(void **state) {
    struct record record = {.period = 100 * WEFT_US};
    struct weft_timer timer;
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 10));
    weft_timer_stop(&timer);
    assert_int_equal(weft_timer_ticks(&timer), ticks_of(&record));
    assert_int_equal(weft_timer_kicks(&timer), 0);
}

static void a_stopped_timer_makes_no_tick(void **state) {
    struct record record = {.period = 50 * WEFT_US};
    struct weft_timer timer;
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    weft_timer_stop(&timer);
    uint64_t before = ticks_of(&record);
    usleep(5000);
    assert_int_equal(ticks_of(&record), before);
    weft_timer_stop(&timer); /* a second stop does nothing */
}

static void an_idle_timer_does_not_wake_up(void **state) {
    struct record record = {.period = WEFT_FOREVER};
    struct weft_timer timer;
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    usleep(20000);
    assert_int_equal(ticks_of(&record), 1);
    weft_timer_stop(&timer);
}

static void a_kick_wakes_an_idle_timer(void **state) {
    struct record record = {.period = WEFT_FOREVER};
    struct weft_timer timer;
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    weft_timer_kick(&timer);
    assert_true(wait_for_ticks(&record, 2));
    weft_timer_stop(&timer);
    assert_int_equal(weft_timer_kicks(&timer), 1);
}

static void a_stop_ends_a_long_sleep_at_once(void **state) {
    struct record record = {.period = 3600 * WEFT_S};
    struct weft_timer timer;
    start(&timer, &record);
    weft_timer_stop(&timer); /* the test would time out */
    assert_true(ticks_of(&record) <= 1);
}

static void the_thread_takes_no_signals(void **state) {
    struct record record = {.period = WEFT_FOREVER};
    struct weft_timer timer;
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    weft_timer_stop(&timer);
    assert_true(sigismember(&record.blocked, SIGURG));
    assert_true(sigismember(&record.blocked, SIGTERM));
    sigset_t here;
    pthread_sigmask(SIG_SETMASK, NULL, &here);
    assert_false(sigismember(&here, SIGTERM)); /* ours is as before */
}

static void starting_without_a_tick_is_refused(void **state) {
    struct weft_timer timer = {0};
    struct weft_timer_config config = {0};
    assert_true(weft_timer_start(&timer, &config) < 0);
    weft_timer_stop(&timer);
}

/* Each kick comes at some moment of the timer's way to sleep; what was told
 * before it must be seen by a tick, without another kick. */
enum { KICKS = 20000 };

static void *tell_and_kick(void *arg) {
    struct weft_timer *timer = arg;
    struct record *record = timer->config.arg;
    for (uint64_t i = 1; i <= KICKS; i++) {
        atomic_fetch_add_explicit(&record->told, 1, memory_order_relaxed);
        weft_timer_kick(timer);
        if (i % 4 == 0) { /* let it fall asleep now and then */
            while (atomic_load_explicit(&record->seen, memory_order_relaxed) <
                   i) {
                sched_yield();
            }
        }
        if (i % 32 == 0) {
            usleep(20);
        }
    }
    return NULL;
}

static void check_that_no_kick_is_lost(struct weft_timer *timer,
                                       struct record *record) {
    pthread_t kickers[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            pthread_create(&kickers[i], NULL, tell_and_kick, timer), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(kickers[i], NULL);
    }
    for (int i = 0; i < 50000 && atomic_load(&record->seen) < 2 * KICKS; i++) {
        usleep(100);
    }
    assert_int_equal(atomic_load(&record->seen), 2 * KICKS);
}

static void no_kick_is_lost(void **state) {
    struct record record = {.period = WEFT_FOREVER};
    struct weft_timer timer;
    start(&timer, &record);
    check_that_no_kick_is_lost(&timer, &record);
    weft_timer_stop(&timer);
}

#define HOUR (3600 * WEFT_S)

static void an_elastic_sleep_lasts_until_what_was_said_last(void **state) {
    struct weft_timer timer;
    struct record record = {.period = HOUR, .elastic = &timer};
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    /* Again and again: the first may come before the sleep has begun. */
    for (int i = 0; i < 5000 && ticks_of(&record) == 1; i++) {
        weft_timer_put_off(&timer, weft_clock_now() + WEFT_MS);
        usleep(2000);
    }
    assert_true(ticks_of(&record) >= 2);
    weft_timer_stop(&timer);
}

static void who_puts_a_sleep_off_wakes_nobody(void **state) {
    bool in_time = false;
    for (int i = 0; i < 20 && !in_time; i++) {
        struct weft_timer timer;
        struct record record = {.period = 50 * WEFT_MS, .elastic = &timer};
        uint64_t before = weft_clock_now();
        start(&timer, &record);
        assert_true(wait_for_ticks(&record, 1));
        usleep(1000); /* for it to fall asleep */
        weft_timer_put_off(&timer, weft_clock_now() + HOUR);
        in_time = weft_clock_now() < before + 50 * WEFT_MS;
        usleep(100000);
        /* It may have fallen asleep later than that after all. */
        in_time = in_time && ticks_of(&record) == 1;
        weft_timer_stop(&timer);
    }
    assert_true(in_time);
}

static void an_elastic_sleep_ends_with_a_kick_and_with_the_stop(void **state) {
    struct weft_timer timer;
    struct record record = {.period = HOUR, .elastic = &timer};
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    usleep(2000);
    weft_timer_kick(&timer);
    assert_true(wait_for_ticks(&record, 2));
    usleep(2000);
    weft_timer_stop(&timer); /* the test would time out */
}

struct putter {
    struct weft_timer *timer;
    _Atomic bool stop;
};

static void *put_off(void *arg) {
    struct putter *putter = arg;
    while (!atomic_load_explicit(&putter->stop, memory_order_relaxed)) {
        weft_timer_put_off(putter->timer, weft_clock_now() + HOUR);
    }
    return NULL;
}

static void no_kick_is_lost_on_who_is_put_off(void **state) {
    struct weft_timer timer;
    struct record record = {.period = HOUR, .elastic = &timer};
    struct putter putter = {.timer = &timer};
    pthread_t thread;
    start(&timer, &record);
    assert_int_equal(pthread_create(&thread, NULL, put_off, &putter), 0);
    check_that_no_kick_is_lost(&timer, &record);
    atomic_store_explicit(&putter.stop, true, memory_order_relaxed);
    pthread_join(thread, NULL);
    weft_timer_stop(&timer);
}

static void without_a_descriptor_no_sleep_is_elastic(void **state) {
    struct weft_timer timer;
    struct record record = {.period = WEFT_FOREVER};
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    weft_timer_stop(&timer);
    assert_false(weft_timer_stretch(&timer));
}

static struct weft_timer *kicked_by_handler;

static void kick_from_handler(int number) {
    weft_timer_kick(kicked_by_handler);
}

static void a_signal_handler_may_kick(void **state) {
    struct record record = {.period = WEFT_FOREVER};
    struct weft_timer timer;
    struct sigaction action = {.sa_handler = kick_from_handler};
    struct sigaction before;
    start(&timer, &record);
    assert_true(wait_for_ticks(&record, 1));
    kicked_by_handler = &timer;
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    assert_true(wait_for_ticks(&record, 2));
    sigaction(SIGUSR1, &before, NULL);
    weft_timer_stop(&timer);
}

static uint64_t kick_self(void *arg, uint64_t now) {
    struct weft_timer *timer = arg;
    if (weft_timer_ticks(timer) < 5) {
        weft_timer_kick(timer);
    }
    return WEFT_FOREVER;
}

static void a_tick_may_kick_its_own_timer(void **state) {
    struct weft_timer timer;
    struct weft_timer_config config = {.tick = kick_self, .arg = &timer};
    assert_int_equal(weft_timer_start(&timer, &config), 0);
    for (int i = 0; i < 50000 && weft_timer_ticks(&timer) < 5; i++) {
        usleep(100);
    }
    weft_timer_stop(&timer);
    assert_int_equal(weft_timer_ticks(&timer), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ticks_again_when_the_tick_says_so),
        cmocka_unit_test(a_stopped_timer_makes_no_tick),
        cmocka_unit_test(an_idle_timer_does_not_wake_up),
        cmocka_unit_test(a_kick_wakes_an_idle_timer),
        cmocka_unit_test(a_stop_ends_a_long_sleep_at_once),
        cmocka_unit_test(the_thread_takes_no_signals),
        cmocka_unit_test(starting_without_a_tick_is_refused),
        cmocka_unit_test(no_kick_is_lost),
        cmocka_unit_test(a_signal_handler_may_kick),
        cmocka_unit_test(a_tick_may_kick_its_own_timer),
        cmocka_unit_test(an_elastic_sleep_lasts_until_what_was_said_last),
        cmocka_unit_test(who_puts_a_sleep_off_wakes_nobody),
        cmocka_unit_test(an_elastic_sleep_ends_with_a_kick_and_with_the_stop),
        cmocka_unit_test(no_kick_is_lost_on_who_is_put_off),
        cmocka_unit_test(without_a_descriptor_no_sleep_is_elastic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
