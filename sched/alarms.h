/* SPDX-License-Identifier: MIT */
/* Workers' own alarms, beside the monitor: see alarms.c. Part of core.h's
 * target. */
#ifndef WEFT_SCHED_ALARMS_H_
#define WEFT_SCHED_ALARMS_H_

#include "weft/sched/core.h"

/* A slice begins on `p`, and it (`timed`) or the last one is timed (share.c).
 * Owner, on the thread of `w`, which runs the task. */
void weft_alarms_slice(struct weft_worker *w, struct weft_processor *p,
                       bool timed, uint64_t now);

/* The alarm of `w`, the caller, has gone off: does what is due. True when the
 * running task is to be preempted (asked_seq says so, too). Gate closed. */
bool weft_alarms_look(struct weft_worker *w);

/* What the timed slice on `p`, which began at `began`, has used of `used`, the
 * CPU time of its thread: without what went by while its alarm was overdue.
 * Owner, on the thread of its worker. */
uint64_t weft_alarms_used(struct weft_processor *p, uint64_t began,
                          uint64_t used);

/* Does the alarm of some worker see to a timer that is due at `when`? Then how
 * long it may take, in ns; else 0. Any thread; a snapshot. */
uint64_t weft_alarms_grace(struct weft_runtime *rt, uint64_t when);

/* `w`, the caller, has no hog's slice any more, or (the monitor) loses its
 * processor: it may sleep in the kernel now, and is not to be signalled. */
static inline void weft_alarms_rest(struct weft_worker *w) {
    weft_alarm_stop(&w->thread.alarm);
}

/* watch.c: how old the slice on `p` must be before a light task takes its
 * place; `quantum` is weft_quantum(). Any thread. */
uint64_t weft_light_may_come(struct weft_processor *p, uint64_t quantum);

/* Decides whether alarms are used; once, before the first worker. */
void weft_alarms_start(struct weft_runtime *rt);

#endif
