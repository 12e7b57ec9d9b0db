/* SPDX-License-Identifier: MIT */
/* What the compiler calls in every block of a target that is built with
 * WEFT_CHECK_COPTS (bazel/checks.bzl): a poll of the one word. So a loop of the
 * user's own lets others run where there are no signals.
 *
 * It is an ordinary call for the compiler, which therefore keeps what it must
 * in registers that functions preserve; here it is a compare, a branch that is
 * not taken, and a return. Built optimised whatever the build's mode is.
 *
 * Always true: such a call may stand between a failing call and the look at
 * errno, in a comparator that qsort() called, or with a recursive mutex held.
 * So it does what a signal would do there: the caller keeps its OS thread.
 * (weft_check(), which somebody has written down, may move the task.) */
#include "weft/sched/core.h"

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void) {
    if (WEFT_UNLIKELY(weft_anybody_asked())) {
        weft_check_in_place();
    }
}
