/* SPDX-License-Identifier: MIT */
/* Always true: either both ends are handed out, or none is open. */
#include "weft/io/pipe.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/operation.h"

int weft_pipe(int ends[2]) {
    int fds[2];
    long error =
        weft_syscall(SYS_pipe2, (long)fds, O_NONBLOCK | O_CLOEXEC, 0, 0, 0, 0);
    return error < 0 ? (int)error
                     : weft_io_hand_out_both(fds, WEFT_DESCRIPTOR_PIPE, ends);
}
