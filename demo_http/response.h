/* SPDX-License-Identifier: MIT */
/* The bytes of a response: RFC 9110 and 9112 from the server's side. Knows no
 * sockets: bytes gather in a buffer that is handed to a function when full.
 *
 * One response, start to end:
 *     http_response_begin();            who asked: version, HEAD, keep-alive
 *     http_respond();                   all at once, or
 *     http_respond_sized();  http_write() ... http_end();
 *     http_respond_chunked();  http_write() ... http_end();
 *
 * Always true: exactly one of Content-Length, chunked and "until close" frames
 * a body; a HEAD gets the head of its GET and no body; the first error of the
 * output sticks, and what is written after it goes nowhere.
 * Context of all: one user at a time. They wait where the output's function
 * does. */
#ifndef WEFT_DEMO_HTTP_RESPONSE_H_
#define WEFT_DEMO_HTTP_RESPONSE_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where bytes gather. */
struct http_out {
    char *data;
    size_t length;
    size_t capacity; /* 1 KiB and more */
    /* Takes all of `length` bytes, or returns a negative errno. */
    int (*write)(void *arg, const char *data, size_t length);
    void *arg;
    int error; /* the first one, or 0 */
};

/* The present time as RFC 9110 5.6.7 wants it, made once a second. */
struct http_date {
    int64_t second;
    char text[32];
    char ok[80]; /* how most heads begin, with that time in it */
};

struct http_response {
    struct http_out *out;
    struct http_date *date;
    int minor;                  /* of the request: 0 or 1 */
    bool head_only;             /* HEAD */
    bool keep_alive;            /* settled when the head is written */
    const _Atomic bool *ending; /* NULL, or: no keep-alive once it is true */
    const char *allow;          /* the value of Allow, or NULL */
    bool retry;                 /* Retry-After: 1 */
    int status;                 /* 0: no head yet */
    bool chunked;
    bool framed; /* by Content-Length, of which is left: */
    uint64_t promised;
    uint64_t body_bytes; /* sent, without framing; for the log */
};

/* Hands over what is in `out`. Returns 0 or the error that stuck. */
int http_out_flush(struct http_out *out);

/* Appends; hands over when full. Returns 0 or the error that stuck. */
int http_out_put(struct http_out *out, const char *data, size_t length);

/* Renews the text of `date` when `second` (since 1970) is another. */
void http_date_update(struct http_date *date, int64_t second);

void http_response_begin(struct http_response *response, struct http_out *out,
                         struct http_date *date, int minor, bool head_only,
                         bool keep_alive);

/* The reason phrase of `status`. */
const char *http_status_reason(int status);

/* A whole response. 204 and 304 take no body. Returns 0 or the output's error,
 * as all below. */
int http_respond(struct http_response *response, int status, const char *type,
                 const char *body, size_t length);

/* A head that promises `length` bytes; http_end() checks that they came, and
 * turns keep_alive off where they did not (the connection must close then). */
int http_respond_sized(struct http_response *response, int status,
                       const char *type, uint64_t length);

/* A head for a body of unknown length: chunked, or for HTTP/1.0 until the
 * connection closes. */
int http_respond_chunked(struct http_response *response, int status,
                         const char *type);

/* Body bytes: one chunk where chunked; dropped for HEAD. */
int http_write(struct http_response *response, const char *data, size_t length);

int http_end(struct http_response *response);

/* "100 Continue", before the head proper. */
int http_respond_continue(struct http_response *response);

/* An error whose body is the sentence `what` (and the status). */
int http_respond_error(struct http_response *response, int status,
                       const char *what);

#endif
