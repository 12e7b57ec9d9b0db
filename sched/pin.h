/* SPDX-License-Identifier: MIT */
/* Tasks that stay on a thread, which sleeps with them: what keep.c
 * (interrupted) and pin.c (pinned) have in common. Part of core.h's target.
 *
 * Always true: who sleeps with a task has its gate closed and holds neither a
 * lock nor a processor; the task is bound to it. */
#ifndef WEFT_SCHED_PIN_H_
#define WEFT_SCHED_PIN_H_

#include "weft/sched/core.h"

/* keep.c, in this order; between the first and the last the task is put where
 * others find it, and the processor given away. */
void weft_bind(struct weft_worker *w, struct weft_task *t);
struct weft_worker *weft_host(const struct weft_processor *p,
                              struct weft_task **n);
void weft_sleep_with_task(struct weft_worker *w, struct weft_task *t);

/* pin.c */
struct weft_worker *weft_stay(struct weft_worker *w, struct weft_task *n,
                              enum weft_after after);
void weft_pin_ended(struct weft_worker *w, struct weft_task *t);

#endif
