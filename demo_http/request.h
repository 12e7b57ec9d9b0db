/* SPDX-License-Identifier: MIT */
/* One HTTP request, read from bytes as they come: RFC 9110 and 9112 on top of
 * llhttp. Knows no sockets and no tasks.
 *
 * How it is used, for each request of a connection:
 *     http_request_reset();
 *     http_request_feed() until HTTP_REQUEST_HEAD or HTTP_REQUEST_BAD;
 *     http_request_body() until http_request_complete();
 * Each call says how many bytes it used; the rest belong to what follows, so
 * that pipelined requests need nothing of their own.
 *
 * Always true: once the head is complete, all views (struct http_text) point
 * into the request's own store and stay good until the reset; nothing is
 * allocated; a request whose end could be read in two ways is bad.
 * After HTTP_REQUEST_BAD no byte of the connection may be read as a request:
 * answer with `problem`, then close.
 * Context of all: one user at a time, any thread. Nothing waits. */
#ifndef WEFT_DEMO_HTTP_REQUEST_H_
#define WEFT_DEMO_HTTP_REQUEST_H_

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/demo_http/chunked.h"
#include "weft/demo_http/head.h"
#include "weft/demo_http/target.h"
#include "weft/demo_http/text.h"

#define HTTP_MAX_REQUEST_LINE 8192
#define HTTP_MAX_FIELDS       100

struct http_limits {
    size_t max_header; /* bytes of all header fields, and of trailers: 431 */
    uint64_t max_body; /* bytes: 413 */
};

struct http_field {
    struct http_text name;
    struct http_text value; /* without the white space around it */
};

enum http_request_event {
    HTTP_REQUEST_MORE, /* all bytes used; more are wanted */
    HTTP_REQUEST_HEAD, /* the head is complete */
    HTTP_REQUEST_BAD,  /* see `problem` */
};

struct http_request {
    /* Good once the head is complete, or where HTTP_REQUEST_BAD found them. */
    struct http_text method; /* empty: the request line was not understood */
    struct http_text raw_target;
    struct http_target target;
    struct http_text path; /* decoded */
    int minor;             /* HTTP/1.minor; all past 1 are read as 1.1 */
    bool is_head;
    bool keep_alive;      /* the client would like to send more requests */
    bool expect_continue; /* it waits for 100 before it sends the body */
    bool chunked;
    bool has_length;
    uint64_t content_length;
    struct http_field fields[HTTP_MAX_FIELDS];
    unsigned field_count;
    struct http_problem problem;

    /* The reader's own. */
    struct http_head head;
    struct http_chunked chunks;
    uint64_t body_left; /* of a body with a Content-Length */
    struct http_limits limits;
    llhttp_t after_get; /* has read the request line of a GET */
};

/* How many bytes of store a request with these limits needs. */
size_t http_request_store_size(const struct http_limits *limits);

/* `store` (of that many bytes) stays the request's for as long as it is used.
 */
void http_request_init(struct http_request *request,
                       const struct http_limits *limits, char *store);

/* Forgets all, for the next request. */
void http_request_reset(struct http_request *request);

/* Whether any byte of the request line has been seen: what tells a client that
 * is slow from one that is idle. */
bool http_request_started(const struct http_request *request);

/* Reads of the head what is in `data`. */
enum http_request_event http_request_feed(struct http_request *request,
                                          const char *data, size_t length,
                                          size_t *used);

/* Decodes body bytes: `*written` of them come to `out`, which has room for
 * `length` bytes and may be `data` itself. False: bad, see `problem`.
 * After the head, until http_request_complete(). */
bool http_request_body(struct http_request *request, const char *data,
                       size_t length, size_t *used, char *out, size_t *written);

/* Whether the body is complete (at once, where there is none). */
bool http_request_complete(const struct http_request *request);

/* The value of the first field called `name`, or NULL. */
const struct http_text *http_request_field(const struct http_request *request,
                                           const char *name);

#endif
