/* SPDX-License-Identifier: MIT */
/* Sums by vectors as wide as the processor has them: 16 bytes everywhere (SSE2,
 * NEON), 32 and 64 where a file for the architecture adds them. */
#include "tests/storm/vectors.h"

VECTOR_KERNEL(sum_16, 16, )

static void sum_by_16(struct storm_task *self) {
    check_sums(self, sum_16);
}

STORM_KIND(vectors_16, sum_by_16, NULL, NULL);
