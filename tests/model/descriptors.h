/* SPDX-License-Identifier: MIT */
/* A poller and its records in the checker, for scenarios with descriptors: all
 * of sched/poller.c as it ships, on kernel.h, at the same addresses in each
 * run.
 *
 * Context: scenarios. */
#ifndef WEFT_TESTS_MODEL_DESCRIPTORS_H_
#define WEFT_TESTS_MODEL_DESCRIPTORS_H_

#include <stdint.h>

#include "weft/sched/poller.h"

enum { DESCRIPTORS_BATCH = 4 };

/* The current one; after descriptors_reset(). */
extern struct weft_poller descriptors_poller;

/* A fresh poller on a fresh kernel, and tasks. No descriptor is known. From
 * set_up(). */
void descriptors_reset(void);

/* The same, and socket 0, with nothing to read and no room to write. */
void descriptors_reset_to_one(void);

/* A thread that sleeps in the poller for ever, and one that looks once: both
 * wake those that there is news for. */
void descriptors_poll(void);
void descriptors_look(void);

#endif
