/* SPDX-License-Identifier: MIT */
/* Signals of the program's own: handlers at 1 kHz, which are interrupted like
 * any other code and interrupt a task that sleeps in weft's handler; and calls
 * that wait for a signal.
 *
 * A timer of a task's own sends to the thread that the task is on, for as long
 * as the round lasts. */
#define _GNU_SOURCE /* gettid(), sigev_notify_thread_id */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { MANY = 16 }; /* more tasks than that would do nothing but handle */

static int create_timer(int number, timer_t *timer) {
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = number;
    event.sigev_notify_thread_id = gettid();
    return timer_create(CLOCK_MONOTONIC, &event, timer);
}

/* An emulator has but few of them. */
static bool has_timers(void) {
    return !storm_is_emulated();
}

/* Sends `number` to the calling thread after `us`, and every `us` if `again`.
 */
static timer_t start_timer(int number, long us, bool again) {
    timer_t timer;
    struct itimerspec when = {.it_value.tv_nsec = us * 1000};
    if (again) {
        when.it_interval = when.it_value;
    }
    WEFT_CHECK_OP(create_timer(number, &timer), ==, 0);
    WEFT_CHECK_OP(timer_settime(timer, 0, &when, NULL), ==, 0);
    return timer;
}

/* --- handlers
 * ------------------------------------------------------------------ */

static struct sigaction before;
static _Atomic uint64_t handled;
static _Thread_local int inside;

static void handle(int number) {
    int saved = errno;
    uint64_t sum = 0;
    WEFT_CHECK_OP(number, ==, SIGALRM);
    WEFT_CHECK_OP(inside, ==, 0); /* it is blocked meanwhile */
    inside = inside + 1;
    errno = 12345;
    for (volatile unsigned i = 0; i < 1000; i = i + 1) {
        sum += i;
    }
    WEFT_CHECK_OP(sum, ==, 999UL * 1000 / 2);
    WEFT_CHECK_OP(errno, ==, 12345);
    WEFT_CHECK_OP(inside, ==, 1);
    inside = inside - 1;
    atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
    errno = saved;
}

/* Not for ThreadSanitizer: a signal that comes while weft_run() is in
 * pthread_join() it handles at once, even within its own free(). */
static bool start_alarms(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 1000}, {0, 1000}};
    atomic_store_explicit(&handled, 0, memory_order_relaxed);
    return !WEFT_TSAN && sigaction(SIGALRM, &action, &before) == 0 &&
           setitimer(ITIMER_REAL, &often, NULL) == 0;
}

static void stop_alarms(uint64_t rounds) {
    struct itimerval never = {{0, 0}, {0, 0}};
    (void)rounds;
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    WEFT_CHECK_OP(atomic_load_explicit(&handled, memory_order_relaxed), !=,
                  0UL);
}

static void be_alarmed(struct storm_task *self) {
    bool own = self->index < MANY && has_timers();
    timer_t timer = own ? start_timer(SIGALRM, 1000, true) : NULL;
    uint64_t sum = 0;
    errno = 4321;
    for (volatile unsigned i = 0; i < 300000; i = i + 1) {
        sum += i;
    }
    WEFT_CHECK_OP(sum, ==, 299999UL * 300000 / 2);
    WEFT_CHECK_OP(errno, ==, 4321);
    WEFT_CHECK_OP(inside, ==, 0);
    if (own) {
        WEFT_CHECK_OP(timer_delete(timer), ==, 0);
    }
}

STORM_KIND(alarms, be_alarmed, start_alarms, stop_alarms);

/* --- waiting for a signal
 * ------------------------------------------------------ */

enum { WAIT_US = 200 };

static _Thread_local volatile sig_atomic_t noted;

static void note(int number) {
    (void)number;
    noted = 1;
}

static int handled_signal(void) {
    return SIGRTMIN + 3;
}

static int waited_signal(void) {
    return SIGRTMIN + 4;
}

static bool install_note(void) {
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    return has_timers() && sigaction(handled_signal(), &action, NULL) == 0;
}

/* The timer goes on, so that one signal before pause() is not the last. */
static void wait_by_pause(void) {
    noted = 0;
    timer_t timer = start_timer(handled_signal(), WAIT_US, true);
    while (!noted) {
        WEFT_CHECK_OP(pause(), ==, -1);
        WEFT_CHECK_OP(errno, ==, EINTR); /* also for nothing */
    }
    WEFT_CHECK_OP(timer_delete(timer), ==, 0);
}

static void block(int number, sigset_t *set, sigset_t *old) {
    sigemptyset(set);
    sigaddset(set, number);
    WEFT_CHECK_OP(pthread_sigmask(SIG_BLOCK, set, old), ==, 0);
}

static void wait_by_sigsuspend(void) {
    sigset_t set, old;
    noted = 0;
    block(handled_signal(), &set, &old);
    timer_t timer = start_timer(handled_signal(), WAIT_US, false);
    while (!noted) {
        WEFT_CHECK_OP(sigsuspend(&old), ==, -1);
        WEFT_CHECK_OP(errno, ==, EINTR);
    }
    WEFT_CHECK_OP(timer_delete(timer), ==, 0);
    WEFT_CHECK_OP(pthread_sigmask(SIG_SETMASK, &old, NULL), ==, 0);
}

static int take_by_sigwaitinfo(const sigset_t *set) {
    int number;
    do {
        number = sigwaitinfo(set, NULL);
    } while (number == -1 && errno == EINTR);
    return number;
}

static int take_by_sigtimedwait(const sigset_t *set) {
    struct timespec slice = {.tv_nsec = 100000};
    int number;
    do {
        number = sigtimedwait(set, NULL, &slice);
    } while (number == -1 && (errno == EINTR || errno == EAGAIN));
    return number;
}

static int take_by_sigwait(const sigset_t *set) {
    int number = -1;
    WEFT_CHECK_OP(sigwait(set, &number), ==, 0);
    return number;
}

static void take(int (*fn)(const sigset_t *)) {
    sigset_t set, old;
    block(waited_signal(), &set, &old);
    timer_t timer = start_timer(waited_signal(), WAIT_US, false);
    WEFT_CHECK_OP(fn(&set), ==, waited_signal());
    WEFT_CHECK_OP(timer_delete(timer), ==, 0);
    WEFT_CHECK_OP(pthread_sigmask(SIG_SETMASK, &old, NULL), ==, 0);
}

static void wait_for_signals(struct storm_task *self) {
    switch ((self->rounds + self->index) % 5) {
        case 0:
            wait_by_pause();
            break;
        case 1:
            wait_by_sigsuspend();
            break;
        case 2:
            take(take_by_sigwaitinfo);
            break;
        case 3:
            take(take_by_sigtimedwait);
            break;
        default:
            take(take_by_sigwait);
            break;
    }
}

STORM_KIND(sigwait_pause, wait_for_signals, install_note, NULL);
