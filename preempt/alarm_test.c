/* SPDX-License-Identifier: MIT */
/* An alarm alone, with a handler of the test's own. */
#include "weft/preempt/alarm.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

enum { THREADS = 4 };

static struct weft_alarm mine;
static volatile sig_atomic_t calls, strange;
static _Atomic uint64_t rang_at;

static pid_t here(void) {
    return (pid_t)weft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static void handle(int number, siginfo_t *info, void *ucontext) {
    (void)number;
    (void)ucontext;
    if (!weft_alarm_is(&mine, info) || here() != mine.tid) {
        strange++;
        return;
    }
    weft_alarm_rang(&mine, weft_clock_now());
    atomic_store_explicit(&rang_at, weft_clock_now(), memory_order_relaxed);
    calls++;
}

static int set_up(void **state) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    (void)state;
    sigaction(SIGURG, &action, NULL);
    calls = strange = 0;
    weft_alarm_init(&mine, here());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    weft_alarm_fini(&mine);
    return 0;
}

static void wait_for(int count) {
    uint64_t limit = weft_clock_now() + 10 * WEFT_S;
    while (calls < count && weft_clock_now() < limit) {
    }
    assert_int_equal(calls, count);
}

static void it_goes_off_once_and_not_before_its_time(void **state) {
    (void)state;
    for (int i = 1; i <= 20; i++) {
        uint64_t when = weft_clock_now() + 200 * WEFT_US;
        assert_true(weft_alarm_set(&mine, when));
        wait_for(i);
        assert_true(atomic_load_explicit(&rang_at, memory_order_relaxed) >=
                    when);
        assert_int_equal(weft_alarm_when(&mine), 0);
    }
    usleep(2000);
    assert_int_equal(calls, 20);
    assert_int_equal(strange, 0);
}

static void a_time_that_has_passed_means_at_once(void **state) {
    (void)state;
    assert_true(weft_alarm_set(&mine, weft_clock_now() - WEFT_S));
    wait_for(1);
}

static void setting_it_again_moves_it(void **state) {
    (void)state;
    uint64_t now = weft_clock_now();
    assert_true(weft_alarm_set(&mine, now + 1000 * WEFT_S));
    assert_int_equal(weft_alarm_when(&mine), now + 1000 * WEFT_S);
    assert_true(weft_alarm_set(&mine, now + WEFT_MS));
    wait_for(1);
    assert_true(weft_alarm_set(&mine, now + 1000 * WEFT_S));
    usleep(2000);
    assert_int_equal(calls, 1);
}

static void a_stopped_one_is_silent(void **state) {
    (void)state;
    weft_alarm_stop(&mine); /* which was never set */
    for (int i = 0; i < 20; i++) {
        assert_true(weft_alarm_set(&mine, weft_clock_now() + 5 * WEFT_S));
        weft_alarm_stop(&mine);
        assert_int_equal(weft_alarm_when(&mine), 0);
    }
    assert_true(weft_alarm_set(&mine, weft_clock_now() + 20 * WEFT_MS));
    weft_alarm_stop(&mine);
    usleep(30000);
    assert_int_equal(calls, 0);
}

static void after_its_end_it_can_be_set_anew(void **state) {
    (void)state;
    assert_true(weft_alarm_set(&mine, weft_clock_now() + 20 * WEFT_MS));
    weft_alarm_fini(&mine);
    usleep(30000);
    assert_int_equal(calls, 0);
    assert_true(weft_alarm_set(&mine, weft_clock_now()));
    wait_for(1);
}

/* Somebody else's thread: its signal goes there, whoever sets it. */
static void *compute(void *stop) {
    struct weft_alarm *alarm = &mine;
    weft_alarm_init(alarm, here());
    assert_true(weft_alarm_set(alarm, weft_clock_now() + WEFT_MS));
    while (calls == 0) {
    }
    return stop;
}

static void it_finds_its_thread_among_others(void **state) {
    pthread_t thread;
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        calls = 0;
        assert_int_equal(pthread_create(&thread, NULL, compute, NULL), 0);
        pthread_join(thread, NULL);
        assert_int_equal(calls, 1);
        assert_int_equal(strange, 0);
        weft_alarm_fini(&mine);
    }
}

static void where_there_are_no_timers_it_says_so(void **state) {
    struct rlimit before, none = {0, 0};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    struct weft_alarm other;
    weft_alarm_init(&other, here());
    bool set = weft_alarm_set(&other, weft_clock_now() + WEFT_S);
    assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &before), 0);
    if (set) {
        weft_alarm_fini(&other);
        skip(); /* an emulator, which does not count */
    }
    assert_int_equal(weft_alarm_when(&other), 0);
    assert_false(weft_alarm_set(&other, weft_clock_now() + WEFT_S));
    weft_alarm_stop(&other);
    weft_alarm_fini(&other); /* and may be tried again */
    assert_true(weft_alarm_set(&other, weft_clock_now() + 1000 * WEFT_S));
    weft_alarm_fini(&other);
}

static void a_timer_of_somebody_elses_is_told_apart(void **state) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGURG,
                             .sigev_value.sival_ptr = &event};
    struct itimerspec soon = {.it_value.tv_nsec = 1};
    timer_t timer;
    (void)state;
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
    while (strange == 0) {
    }
    assert_int_equal(calls, 0);
    timer_delete(timer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            it_goes_off_once_and_not_before_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_time_that_has_passed_means_at_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(setting_it_again_moves_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stopped_one_is_silent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(after_its_end_it_can_be_set_anew,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_finds_its_thread_among_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_there_are_no_timers_it_says_so,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_of_somebody_elses_is_told_apart,
                                        set_up, tear_down),
    };
    /* ThreadSanitizer keeps signals back until the next call into libc. */
    return WEFT_TSAN ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
