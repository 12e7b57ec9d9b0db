/* SPDX-License-Identifier: MIT */
/* Request targets and authorities: RFC 9112 section 3.2 and RFC 3986.
 *
 * Always true: what parses consists of characters that RFC 3986 lets stand
 * there, each % is followed by two hexadecimal digits, and no %00 is in it. The
 * grammar is taken strictly: two readers of one message that differ about where
 * the target ends are how requests are smuggled.
 * Context of all: anywhere. */
#ifndef WEFT_DEMO_HTTP_TARGET_H_
#define WEFT_DEMO_HTTP_TARGET_H_

#include <stdbool.h>
#include <stddef.h>

#include "weft/demo_http/text.h"

/* Why a request is refused: the status to answer with and a sentence (static)
 * that says what was wrong. No problem: status 0. */
struct http_problem {
    int status;
    const char *what;
};

enum http_target_form {
    HTTP_TARGET_ORIGIN,    /* /path?query */
    HTTP_TARGET_ABSOLUTE,  /* http://host:port/path?query */
    HTTP_TARGET_AUTHORITY, /* host:port, of CONNECT alone */
    HTTP_TARGET_ASTERISK,  /* *, of OPTIONS alone */
};

struct http_target {
    enum http_target_form form;
    struct http_text authority; /* empty unless absolute or authority form */
    struct http_text path;      /* "/" at least; "*" in asterisk form; "" for
                                   CONNECT; percent signs not yet decoded */
    struct http_text query;     /* without its "?" */
};

/* Reads `raw` as the target of a request with method `method`; the pieces of
 * `*out` point into `raw`. Returns no problem, or 400 for what is no target (or
 * not one of that method), or 421 for an absolute target of another scheme than
 * http. */
struct http_problem http_target_parse(struct http_text raw,
                                      struct http_text method,
                                      struct http_target *out);

/* Whether `t` is uri-host [ ":" port ]: a name (which may be empty), an IPv4
 * address or an IP literal in brackets, and a port of 0 to 65535. */
bool http_authority_is_valid(struct http_text t);

/* Writes `t` without its percent-encoding to `out`, which has room for
 * t.length bytes and may be t.at itself. Returns the length, or -1 where a % is
 * not followed by two hexadecimal digits. */
long http_percent_decode(struct http_text t, char *out);

/* The value of the first parameter called `name` in `query` (a=1&b=2), still
 * encoded; false when there is none. A name without "=" has an empty value. */
bool http_query_get(struct http_text query, const char *name,
                    struct http_text *value);

#endif
