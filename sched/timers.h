/* SPDX-License-Identifier: MIT */
/* Tasks' timers: setting one, and waking those whose time has come. Part of
 * core.h, where the context of each is the inside of the runtime.
 *
 * Always true: what is due is woken in the processor of the worker that calls,
 * as far as there is room. */
#ifndef WEFT_SCHED_TIMERS_H_
#define WEFT_SCHED_TIMERS_H_

#include <stdbool.h>
#include <stdint.h>

struct weft_processor;
struct weft_runtime;
struct weft_task;
struct weft_worker;

/* Arms the timer of `t`, the task that runs on `w`, in the heap of its
 * processor. 0 or -ENOMEM. */
int weft_timer_arm(struct weft_worker *w, struct weft_task *t,
                   uint64_t deadline);

/* Disarms it. False: it has gone off. The task itself. */
bool weft_timer_disarm(struct weft_task *t);

/* Wakes tasks of all heaps whose time has come by `now`, the caller's first;
 * returns how many: 0 when there are none, else perhaps not all. On a thread
 * that is no worker those are left out that a worker is at. Any thread. */
int weft_timers_run(struct weft_runtime *rt, uint64_t now);

/* Between two picks, those of `p` alone. Owner of `p`. */
void weft_timers_run_own(struct weft_processor *p);

#endif
