/* SPDX-License-Identifier: MIT */
/* What happens at the cap on threads: see reserve.c. For the files of core.h's
 * target. Context of all: inside the runtime. */
#ifndef WEFT_SCHED_RESERVE_H_
#define WEFT_SCHED_RESERVE_H_

#include "weft/sched/core.h"

uint32_t weft_reserve_cap(struct weft_runtime *rt);
void weft_reserve_note(struct weft_runtime *rt);
bool weft_reserve_keep(struct weft_worker *w);
void weft_reserve_add(struct weft_worker *w);
void weft_reserve_refused(struct weft_runtime *rt);
void weft_reserve_open(struct weft_runtime *rt);
void weft_reserve_release(struct weft_runtime *rt);
bool weft_reserve_bars(struct weft_runtime *rt, const struct weft_task *t);
struct weft_task *weft_reserve_hold(struct weft_runtime *rt,
                                    struct weft_task *t);
struct weft_task *weft_reserve_admit(struct weft_runtime *rt);
bool weft_reserve_admits(struct weft_runtime *rt);
void weft_reserve_watch(struct weft_runtime *rt, uint64_t now);
void weft_reserve_say(struct weft_runtime *rt);
void weft_reserve_print(struct weft_runtime *rt);

/* Are all threads there that may be, and few of them spare? */
static inline bool weft_reserve_is_low(struct weft_runtime *rt) {
    return atomic_load_explicit(&rt->tight, memory_order_relaxed);
}

#endif
