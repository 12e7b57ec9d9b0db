/* SPDX-License-Identifier: MIT */
/* One state per place in the grammar; data is moved in stretches. Extensions
 * are held to the grammar as far as framing needs it: they start with ";", and
 * end at a CRLF outside quoted strings. */
#include "weft/demo_http/chunked.h"

#include <string.h>

#include "weft/demo_http/text.h"

enum {
    SIZE,
    SPACE, /* bad white space between the size and ";" */
    EXTENSION,
    QUOTED,
    QUOTED_PAIR,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the start of a trailer line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
    BROKEN,
};

enum { MAX_DIGITS = 16 };

void http_chunked_init(struct http_chunked *chunked, uint64_t max_body,
                       size_t max_extra) {
    *chunked = (struct http_chunked){
        .room = max_body, .extra = max_extra, .trailers = max_extra};
}

bool http_chunked_done(const struct http_chunked *chunked) {
    return chunked->state == DONE;
}

static uint8_t refuse(struct http_chunked *c, int status, const char *what) {
    c->problem = (struct http_problem){.status = status, .what = what};
    return BROKEN;
}

static uint8_t refuse_size(struct http_chunked *c) {
    return refuse(c, 400, "a chunk size is not a hexadecimal number");
}

/* The size is known: what comes after its line. */
static uint8_t after_size(struct http_chunked *c) {
    if (c->left == 0) {
        return TRAILER;
    }
    if (c->left > c->room) {
        return refuse(c, 413, "the body is larger than this server reads");
    }
    c->room -= c->left;
    return DATA;
}

static uint8_t size_byte(struct http_chunked *c, char b) {
    if (http_char_is(b, HTTP_CHAR_HEX)) {
        if (++c->digits > MAX_DIGITS) {
            return refuse_size(c);
        }
        c->left = c->left << 4 | http_hex_value(b);
        return SIZE;
    }
    if (c->digits == 0) {
        return refuse_size(c);
    }
    switch (b) {
        case '\r':
            return SIZE_LF;
        case ';':
            return EXTENSION;
        case ' ':
        case '\t':
            return SPACE;
        default:
            return refuse_size(c);
    }
}

static uint8_t extension_byte(struct http_chunked *c, char b) {
    if (c->extra == 0) {
        return refuse(c, 400, "the chunk extensions are too large");
    }
    c->extra--;
    switch (c->state) {
        case SPACE:
            return b == ';'                ? EXTENSION
                   : b == ' ' || b == '\t' ? SPACE
                                           : refuse_size(c);
        case EXTENSION:
            if (b == '\r') {
                return SIZE_LF;
            }
            if (b == '"') {
                return QUOTED;
            }
            break;
        case QUOTED:
            if (b == '"') {
                return EXTENSION;
            }
            if (b == '\\') {
                return QUOTED_PAIR;
            }
            break;
        default: /* QUOTED_PAIR */
            break;
    }
    if (!http_char_is(b, HTTP_CHAR_FIELD)) {
        return refuse(c, 400, "a control character in a chunk extension");
    }
    return c->state == EXTENSION ? EXTENSION : QUOTED;
}

static uint8_t trailer_byte(struct http_chunked *c, char b) {
    if (c->trailers == 0) {
        return refuse(c, 431, "the trailers are larger than this server reads");
    }
    c->trailers--;
    switch (c->state) {
        case TRAILER:
            if (b == '\r') {
                return LAST_LF;
            }
            if (http_char_is(b, HTTP_CHAR_TOKEN)) {
                return TRAILER_NAME;
            }
            break;
        case TRAILER_NAME:
            if (b == ':') {
                return TRAILER_VALUE;
            }
            if (http_char_is(b, HTTP_CHAR_TOKEN)) {
                return TRAILER_NAME;
            }
            break;
        default: /* TRAILER_VALUE */
            if (b == '\r') {
                return TRAILER_LF;
            }
            if (http_char_is(b, HTTP_CHAR_FIELD)) {
                return TRAILER_VALUE;
            }
            break;
    }
    return refuse(c, 400, "a trailer line is malformed");
}

static uint8_t want(struct http_chunked *c, char b, char wanted, uint8_t next) {
    return b == wanted ? next : refuse(c, 400, "a chunk does not end in CRLF");
}

/* The state after byte `b`, which is no data. */
static uint8_t step(struct http_chunked *c, char b) {
    switch (c->state) {
        case SIZE:
            return size_byte(c, b);
        case SPACE:
        case EXTENSION:
        case QUOTED:
        case QUOTED_PAIR:
            return extension_byte(c, b);
        case SIZE_LF:
            return b == '\n' ? after_size(c) : want(c, b, '\n', 0);
        case DATA_CR:
            return want(c, b, '\r', DATA_LF);
        case DATA_LF:
            c->digits = 0;
            return want(c, b, '\n', SIZE);
        case TRAILER_LF:
            return want(c, b, '\n', TRAILER);
        case LAST_LF:
            return want(c, b, '\n', DONE);
        default:
            return trailer_byte(c, b);
    }
}

bool http_chunked_decode(struct http_chunked *c, const char *in, size_t length,
                         size_t *used, char *out, size_t *written) {
    const char *p = in;
    const char *end = in + length;
    char *to = out;
    while (p < end && c->state != DONE && c->state != BROKEN) {
        if (c->state == DATA) {
            size_t n = (size_t)(end - p);
            if (n > c->left) {
                n = (size_t)c->left;
            }
            memmove(to, p, n);
            to += n;
            p += n;
            c->left -= n;
            if (c->left == 0) {
                c->state = DATA_CR;
            }
        } else {
            c->state = step(c, *p++);
        }
    }
    *used = (size_t)(p - in);
    *written = (size_t)(to - out);
    return c->state != BROKEN;
}
