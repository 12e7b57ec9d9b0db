/* SPDX-License-Identifier: MIT */
/* The scheduler's policies: each has one place, and a switch for research.
 *
 *   policy    what it does                                      its place
 *   WAKE_UP   a task that becomes ready takes the place of one  watch.c,
 *             that has had its minimum slice                    weft_watch()
 *   ALARM     a thread that runs a hog is woken by its own      alarms.c
 *             clock when others are due; else the monitor is
 *   POLL      the monitor sleeps in the poller while all        monitor.c
 *             processors are busy; else it looks once a tick
 *   CLASSES   light tasks pass hogs, which keep a share; else   share.c, and
 *             they take turns, one by one                       pick.c
 *   SLICE     the kernel's slices are long for threads of       share.c
 *             hogs, short for others; else as they come
 *   PIN       who gets a processor from one that goes to sleep  ready.c,
 *             wakes on that one's CPU; else where the kernel    weft_processor_
 *             likes                                             give_here()
 *   QUANTUM   the quantum is longer where few wait, shorter     quantum.c
 *             where many do; else as configured
 *   QUIET     no tick and no signal where nobody waits; else    watch.c and
 *             each quantum ends with one                        monitor.c
 *   NODES     processors, threads and memory keep to their      nodes.c
 *             memory node; else it is all one
 *
 * What each is worth: //bench:policy_bench. The switches are read on paths that
 * cost microseconds anyway, never where a task switches to the next. */
#ifndef WEFT_SCHED_POLICY_H_
#define WEFT_SCHED_POLICY_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sched/runtime.h"

/* Context: anywhere. */
static inline bool weft_policy_on(const struct weft_config *config,
                                  enum weft_policy policy) {
    return (config->policies_off & policy) == 0;
}

/* How long a slice may last beside `waiting` hogs, in ns: see quantum.c for the
 * bounds. `config` is settled, with no field 0. Context: anywhere. */
uint64_t weft_quantum(const struct weft_config *config, uint32_t waiting);

#endif
