/* SPDX-License-Identifier: MIT */
/* From a file into a socket or pipe, without a copy in the program. */
#ifndef WEFT_IO_SENDFILE_H_
#define WEFT_IO_SENDFILE_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sends up to `size` bytes of the regular file `from`, from `*offset` on, to
 * `to`, which weft knows (weft/io/io.h); `*offset` then stands behind the last
 * byte that was sent, after an error too. The file's own place is not touched,
 * and weft need not know it.
 *
 * The disk may have to be read: that is done with the processor given up, at
 * most 256 KiB at a time, and neither deadline nor cancellation ends it within
 * one such piece; while `to` takes nothing, both do.
 *
 * Returns how many bytes were sent, less than `size` only where the file ended.
 * -ETIMEDOUT, -ECANCELED, -EBADF, -EPERM, -ENOMEM as all of weft/io/io.h;
 * -EPIPE (no signal), -ECONNRESET, -EINVAL or -ESPIPE for a `from` that cannot
 * be sent or a negative offset, and others of sendfile(2). Context: task, may
 * switch. */
ssize_t weft_sendfile(int to, int from, off_t *offset, size_t size,
                      uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
