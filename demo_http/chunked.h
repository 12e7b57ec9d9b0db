/* SPDX-License-Identifier: MIT */
/* The chunked transfer coding, read: RFC 9112 section 7.1.
 *
 * Written here rather than left to llhttp 8.1.0, whose loose form (the one that
 * Debian ships) skips the two bytes after a chunk without looking whether they
 * are CRLF, keeps reading an extension for ever, and refuses legal ones.
 *
 * Always true: a byte is consumed only when it is what the grammar wants there;
 * the body so far is within its limit, and so are extensions and trailers,
 * which are checked and dropped.
 * Context of all: one user at a time, any thread. Nothing waits. */
#ifndef WEFT_DEMO_HTTP_CHUNKED_H_
#define WEFT_DEMO_HTTP_CHUNKED_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/demo_http/target.h"

struct http_chunked {
    uint64_t left;   /* of the present chunk; its size in the making */
    uint64_t room;   /* what the body may still have */
    size_t extra;    /* what extensions may still have */
    size_t trailers; /* what trailers may still have */
    struct http_problem problem;
    uint8_t state;
    uint8_t digits; /* of the size so far */
};

/* A body of at most `max_body` bytes, with at most `max_extra` bytes of
 * extensions and as many of trailers. */
void http_chunked_init(struct http_chunked *chunked, uint64_t max_body,
                       size_t max_extra);

/* Decodes up to `length` bytes of `in`; `*used` says how many were consumed and
 * `*written` how many bytes of body came to `out`, which has room for `length`
 * bytes and may be `in` itself. Stops after the last trailer line, see
 * http_chunked_done(). False: `problem` is set (400, 413, 431). */
bool http_chunked_decode(struct http_chunked *chunked, const char *in,
                         size_t length, size_t *used, char *out,
                         size_t *written);

/* Whether the body and its trailers are complete. */
bool http_chunked_done(const struct http_chunked *chunked);

#endif
