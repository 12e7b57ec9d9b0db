/* SPDX-License-Identifier: MIT */
/* The alarm is a POSIX timer on CLOCK_MONOTONIC that signals one thread.
 *
 * All system calls are made without libc: an alarm is set in a signal handler,
 * on whatever was interrupted there.
 *
 * `when` is written before the kernel knows, since the handler may run inside
 * the call, and cleared by that handler or by who stops it. So a reader on
 * another thread may see a time at which nothing will come; who relies on an
 * alarm must be able to do without.
 *
 * Rejected:
 * - CLOCK_THREAD_CPUTIME_ID, which would never interrupt a thread that sleeps:
 *   the kernel looks at it at its tick, each 4 ms at 250 Hz, and no sooner.
 * - perf_event_open(2)'s PERF_COUNT_SW_TASK_CLOCK, which does it with a timer
 *   of high resolution and only in user mode: a descriptor for each thread, and
 *   most systems and containers refuse it to who is not root.
 * - SIGEV_SIGNAL, which since Linux 6.4 prefers the thread that runs: where
 *   none of the process does, some other thread's call is cut short. */
#include "weft/preempt/alarm.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

#ifndef sigev_notify_thread_id /* as the manual calls it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

WEFT_TEXT void weft_alarm_init(struct weft_alarm *alarm, pid_t tid) {
    *alarm = (struct weft_alarm){.id = -1, .tid = tid};
}

WEFT_TEXT static bool make(struct weft_alarm *alarm) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = SIGURG,
                             .sigev_value.sival_ptr = alarm};
    event.sigev_notify_thread_id = alarm->tid;
    int id = -1;
    alarm->refused = weft_syscall(SYS_timer_create, CLOCK_MONOTONIC,
                                  (long)&event, (long)&id, 0, 0, 0) != 0;
    alarm->id = alarm->refused ? -1 : id;
    return !alarm->refused;
}

WEFT_TEXT static bool arm(const struct weft_alarm *alarm, uint64_t when) {
    struct itimerspec at = {.it_value = weft_ns_timespec(when)};
    return weft_syscall(SYS_timer_settime, alarm->id, TIMER_ABSTIME, (long)&at,
                        0, 0, 0) == 0;
}

WEFT_TEXT bool weft_alarm_set(struct weft_alarm *alarm, uint64_t when) {
    if (WEFT_UNLIKELY(alarm->id < 0) && (alarm->refused || !make(alarm))) {
        return false;
    }
    /* Before: the handler may run inside the call. */
    atomic_store_explicit(&alarm->when, when, memory_order_relaxed);
    if (WEFT_UNLIKELY(!arm(alarm, when))) {
        atomic_store_explicit(&alarm->when, 0, memory_order_relaxed);
        return false;
    }
    return true;
}

WEFT_TEXT void weft_alarm_stop(struct weft_alarm *alarm) {
    if (weft_alarm_when(alarm) != 0) {
        atomic_store_explicit(&alarm->when, 0, memory_order_relaxed);
        (void)arm(alarm, 0);
    }
}

WEFT_TEXT void weft_alarm_fini(struct weft_alarm *alarm) {
    if (alarm->id >= 0) {
        weft_syscall(SYS_timer_delete, alarm->id, 0, 0, 0, 0, 0);
    }
    weft_alarm_init(alarm, alarm->tid);
}

WEFT_TEXT bool weft_alarm_is(const struct weft_alarm *alarm,
                             const siginfo_t *info) {
    return info->si_code == SI_TIMER && info->si_value.sival_ptr == alarm;
}
