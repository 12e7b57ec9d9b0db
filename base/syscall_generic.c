/* SPDX-License-Identifier: MIT */
/* The portable twin, through libc: errno is put back as it was, and the error
 * becomes a return value at once. */
#include <errno.h>
#include <unistd.h>

#include "weft/base/syscall.h"

long weft_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    int saved = errno;
    long result = syscall(nr, a, b, c, d, e, f);
    if (result == -1) {
        result = -errno;
    }
    errno = saved;
    return result;
}
