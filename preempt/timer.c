/* SPDX-License-Identifier: MIT */
/* The ticking thread. Its word has three bits:
 *
 *     kicker                        the thread
 *     1. what the tick must see     a. word |= SLEEPING
 *     2. old = word |= KICKED       b. KICKED or STOP in it: do not sleep
 *     3. old has SLEEPING: wake     c. sleep while the word is SLEEPING
 *                                   d. old = word &= STOP   (both others off)
 *                                   e. STOP in old: end; else tick()
 *
 * The word has one order of changes. 2 before a: b sees KICKED. 2 between a and
 * d: the kicker wakes, and if the thread is not asleep yet the kernel finds
 * another word than SLEEPING. 2 after d: KICKED stays for b of the next round,
 * whose tick runs even if the tick of this round saw what 1 did. So every kick
 * has a tick that begins after it. A kicker that finds KICKED set may not save
 * itself step 2: only a read-modify-write is ordered before d, and with it 1.
 *
 * A sleep that may be put off is one in read(2) of a timerfd, since the time of
 * a futex is fixed when the sleep begins. SLEEPING has ELASTIC beside it then,
 * and who would wake the thread has the timerfd go off at once:
 *
 *     who puts it off                   kicker
 *     1. timerfd: later                 1. word |= KICKED
 *     2. KICKED or STOP in the word?    2. timerfd: at once
 *        timerfd: at once
 *
 * The kernel does the two settings one after the other. Is the kicker's the
 * first, the other one's 2 sees its bit.
 *
 * Tried and dropped: a timerfd for all sleeps (a system call more for each, and
 * as late as this at the median); POSIX timers on CPU time, which tick at 250
 * Hz whatever is asked; a condition variable, whose lock a signal handler
 * cannot take. */
#include "weft/preempt/timer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "weft/base/check.h"
#include "weft/base/futex.h"
#include "weft/base/slice.h"
#include "weft/base/syscall.h"

enum { KICKED = 1, SLEEPING = 2, STOP = 4, ELASTIC = 8 };

#define SHORT_SLICE (100 * WEFT_US)

/* Sleeps until `until` or a kick; returns the word it found. A time that has
 * passed is not worth the system call: the kernel would still arm a timer and
 * give the CPU away. */
static uint32_t sleep_until(struct weft_timer *timer, uint64_t until) {
    /* Relaxed: the acquire below comes before anything depends on it. */
    uint32_t word =
        atomic_fetch_or_explicit(&timer->word, SLEEPING, memory_order_relaxed) |
        SLEEPING;
    while (word == SLEEPING && until > weft_clock_now() &&
           weft_futex_wait(&timer->word, SLEEPING, until) != -ETIMEDOUT) {
        word = atomic_load_explicit(&timer->word, memory_order_relaxed);
    }
    /* Acquire: pairs with the releases in weft_timer_kick() and _stop(). */
    return atomic_fetch_and_explicit(&timer->word, STOP, memory_order_acquire);
}

/* Has the timerfd go off at `when`. */
WEFT_TEXT static void set_alarm(struct weft_timer *timer, uint64_t when) {
    struct itimerspec spec = {.it_value = weft_ns_timespec(when)};
    weft_syscall(SYS_timerfd_settime, timer->fd, TFD_TIMER_ABSTIME, (long)&spec,
                 0, 0, 0);
}

/* The same as sleep_until(), but it can be put off. */
static uint32_t sleep_elastic(struct weft_timer *timer, uint64_t until) {
    set_alarm(timer, until);
    uint32_t word = atomic_fetch_or_explicit(&timer->word, SLEEPING | ELASTIC,
                                             memory_order_relaxed) |
                    SLEEPING | ELASTIC;
    while (word == (SLEEPING | ELASTIC)) {
        uint64_t times;
        long n = weft_syscall(SYS_read, timer->fd, (long)&times, sizeof times,
                              0, 0, 0);
        if (n == (long)sizeof times) {
            break;
        }
        WEFT_CHECK_OP(n, ==, -EINTR);
        word = atomic_load_explicit(&timer->word, memory_order_relaxed);
    }
    /* Acquire: pairs with the releases in weft_timer_kick() and _stop(). */
    return atomic_fetch_and_explicit(&timer->word, STOP, memory_order_acquire);
}

static void *run(void *arg) {
    struct weft_timer *timer = arg;
    const char *name = timer->config.name;
    prctl(PR_SET_NAME, name != NULL ? name : "weft-timer", 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    /* Since Linux 6.12 a thread with a shorter slice than the others is chosen
     * sooner when it wakes. */
    timer->short_slice = weft_thread_slice(SHORT_SLICE);

    /* Acquire: pairs with the release in weft_timer_stop(). */
    uint32_t word = atomic_load_explicit(&timer->word, memory_order_acquire);
    while (!(word & STOP)) {
        uint64_t ticks =
            atomic_load_explicit(&timer->ticks, memory_order_relaxed);
        atomic_store_explicit(&timer->ticks, ticks + 1, memory_order_relaxed);
        uint64_t next = timer->config.tick(timer->config.arg, weft_clock_now());
        word = timer->elastic ? sleep_elastic(timer, next)
                              : sleep_until(timer, next);
        timer->elastic = false;
    }
    return NULL;
}

/* Nobody sleeps in it. */
static void close_fd(struct weft_timer *timer) {
    if (timer->fd >= 0) {
        close(timer->fd);
        timer->fd = -1;
    }
}

int weft_timer_start(struct weft_timer *timer,
                     const struct weft_timer_config *config) {
    if (config->tick == NULL) {
        return -EINVAL;
    }
    *timer = (struct weft_timer){.config = *config, .fd = -1};
    if (config->elastic) {
        timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    }
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
    int error = pthread_create(&timer->thread, NULL, run, timer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    timer->started = error == 0;
    if (error != 0) {
        close_fd(timer);
    }
    return -error;
}

void weft_timer_stop(struct weft_timer *timer) {
    if (!timer->started) {
        return;
    }
    WEFT_CHECK(!pthread_equal(pthread_self(), timer->thread));
    /* Release: pairs with the acquires in run() and sleep_until(). */
    uint32_t old =
        atomic_fetch_or_explicit(&timer->word, STOP, memory_order_release);
    if (old & ELASTIC) {
        set_alarm(timer, 1);
    } else {
        weft_futex_wake(&timer->word, 1);
    }
    pthread_join(timer->thread, NULL);
    close_fd(timer);
    timer->started = false;
}

WEFT_TEXT void weft_timer_kick(struct weft_timer *timer) {
    atomic_fetch_add_explicit(&timer->kicks, 1, memory_order_relaxed);
    /* Release: pairs with the acquire in sleep_until(). */
    uint32_t old =
        atomic_fetch_or_explicit(&timer->word, KICKED, memory_order_release);
    if (old == SLEEPING) { /* and nobody else has kicked it awake */
        weft_futex_wake(&timer->word, 1);
    } else if (old == (SLEEPING | ELASTIC)) {
        set_alarm(timer, 1);
    }
}

bool weft_timer_stretch(struct weft_timer *timer) {
    return timer->elastic = timer->fd >= 0;
}

WEFT_TEXT void weft_timer_put_off(struct weft_timer *timer, uint64_t until) {
    set_alarm(timer, until);
    /* Relaxed: the kernel's lock is the order, see above. */
    if (atomic_load_explicit(&timer->word, memory_order_relaxed) &
        (KICKED | STOP)) {
        set_alarm(timer, 1);
    }
}

uint64_t weft_timer_ticks(const struct weft_timer *timer) {
    return atomic_load_explicit(&timer->ticks, memory_order_relaxed);
}

uint64_t weft_timer_kicks(const struct weft_timer *timer) {
    return atomic_load_explicit(&timer->kicks, memory_order_relaxed);
}
