/* SPDX-License-Identifier: MIT */
/* The monitor's doze: a sleep that the workers put off as long as they pass
 * through the poller. See doze.c. Part of core.h's target. */
#ifndef WEFT_SCHED_DOZE_H_
#define WEFT_SCHED_DOZE_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/compiler.h"

struct weft_look;
struct weft_processor;
struct weft_runtime;

struct weft_doze {
    _Atomic uint32_t on;         /* the monitor dozes; it writes */
    _Atomic uint64_t put_off_at; /* when somebody did so last, or it fell asleep
                                  * by itself; any thread */
    _Atomic uint64_t tick; /* the monitor's, as it fell asleep; it writes */
    uint32_t unrest; /* the monitor's: ticks that it shall be calm before */
};

/* May the monitor doze now that it has looked, as `look` says? It does then,
 * until the time that is returned; 0: no. The monitor's. */
uint64_t weft_doze_begin(struct weft_runtime *rt, const struct weft_look *look);

/* It has woken: what it must know of those that let it wake. The monitor's. */
void weft_doze_end(struct weft_runtime *rt, uint64_t now);

/* `p` has just been seen to be alive. Owner. */
void weft_doze_put_off(struct weft_runtime *rt, struct weft_processor *p);
void weft_doze_note(struct weft_processor *p);

#endif
