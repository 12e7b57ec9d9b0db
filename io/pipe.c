/* SPDX-License-Identifier: MIT */
/* Always true: either both ends are handed out, or none is open. */
#include "weft/io/pipe.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/io.h"
#include "weft/io/operation.h"

int weft_pipe(int ends[2]) {
    int fds[2];
    long error =
        weft_syscall(SYS_pipe2, (long)fds, O_NONBLOCK | O_CLOEXEC, 0, 0, 0, 0);
    if (error < 0) {
        return (int)error;
    }
    error = weft_io_hand_out(fds[0], WEFT_DESCRIPTOR_PIPE);
    if (error < 0) {
        weft_syscall(SYS_close, fds[1], 0, 0, 0, 0, 0);
        return (int)error;
    }
    error = weft_io_hand_out(fds[1], WEFT_DESCRIPTOR_PIPE);
    if (error < 0) {
        weft_close(fds[0]);
        return (int)error;
    }
    ends[0] = fds[0];
    ends[1] = fds[1];
    return 0;
}
