/* SPDX-License-Identifier: MIT */
/* A thread's own alarm: SIGURG to that very thread at a moment on the clock, by
 * a POSIX timer (SIGEV_THREAD_ID).
 *
 * The clock's interrupt comes on the CPU on which the alarm was set, and the
 * thread that computes there is in its handler when that interrupt returns: no
 * other thread has to be woken, and none has to get a CPU. It is late by some
 * 20 us on a machine however busy.
 *
 * Always true:
 * - An alarm goes off once for each time it is set, at most.
 * - The kernel's timer is made when the alarm is first set. Where it cannot be
 *   had (RLIMIT_SIGPENDING counts them) the alarm never goes off, and says so.
 * - The signal carries the alarm's address: see weft_alarm_is(). */
#ifndef WEFT_PREEMPT_ALARM_H_
#define WEFT_PREEMPT_ALARM_H_

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/base/atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_alarm {
    /* Who may set it writes, others read: for when it is set; 0: it is not. */
    WEFT_ATOMIC(uint64_t) when;
    /* Who may set it, and the handler. */
    uint64_t rang_at; /* the last time, in ns */
    uint64_t late; /* ns that it has been late since weft_alarm_forget_late() */
    int id;        /* the kernel's timer, -1 while there is none */
    bool refused;  /* there will be none */
    pid_t tid;     /* fixed */
};

/* An alarm of the thread `tid` of this process, not set.
 * Context: before anybody else sees it. */
void weft_alarm_init(struct weft_alarm *alarm, pid_t tid);

/* Has it go off at `when` (ns on CLOCK_MONOTONIC, not 0; one that has passed
 * means at once) and not before, whatever it was set to. False: there is no
 * timer for it. Some 0.5 us. Context: the alarm's thread, signal handlers too;
 * or one that knows that thread to be elsewhere. No errno. */
bool weft_alarm_set(struct weft_alarm *alarm, uint64_t when);

/* It shall not go off. A signal that is on its way may still come. Nothing when
 * it is not set. Context: as weft_alarm_set(). */
void weft_alarm_stop(struct weft_alarm *alarm);

/* For how long it ought to have gone off at `now`, or 0.
 * Context: as weft_alarm_set(). */
static inline uint64_t weft_alarm_overdue(const struct weft_alarm *alarm,
                                          uint64_t now) {
    uint64_t when = atomic_load_explicit(&alarm->when, memory_order_relaxed);
    return when != 0 && when < now ? now - when : 0;
}

/* It has gone off, at `now`. Context: the handler. */
static inline void weft_alarm_rang(struct weft_alarm *alarm, uint64_t now) {
    alarm->late += weft_alarm_overdue(alarm, now);
    alarm->rang_at = now;
    atomic_store_explicit(&alarm->when, 0, memory_order_relaxed);
}

/* Begins to count anew how late it is. Context: as weft_alarm_set(). */
static inline void weft_alarm_forget_late(struct weft_alarm *alarm) {
    alarm->late = 0;
}

/* Its handler has been at work since it rang, up to `now`: that is as being
 * late. Context: the handler. */
static inline void weft_alarm_add_handler(struct weft_alarm *alarm,
                                          uint64_t now) {
    alarm->late += now - alarm->rang_at;
}

/* How late it was each time since weft_alarm_forget_late(), and is now, in all,
 * in ns. A thread that computes is interrupted by its alarm at once: so for
 * that long it did not, whatever its clock of CPU time says. Context: as
 * weft_alarm_set(). */
static inline uint64_t weft_alarm_late(const struct weft_alarm *alarm,
                                       uint64_t now) {
    return alarm->late + weft_alarm_overdue(alarm, now);
}

/* Gives the kernel's timer back; the alarm is as after weft_alarm_init().
 * Context: as weft_alarm_set(). */
void weft_alarm_fini(struct weft_alarm *alarm);

/* When it is to go off; 0: it is not set. Context: any thread; a snapshot. */
static inline uint64_t weft_alarm_when(const struct weft_alarm *alarm) {
    return atomic_load_explicit(&alarm->when, memory_order_relaxed);
}

/* Is a signal with this information `alarm`'s? Context: signal handlers. */
bool weft_alarm_is(const struct weft_alarm *alarm, const siginfo_t *info);

#ifdef __cplusplus
}
#endif

#endif
