/* SPDX-License-Identifier: MIT */
/* A buffer in front of weft_read(), for protocols of lines and of counted
 * bytes. The memory is the caller's, so a reader needs no end.
 *
 * One task at a time uses a reader, and nobody else reads from its descriptor.
 * After any error what had come stays in the buffer: after -ETIMEDOUT the same
 * call may be made again and goes on where it was.
 *
 * All that wait return the errors of weft_read(). Context of those: task, may
 * switch; of init: anywhere. */
#ifndef WEFT_IO_READER_H_
#define WEFT_IO_READER_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_reader {
    int fd;       /* fixed */
    char *buffer; /* fixed */
    size_t size;  /* fixed: of the buffer */
    size_t begin; /* what has come and was not given out: [begin, end) */
    size_t end;
};

/* Makes `reader` read from `fd` (weft/io/io.h) by way of `buffer` of `size`
 * bytes, 2 and more; both live as long as it. */
void weft_reader_init(struct weft_reader *reader, int fd, void *buffer,
                      size_t size);

/* Gives what there is, up to `size` bytes. Returns their number, 0 at the end
 * of the stream. */
ssize_t weft_reader_read(struct weft_reader *reader, void *data, size_t size,
                         uint64_t deadline);

/* Gives just `size` bytes. Returns `size`, or -ENODATA when the stream ended
 * before (what had come can be read by weft_reader_read()); -EMSGSIZE when
 * `size` is not less than the buffer's. */
ssize_t weft_reader_exact(struct weft_reader *reader, void *data, size_t size,
                          uint64_t deadline);

/* Puts the bytes up to the next `delimiter`, with it, into `*piece`: it lies in
 * the buffer and is good until the next call. Returns how many they are; at the
 * end of the stream what was left, without a delimiter, then 0; -EMSGSIZE when
 * the buffer is full and no delimiter in it. */
ssize_t weft_reader_until(struct weft_reader *reader, char delimiter,
                          char **piece, uint64_t deadline);

/* The same up to the end of the line, of which `*line` has no "\n" or "\r\n"
 * but a terminator. Returns how many bytes were taken from the stream, at least
 * 1; 0 at its end; -EMSGSIZE for a line that does not fit with its terminator.
 */
ssize_t weft_reader_line(struct weft_reader *reader, char **line,
                         uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
