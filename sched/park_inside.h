/* SPDX-License-Identifier: MIT */
/* The ways in and out of the runtime (park.h) without a call, for the few .c
 * files of sync in which tasks wait and wake most.
 *
 * A function that calls nothing on its usual path, and ends in another where
 * the path is not the usual one, needs no frame. So these do what is usual and
 * say when that was not enough.
 *
 * The model checker has tasks of its own, and enters by the function. */
#ifndef WEFT_SCHED_PARK_INSIDE_H_
#define WEFT_SCHED_PARK_INSIDE_H_

#include "weft/sched/core.h"
#include "weft/sched/park.h"

/* runtime.c: weft_runtime_enter(), after the one below has said no. */
struct weft_task *weft_runtime_enter_slowly(void);

/* weft_runtime_enter(), with the calling task in `*task`; false: call
 * weft_runtime_enter_slowly() next. Context: any thread. */
static WEFT_ALWAYS_INLINE bool weft_runtime_enter_quickly(
    struct weft_task **task) {
#ifdef WEFT_MODEL_TASKS
    *task = weft_runtime_enter();
    return true;
#else
    struct weft_worker *w = weft_worker_self();
    if (WEFT_UNLIKELY(w == NULL) || WEFT_UNLIKELY(!weft_enter_as(w))) {
        return false;
    }
    *task = weft_worker_task(w);
    return true;
#endif
}

#endif
