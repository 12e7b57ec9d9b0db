/* SPDX-License-Identifier: MIT */
/* FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so a wait that is
 * interrupted and begun again does not grow longer. */
#include "weft/base/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

WEFT_TEXT int weft_futex_wait(_Atomic uint32_t *word, uint32_t expected,
                              uint64_t deadline) {
    struct timespec until;
    struct timespec *limit = NULL;
    if (deadline != WEFT_FOREVER) {
        until = weft_ns_timespec(deadline);
        limit = &until;
    }
    return (int)weft_syscall(
        SYS_futex, (long)word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
        (long)expected, (long)limit, 0, (long)FUTEX_BITSET_MATCH_ANY);
}

WEFT_TEXT int weft_futex_wake(_Atomic uint32_t *word, int count) {
    return (int)weft_syscall(SYS_futex, (long)word,
                             FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, 0, 0, 0);
}
