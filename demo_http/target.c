/* SPDX-License-Identifier: MIT */
/* Four forms told apart by their first byte and the method. llhttp has looked
 * at the target too, but lets through what RFC 3986 does not ("<", "{", bytes
 * past 0x7f, fragments), and does not divide it. */
#include "weft/demo_http/target.h"

#include <arpa/inet.h>
#include <string.h>

#include "weft/demo_http/text.h"

static const struct http_problem kNone = {0};

static struct http_problem bad(const char *what) {
    return (struct http_problem){.status = 400, .what = what};
}

/* Where `c` first stands in `t`, or t.length. */
static size_t find(struct http_text t, char c) {
    const char *at = t.length > 0 ? memchr(t.at, c, t.length) : NULL;
    return at != NULL ? (size_t)(at - t.at) : t.length;
}

static struct http_text from(struct http_text t, size_t start) {
    return (struct http_text){.at = t.at + start, .length = t.length - start};
}

static struct http_text upto(struct http_text t, size_t end) {
    return (struct http_text){.at = t.at, .length = end};
}

/* Each % has two digits behind it, and does not stand for a NUL. */
static bool escapes_are_valid(struct http_text t) {
    for (size_t i = 0; i < t.length; i++) {
        if (t.at[i] != '%') {
            continue;
        }
        if (t.length - i < 3 || !http_char_is(t.at[i + 1], HTTP_CHAR_HEX) ||
            !http_char_is(t.at[i + 2], HTTP_CHAR_HEX) ||
            (t.at[i + 1] == '0' && t.at[i + 2] == '0')) {
            return false;
        }
        i += 2;
    }
    return true;
}

static struct http_problem path_and_query(struct http_text t,
                                          struct http_target *out) {
    size_t mark = http_char_span(t.at, t.length, HTTP_CHAR_PATH);
    if (mark < t.length) {
        if (!http_text_all(from(t, mark), HTTP_CHAR_URI)) {
            return bad("the request target has a character that no URI has");
        }
        if (!escapes_are_valid(from(t, mark))) {
            return bad("the request target has a broken percent-encoding");
        }
        mark += find(from(t, mark), '?');
    }
    out->path = upto(t, mark);
    if (mark < t.length) {
        out->query = from(t, mark + 1);
    }
    return kNone;
}

static struct http_problem absolute(struct http_text raw, bool is_options,
                                    struct http_target *out) {
    size_t colon = find(raw, ':');
    struct http_text scheme = upto(raw, colon);
    if (raw.length - colon < 3 || memcmp(raw.at + colon, "://", 3) != 0) {
        return bad("the request target is neither a path nor a URI");
    }
    if (!http_text_is_nocase(scheme, "http")) {
        return (struct http_problem){
            .status = 421, .what = "this server answers for http URIs alone"};
    }
    struct http_text rest = from(raw, colon + 3);
    size_t slash = find(rest, '/');
    size_t mark = find(rest, '?');
    size_t end = slash < mark ? slash : mark;
    out->form = HTTP_TARGET_ABSOLUTE;
    out->authority = upto(rest, end);
    if (find(out->authority, '@') < out->authority.length) {
        return bad("the request target has user information in it");
    }
    if (end == 0 || rest.at[0] == ':' ||
        !http_authority_is_valid(out->authority)) {
        return bad("the request target has no valid host");
    }
    struct http_problem p = path_and_query(from(rest, end), out);
    if (p.status == 0 && out->path.length == 0) {
        /* RFC 9112 3.2.4: OPTIONS of a URI without path or query is "*". */
        bool whole = is_options && mark == rest.length;
        out->path = whole ? HTTP_TEXT("*") : HTTP_TEXT("/");
        out->form = whole ? HTTP_TARGET_ASTERISK : HTTP_TARGET_ABSOLUTE;
    }
    return p;
}

struct http_problem http_target_parse(struct http_text raw,
                                      struct http_text method,
                                      struct http_target *out) {
    *out = (struct http_target){.form = HTTP_TARGET_ORIGIN,
                                .authority = HTTP_TEXT(""),
                                .path = HTTP_TEXT(""),
                                .query = HTTP_TEXT("")};
    bool is_options = http_text_is(method, "OPTIONS");
    if (http_text_is(method, "CONNECT")) {
        out->form = HTTP_TARGET_AUTHORITY;
        out->authority = raw;
        size_t colon = raw.length;
        while (colon > 0 && raw.at[colon - 1] != ':') {
            colon--;
        }
        bool has_port = colon > 1 && colon < raw.length;
        return has_port && http_authority_is_valid(raw)
                   ? kNone
                   : bad("CONNECT wants host:port as its target");
    }
    if (raw.length > 0 && raw.at[0] == '/') {
        return path_and_query(raw, out);
    }
    if (http_text_is(raw, "*")) {
        out->form = HTTP_TARGET_ASTERISK;
        out->path = raw;
        return is_options ? kNone
                          : bad("the target * belongs to OPTIONS alone");
    }
    return absolute(raw, is_options, out);
}

/* IPv6address and IPvFuture; inet_pton() knows the first. */
static bool ip_literal_is_valid(struct http_text t) {
    char copy[64];
    struct in6_addr address;
    if (t.length > 1 && (t.at[0] | 0x20) == 'v') {
        size_t dot = find(t, '.');
        struct http_text version = {.at = t.at + 1, .length = dot - 1};
        return dot > 1 && dot + 1 < t.length &&
               http_text_all(version, HTTP_CHAR_HEX) &&
               http_text_all(from(t, dot + 1), HTTP_CHAR_NAME);
    }
    if (t.length == 0 || t.length >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, t.at, t.length);
    copy[t.length] = '\0';
    return memchr(copy, '\0', t.length) == NULL &&
           inet_pton(AF_INET6, copy, &address) == 1;
}

static bool name_is_valid(struct http_text t) {
    size_t n = 0;
    for (;;) {
        n += http_char_span(t.at + n, t.length - n, HTTP_CHAR_NAME);
        if (n == t.length) {
            return true;
        }
        if (t.at[n] != '%' || t.length - n < 3 ||
            !escapes_are_valid(upto(from(t, n), 3))) {
            return false;
        }
        n += 3;
    }
}

bool http_authority_is_valid(struct http_text t) {
    struct http_text port;
    if (t.length > 0 && t.at[0] == '[') {
        size_t end = find(t, ']');
        struct http_text inside = {.at = t.at + 1, .length = end - 1};
        if (end == t.length || !ip_literal_is_valid(inside)) {
            return false;
        }
        port = from(t, end + 1);
    } else {
        size_t colon = find(t, ':');
        if (!name_is_valid(upto(t, colon))) {
            return false;
        }
        port = from(t, colon);
    }
    if (port.length == 0) {
        return true;
    }
    /* RFC 3986 3.2.3: port = *DIGIT, so a colon alone is allowed. */
    uint64_t number = 0;
    return port.at[0] == ':' &&
           (port.length == 1 ||
            (http_parse_decimal(from(port, 1), &number) && number <= 65535));
}

long http_percent_decode(struct http_text t, char *out) {
    char *to = out;
    for (size_t i = 0; i < t.length; i++) {
        char c = t.at[i];
        if (c == '%') {
            if (t.length - i < 3 || !http_char_is(t.at[i + 1], HTTP_CHAR_HEX) ||
                !http_char_is(t.at[i + 2], HTTP_CHAR_HEX)) {
                return -1;
            }
            c = (char)(http_hex_value(t.at[i + 1]) << 4 |
                       http_hex_value(t.at[i + 2]));
            i += 2;
        }
        *to++ = c;
    }
    return to - out;
}

bool http_query_get(struct http_text query, const char *name,
                    struct http_text *value) {
    while (query.length > 0) {
        size_t end = find(query, '&');
        struct http_text pair = upto(query, end);
        size_t equals = find(pair, '=');
        if (http_text_is(upto(pair, equals), name)) {
            *value = from(pair, equals < pair.length ? equals + 1 : equals);
            return true;
        }
        query = from(query, end < query.length ? end + 1 : end);
    }
    return false;
}
