/* SPDX-License-Identifier: MIT */
/* The slice of EEVDF (Linux 6.12, sched_attr.sched_runtime of SCHED_OTHER),
 * which needs no privilege. The rest of the thread's attributes stays as it is.
 */
#include "weft/base/slice.h"

#include <sys/syscall.h>

#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

/* sched_setattr(2)'s own structure, which older libc headers lack. */
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

WEFT_TEXT uint64_t weft_thread_slice_is(void) {
    struct scheduling how = {0};
#ifdef SYS_sched_getattr
    (void)weft_syscall(SYS_sched_getattr, 0, (long)&how, sizeof(how), 0, 0, 0);
#endif
    return how.runtime;
}

WEFT_TEXT bool weft_thread_slice(uint64_t ns) {
#if defined(SYS_sched_setattr) && defined(SYS_sched_getattr)
    struct scheduling how = {0};
    if (weft_syscall(SYS_sched_getattr, 0, (long)&how, sizeof(how), 0, 0, 0) !=
        0) {
        return false;
    }
    how.size = sizeof(how);
    how.runtime = ns;
    return weft_syscall(SYS_sched_setattr, 0, (long)&how, 0, 0, 0, 0) == 0;
#else
    (void)ns;
    return false;
#endif
}
