/* SPDX-License-Identifier: MIT */
/* Always true: begin <= end <= size - 1, so that the last line has room for its
 * terminator. Bytes are moved to the front only when there is no room behind
 * them; what has been searched is not searched again within a call. */
#include "weft/io/reader.h"

#include <errno.h>
#include <string.h>

#include "weft/base/check.h"
#include "weft/io/io.h"

void weft_reader_init(struct weft_reader *reader, int fd, void *buffer,
                      size_t size) {
    if (size < 2) {
        weft_fatal("weft_reader_init: a buffer of %zu bytes; give it 2 or more",
                   size);
    }
    *reader = (struct weft_reader){.fd = fd, .buffer = buffer, .size = size};
}

static size_t held(const struct weft_reader *r) {
    return r->end - r->begin;
}

/* Gets more into the buffer. Returns as weft_read(); -EMSGSIZE when it is full.
 */
static ssize_t fill(struct weft_reader *r, uint64_t deadline) {
    size_t room = r->size - 1;
    if (r->begin == r->end) {
        r->begin = r->end = 0;
    } else if (r->end == room) {
        memmove(r->buffer, r->buffer + r->begin, held(r));
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->end == room) {
        return -EMSGSIZE;
    }
    ssize_t count =
        weft_read(r->fd, r->buffer + r->end, room - r->end, deadline);
    if (count > 0) {
        r->end += (size_t)count;
    }
    return count;
}

static void give(struct weft_reader *r, void *data, size_t size) {
    memcpy(data, r->buffer + r->begin, size);
    r->begin += size;
}

ssize_t weft_reader_read(struct weft_reader *reader, void *data, size_t size,
                         uint64_t deadline) {
    if (held(reader) == 0) {
        if (size >= reader->size) {
            return weft_read(reader->fd, data, size, deadline);
        }
        ssize_t count = fill(reader, deadline);
        if (count <= 0) {
            return count;
        }
    }
    size_t part = size < held(reader) ? size : held(reader);
    give(reader, data, part);
    return (ssize_t)part;
}

ssize_t weft_reader_exact(struct weft_reader *reader, void *data, size_t size,
                          uint64_t deadline) {
    if (size >= reader->size) {
        return -EMSGSIZE;
    }
    while (held(reader) < size) {
        ssize_t count = fill(reader, deadline);
        if (count <= 0) {
            return count == 0 ? -ENODATA : count;
        }
    }
    give(reader, data, size);
    return (ssize_t)size;
}

ssize_t weft_reader_until(struct weft_reader *reader, char delimiter,
                          char **piece, uint64_t deadline) {
    size_t searched = 0;
    for (;;) {
        char *start = reader->buffer + reader->begin;
        char *found =
            memchr(start + searched, delimiter, held(reader) - searched);
        size_t length =
            found == NULL ? held(reader) : (size_t)(found - start) + 1;
        if (found == NULL) {
            ssize_t count = fill(reader, deadline);
            if (count > 0) {
                searched = length;
                continue;
            }
            if (count < 0) {
                return count;
            }
        }
        *piece = reader->buffer + reader->begin;
        reader->begin += length;
        return (ssize_t)length;
    }
}

ssize_t weft_reader_line(struct weft_reader *reader, char **line,
                         uint64_t deadline) {
    ssize_t taken = weft_reader_until(reader, '\n', line, deadline);
    if (taken <= 0) {
        return taken;
    }
    size_t length = (size_t)taken;
    if ((*line)[length - 1] == '\n') {
        length--;
        if (length > 0 && (*line)[length - 1] == '\r') {
            length--;
        }
    }
    /* Behind a last line without an end there is the byte that is kept free. */
    (*line)[length] = '\0';
    return taken;
}
