/* SPDX-License-Identifier: MIT */
/* A buffer in front of weft_write(): many small pieces become few system calls.
 * The memory is the caller's. What was not flushed is not sent: flush before
 * waiting for an answer, and before weft_close().
 *
 * One task at a time uses a writer. After -ETIMEDOUT or -ECANCELED what the
 * kernel has not taken is still in the buffer, and a later flush goes on there.
 *
 * All that wait return the errors of weft_write_some(). Context of those: task,
 * may switch; of init: anywhere. */
#ifndef WEFT_IO_WRITER_H_
#define WEFT_IO_WRITER_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_writer {
    int fd;       /* fixed */
    char *buffer; /* fixed */
    size_t size;  /* fixed: of the buffer */
    size_t begin; /* what is still to be sent: [begin, end) */
    size_t end;
};

/* Makes `writer` write to `fd` (weft/io/io.h) by way of `buffer` of `size`
 * bytes, 1 and more; both live as long as it. */
void weft_writer_init(struct weft_writer *writer, int fd, void *buffer,
                      size_t size);

/* Puts all `size` bytes into the buffer, sending what has no room. Returns
 * `size`, or the error of sending: then `data` was taken in part, and `*taken`,
 * unless NULL, says how much of it, as it does after success. */
ssize_t weft_writer_write(struct weft_writer *writer, const void *data,
                          size_t size, size_t *taken, uint64_t deadline);

/* Sends what is in the buffer. Returns 0, or the error. */
int weft_writer_flush(struct weft_writer *writer, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
