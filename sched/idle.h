/* SPDX-License-Identifier: MIT */
/* The lists of idle processors and spare workers, for who takes of both at
 * once: see idle.c. Under idle->lock, in the runtime. */
#ifndef WEFT_SCHED_IDLE_H_
#define WEFT_SCHED_IDLE_H_

#include "weft/sched/core.h"

/* One of `node` among the first few, else the first; NULL: none. */
struct weft_worker *weft_spare_pop_locked(struct weft_idle *idle,
                                          unsigned node);
struct weft_processor *weft_idle_pop_locked(struct weft_idle *idle,
                                            unsigned node);

#endif
