/* SPDX-License-Identifier: MIT */
/* Memory that fails at the nth allocation, for the tests of it: a call is made
 * again and again, each time with another of its allocations failing. */
#ifndef WEFT_TESTS_TRIAL_H_
#define WEFT_TESTS_TRIAL_H_

#include "weft/sched/runtime.h"

enum trial_answer {
    TRIAL_MAY,   /* the call may say -ENOMEM, or do without */
    TRIAL_MUST,  /* it needs something that it asks for: it says so at least
                  * once */
    TRIAL_NEVER, /* its header lists no -ENOMEM: it does without */
};

enum { TRIAL_MOST = 150 }; /* allocations in one call, and then some */

/* One worker, and times come only when all wait, so that who sleeps needs a
 * timer. */
extern const struct weft_config trial_config;

/* Makes `call`, which returns 0 or an error and leaves nothing behind, until
 * none of its allocations fails any more, each time in a runtime of its own,
 * which has nothing in reserve. Asserts that it answers as it may, and that
 * neither memory nor descriptors stay. */
void trial_of(const char *name, int (*call)(void), enum trial_answer answer);

/* Allocations and descriptors there are, when nothing runs. */
long trial_count_allocated(void);
int trial_count_open(void);

#endif
