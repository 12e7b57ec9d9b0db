/* SPDX-License-Identifier: MIT */
/* Always true: each byte that was taken is sent once and in order, or is in
 * [begin, end). So it is sent by weft_write_some(), which tells how much went;
 * weft_write() would not. A piece as large as the buffer is not copied. */
#include "weft/io/writer.h"

#include <string.h>

#include "weft/base/check.h"
#include "weft/io/io.h"

void weft_writer_init(struct weft_writer *writer, int fd, void *buffer,
                      size_t size) {
    if (size == 0) {
        weft_fatal("weft_writer_init: a buffer of 0 bytes; give it 1 or more");
    }
    *writer = (struct weft_writer){.fd = fd, .buffer = buffer, .size = size};
}

int weft_writer_flush(struct weft_writer *writer, uint64_t deadline) {
    while (writer->begin < writer->end) {
        ssize_t sent =
            weft_write_some(writer->fd, writer->buffer + writer->begin,
                            writer->end - writer->begin, deadline);
        if (sent < 0) {
            return (int)sent;
        }
        writer->begin += (size_t)sent;
    }
    writer->begin = writer->end = 0;
    return 0;
}

ssize_t weft_writer_write(struct weft_writer *writer, const void *data,
                          size_t size, size_t *taken, uint64_t deadline) {
    size_t done = 0;
    ssize_t error = 0;
    while (done < size && error >= 0) {
        size_t room = writer->size - writer->end;
        size_t left = size - done;
        if (room == 0) {
            error = weft_writer_flush(writer, deadline);
        } else if (writer->end == 0 && left >= writer->size) {
            error = weft_write_some(writer->fd, (const char *)data + done, left,
                                    deadline);
            done += error > 0 ? (size_t)error : 0;
        } else {
            size_t part = left < room ? left : room;
            memcpy(writer->buffer + writer->end, (const char *)data + done,
                   part);
            writer->end += part;
            done += part;
        }
    }
    if (taken != NULL) {
        *taken = done;
    }
    return error < 0 ? error : (ssize_t)size;
}
