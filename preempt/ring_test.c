/* SPDX-License-Identifier: MIT */
/* What the handler does when the thread's own alarm goes off. The test's thread
 * is the one that is interrupted. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/preempt/signals.h"
#include "weft/preempt/thread.h"

static struct weft_thread thread;
static volatile sig_atomic_t asked, wanted, cut_short, preempted, alarms;
static volatile sig_atomic_t stranger;

static bool look(void *arg, struct weft_interrupt *interrupt) {
    (void)arg;
    cut_short += interrupt->cut_short;
    alarms += interrupt->alarm;
    asked++;
    return wanted != 0 && weft_gate_is_closed(&interrupt->thread->gate);
}

static void preempt(void *arg, struct weft_interrupt *interrupt) {
    (void)arg;
    (void)interrupt;
    preempted++;
    errno = 77;
}

static void somebody_elses(int number) {
    (void)number;
    stranger++;
}

static int set_up(void **state) {
    struct weft_signals_config config = {
        .mode = WEFT_PREEMPT_SIGNAL, .alarm = look, .preempt = preempt};
    struct sigaction before = {.sa_handler = somebody_elses};
    (void)state;
    sigaction(SIGURG, &before, NULL);
    asked = cut_short = preempted = alarms = stranger = 0;
    wanted = 1;
    if (weft_signals_install(&config) != 0) {
        return -1;
    }
    weft_thread_enter(&thread);
    weft_gate_open(&thread.gate);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    weft_gate_close(&thread.gate);
    weft_thread_leave();
    return weft_signals_uninstall();
}

/* Computes until `*word` is `count`. */
static void wait_for(volatile sig_atomic_t *word, int count) {
    while (*word < count) {
    }
}

static void set(uint64_t ns) {
    assert_true(weft_alarm_set(&thread.alarm, weft_clock_now() + ns));
}

static void it_asks_whether_to_preempt_and_does(void **state) {
    (void)state;
    errno = 5;
    set(500 * WEFT_US);
    wait_for(&preempted, 1);
    assert_int_equal(errno, 5);
    assert_int_equal(asked, 1);
    assert_int_equal(alarms, 1);
    wanted = 0;
    set(500 * WEFT_US);
    wait_for(&asked, 2);
    assert_int_equal(preempted, 1);
    assert_int_equal(cut_short, 0);
    assert_int_equal(stranger, 0);
    struct weft_preempt_counters counters = {0};
    weft_thread_counters(&thread, &counters);
    assert_true(counters.alarms >= 2); /* put off in a library, it comes again */
    assert_int_equal(counters.kept, 1);
    assert_int_equal(counters.deliveries, 0);
}

static void at_a_closed_gate_it_leaves_a_note(void **state) {
    (void)state;
    weft_gate_close(&thread.gate);
    set(0);
    while (!weft_gate_is_pending(&thread.gate)) {
    }
    assert_int_equal(asked, 0);
    assert_true(thread.rang);
    assert_true(weft_gate_open(&thread.gate));
    assert_int_equal(preempted, 0);
}

/* The clock's text is not the program's: it is put off, and comes again. */
static void in_a_library_it_is_put_off_and_comes_again(void **state) {
    struct weft_preempt_counters counters = {0};
    struct timespec nap = {.tv_nsec = 30 * 1000 * 1000};
    (void)state;
    set(5 * WEFT_MS);
    while (nanosleep(&nap, &nap) != 0) { /* where it is twice in a row */
    }
    wait_for(&preempted, 1);
    weft_thread_counters(&thread, &counters);
    assert_true(counters.deferred_libc <= 2);
    assert_int_equal(counters.alarms, counters.deferred_libc + 1);
}

/* The kernel keeps one signal of a kind for a thread, and throws a second one
 * away. */
static void a_request_that_meets_a_waiting_alarm_is_answered(void **state) {
    sigset_t urgent, waiting;
    (void)state;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    for (int i = 1; i <= 10; i++) {
        pthread_sigmask(SIG_BLOCK, &urgent, NULL);
        set(0);
        do {
            sigpending(&waiting);
        } while (!sigismember(&waiting, SIGURG));
        assert_true(weft_signals_request(&thread, weft_clock_now()));
        pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
        wait_for(&asked, i);
        while (atomic_load_explicit(&thread.in_flight, memory_order_relaxed) !=
               0) {
        }
    }
    struct weft_preempt_counters counters = {0};
    weft_thread_counters(&thread, &counters);
    assert_int_equal(counters.deliveries, 10);
    assert_int_equal(stranger, 0);
}

static void a_call_that_it_cuts_short_is_known(void **state) {
    struct timespec nap = {.tv_nsec = 200 * 1000 * 1000};
    (void)state;
    wanted = 0;
    set(10 * WEFT_MS);
    assert_int_equal(nanosleep(&nap, NULL), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(cut_short, 1);
}

static void feed(union sigval pipe) {
    while (asked == 0) {
        usleep(100);
    }
    (void)!write(pipe.sival_int, "x", 1);
}

static void a_call_that_begins_again_is_not_cut_short(void **state) {
    struct itimerspec soon = {.it_value.tv_nsec = 1000 * 1000};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_notify_function = feed};
    timer_t writer;
    int fd[2];
    char byte;
    (void)state;
    wanted = 0;
    assert_int_equal(pipe(fd), 0);
    event.sigev_value.sival_int = fd[1];
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &writer), 0);
    assert_int_equal(timer_settime(writer, 0, &soon, NULL), 0);
    set(10 * WEFT_MS);
    assert_int_equal(read(fd[0], &byte, 1), 1);
    assert_int_equal(asked, 1);
    assert_int_equal(cut_short, 0);
    timer_delete(writer);
    close(fd[0]);
    close(fd[1]);
}

static void who_has_left_has_no_alarm(void **state) {
    (void)state;
    set(10 * WEFT_MS);
    weft_gate_close(&thread.gate);
    weft_thread_leave();
    usleep(20000);
    assert_int_equal(asked, 0);
    assert_int_equal(stranger, 0);
    weft_thread_enter(&thread);
    weft_gate_open(&thread.gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_asks_whether_to_preempt_and_does,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_a_closed_gate_it_leaves_a_note,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            in_a_library_it_is_put_off_and_comes_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_request_that_meets_a_waiting_alarm_is_answered, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_call_that_it_cuts_short_is_known,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_call_that_begins_again_is_not_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_left_has_no_alarm, set_up,
                                        tear_down),
    };
    /* Under ThreadSanitizer signals wait for the next call into libc. */
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL) != WEFT_PREEMPT_SIGNAL) {
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
