/* SPDX-License-Identifier: MIT */
/* Finds where the head of a request ends and holds its lines to RFC 9112
 * section 2.2 before anybody reads meaning into them.
 *
 * llhttp in the form Debian ships is the "loose" one: it takes a bare LF for
 * the end of a line in places, looks at no byte after the CR that ends a head,
 * unfolds obs-fold, and knows no limits. A front end that reads such a message
 * in another way is the other half of a request smuggling attack, so all of
 * that is refused here, and llhttp is given complete, clean heads only.
 *
 * Always true: the bytes kept (`data`, `length`) are whole lines, each of field
 * characters and ended by CRLF, plus at most one line in the making; the limits
 * hold for them; nothing past the head's last byte was consumed.
 * Context of all: one user at a time, any thread. Nothing waits. */
#ifndef WEFT_DEMO_HTTP_HEAD_H_
#define WEFT_DEMO_HTTP_HEAD_H_

#include <stddef.h>
#include <stdint.h>

#include "weft/demo_http/target.h"

enum http_head_event {
    HTTP_HEAD_MORE, /* everything was consumed; more bytes are wanted */
    HTTP_HEAD_LINE, /* the request line is complete; call again */
    HTTP_HEAD_DONE, /* the head is complete */
    HTTP_HEAD_BAD,  /* `problem` says why; the state is final */
};

/* The state of a reader that has seen nothing (but whole empty lines). */
enum { HTTP_HEAD_UNTOUCHED = 0 };

struct http_head {
    char *data; /* the caller's, of max_line + max_fields bytes */
    size_t length;
    size_t line_length; /* of the request line with CRLF; 0 until complete */
    size_t max_line;    /* bytes of the request line with its CRLF */
    size_t max_fields;  /* bytes of all that follows in the head */
    struct http_problem problem;
    uint8_t state;
    uint8_t empty_lines; /* before the request line */
};

/* Uses `data` of max_line + max_fields bytes, until the caller is through. */
void http_head_init(struct http_head *head, char *data, size_t max_line,
                    size_t max_fields);

/* Forgets the head, for the next request. */
void http_head_reset(struct http_head *head);

/* Looks at `length` bytes and keeps the head's; `*used` says how many were
 * consumed. Empty lines before the request line are dropped, up to four.
 * Problems: 400, 414, 431, and 501 for a method of no end. */
enum http_head_event http_head_feed(struct http_head *head, const char *data,
                                    size_t length, size_t *used);

#endif
