/* SPDX-License-Identifier: MIT */
/* Three readers one after the other:
 *   http_head finds the head's end, and clean lines up to there;
 *   llhttp reads that head in one go: method, target, fields, framing;
 *   what llhttp leaves to its caller is judged here: the request line's exact
 *   form and version, Host, one framing and one only, Expect, Connection.
 * Then the body: counted, or http_chunked.
 *
 * Since http_head hands over whole heads, each name and each value comes in one
 * callback, and a view of it is enough. llhttp's opinion about the body is not
 * used: it stops (HPE_PAUSED) at the end of the head, which must be where
 * http_head saw it.
 *
 * The request line of a GET in HTTP/1.1 is not read a third time: llhttp goes
 * on from a copy of one that has read "GET / HTTP/1.1", since
 * http_target_parse() is stricter with the target. That is a fifth of the work
 * on a short head.
 *
 * Rejected: one llhttp for the life of a connection. It remembers flags between
 * messages, and goes on after an Upgrade only when asked to; a fresh one costs
 * a memset. */
#include "weft/demo_http/request.h"

#include <llhttp.h>
#include <string.h>

size_t http_request_store_size(const struct http_limits *limits) {
    /* The head, and the decoded path. */
    return HTTP_MAX_REQUEST_LINE + limits->max_header + HTTP_MAX_REQUEST_LINE;
}

static void begin_llhttp(struct http_request *r, llhttp_t *parser);

void http_request_init(struct http_request *r, const struct http_limits *limits,
                       char *store) {
    r->limits = *limits;
    begin_llhttp(r, &r->after_get);
    llhttp_execute(&r->after_get, "GET / HTTP/1.1\r\n", 16);
    http_head_init(&r->head, store, HTTP_MAX_REQUEST_LINE, limits->max_header);
    http_request_reset(r);
}

void http_request_reset(struct http_request *r) {
    static const struct http_text kEmpty = {.at = "", .length = 0};
    http_head_reset(&r->head);
    r->method = kEmpty;
    r->raw_target = kEmpty;
    r->path = kEmpty;
    r->minor = 1;
    r->is_head = false;
    r->keep_alive = false;
    r->expect_continue = false;
    r->chunked = false;
    r->has_length = false;
    r->content_length = 0;
    r->field_count = 0;
    r->problem = (struct http_problem){0};
    r->body_left = 0;
}

bool http_request_started(const struct http_request *r) {
    return r->head.length > 0 || r->problem.status != 0;
}

static bool refuse(struct http_request *r, int status, const char *what) {
    r->problem = (struct http_problem){.status = status, .what = what};
    return false;
}

/* ---- The request line: method SP target SP HTTP/1.x ---- */

static bool read_version(struct http_request *r, struct http_text v) {
    if (v.length != 8 || memcmp(v.at, "HTTP/", 5) != 0 ||
        !http_char_is(v.at[5], HTTP_CHAR_DIGIT) || v.at[6] != '.' ||
        !http_char_is(v.at[7], HTTP_CHAR_DIGIT)) {
        return refuse(r, 400, "the request line does not end in HTTP/1.1");
    }
    if (v.at[5] != '1') {
        return refuse(r, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
    }
    r->minor = v.at[7] == '0' ? 0 : 1;
    return true;
}

static bool read_request_line(struct http_request *r) {
    const char *p = r->head.data;
    const char *end = p + r->head.line_length - 2;
    const char *space = memchr(p, ' ', (size_t)(end - p));
    if (space == NULL) {
        return refuse(r, 400, "the request line has no target");
    }
    struct http_text method = {.at = p, .length = (size_t)(space - p)};
    if (method.length == 0 || !http_text_all(method, HTTP_CHAR_TOKEN)) {
        return refuse(r, 400, "the method is not a token");
    }
    const char *target = space + 1;
    space = memchr(target, ' ', (size_t)(end - target));
    if (space == NULL) {
        return refuse(r, 400, "the request line has no version (HTTP/0.9?)");
    }
    struct http_text version = {.at = space + 1,
                                .length = (size_t)(end - space - 1)};
    if (!read_version(r, version)) {
        return false;
    }
    r->method = method;
    r->raw_target =
        (struct http_text){.at = target, .length = (size_t)(space - target)};
    r->is_head = http_text_is(method, "HEAD");
    if (r->raw_target.length == 0) {
        return refuse(r, 400, "the request line has no target");
    }
    return true;
}

static bool read_target(struct http_request *r) {
    r->problem = http_target_parse(r->raw_target, r->method, &r->target);
    if (r->problem.status != 0) {
        return false;
    }
    r->path = r->target.path;
    if (memchr(r->path.at, '%', r->path.length) == NULL) {
        return true;
    }
    /* Behind the head in the store, where nothing else is ever put. */
    char *decoded = r->head.data + r->head.max_line + r->head.max_fields;
    long length = http_percent_decode(r->target.path, decoded);
    r->path = (struct http_text){.at = decoded, .length = (size_t)length};
    return length >= 0 || refuse(r, 400, "the path is badly encoded");
}

/* ---- The fields, through llhttp ---- */

static int on_name(llhttp_t *parser, const char *at, size_t length) {
    struct http_request *r = parser->data;
    if (r->field_count == HTTP_MAX_FIELDS) {
        refuse(r, 431, "there are more header fields than this server reads");
        return -1;
    }
    struct http_field *field = &r->fields[r->field_count++];
    field->name = (struct http_text){.at = at, .length = length};
    field->value = (struct http_text){.at = "", .length = 0};
    if (length == 0 || !http_text_all(field->name, HTTP_CHAR_TOKEN)) {
        refuse(r, 400, "the name of a header field is not a token");
        return -1;
    }
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length) {
    struct http_request *r = parser->data;
    if (r->field_count == 0) {
        return -1;
    }
    r->fields[r->field_count - 1].value =
        http_text_trim((struct http_text){.at = at, .length = length});
    return 0;
}

static int on_head(llhttp_t *parser) {
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t kSettings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
};

static bool llhttp_failed(struct http_request *r, const llhttp_t *parser,
                          llhttp_errno_t error) {
    if (r->problem.status != 0) {
        return false; /* a callback has said why */
    }
    switch (error) {
        case HPE_INVALID_METHOD:
        case HPE_INVALID_CONSTANT:
            return refuse(r, 501, "the method is not implemented");
        case HPE_UNEXPECTED_CONTENT_LENGTH:
            return refuse(r, 400, "the length of the body is given twice");
        case HPE_INVALID_CONTENT_LENGTH:
            return refuse(r, 400, "Content-Length is not a number");
        case HPE_INVALID_TRANSFER_ENCODING:
            return refuse(r, 400, "Transfer-Encoding is not valid");
        case HPE_INVALID_HEADER_TOKEN:
            return refuse(r, 400, "a header field is malformed");
        case HPE_OK:
            return refuse(r, 400, "the head is malformed");
        default: {
            const char *reason = llhttp_get_error_reason(parser);
            return refuse(r, 400, reason != NULL ? reason : "malformed head");
        }
    }
}

static void begin_llhttp(struct http_request *r, llhttp_t *parser) {
    llhttp_init(parser, HTTP_REQUEST, &kSettings);
    parser->data = r;
    /* HTTP/1.2 is to be read as 1.1 (RFC 9110 2.5); the version was checked. */
    parser->lenient_flags |= LENIENT_VERSION;
}

static bool read_fields(struct http_request *r) {
    llhttp_t parser;
    size_t known = 0;
    if (r->minor == 1 && http_text_is(r->method, "GET")) {
        parser = r->after_get;
        parser.data = r;
        known = r->head.line_length;
    } else {
        begin_llhttp(r, &parser);
    }
    llhttp_errno_t error =
        llhttp_execute(&parser, r->head.data + known, r->head.length - known);
    if (error != HPE_PAUSED) {
        return llhttp_failed(r, &parser, error);
    }
    return llhttp_get_error_pos(&parser) == r->head.data + r->head.length ||
           refuse(r, 400, "the head is malformed");
}

/* ---- What the fields mean ---- */

/* What the first pass over the fields finds. */
struct summary {
    unsigned hosts, lengths;
    struct http_text host;
    unsigned codings;     /* of all Transfer-Encoding fields */
    unsigned chunkeds;    /* among them */
    bool chunked_is_last; /* the last of them */
    bool has_coding;
    bool close, keep_alive;
    bool expect_continue, expect_other;
};

static void read_codings(struct summary *s, struct http_text value) {
    struct http_text coding;
    s->has_coding = true;
    while (http_list_next(&value, &coding)) {
        s->chunked_is_last = http_text_is_nocase(coding, "chunked");
        s->chunkeds += s->chunked_is_last;
        s->codings++;
    }
}

static void read_connection(struct summary *s, struct http_text value) {
    struct http_text option;
    while (http_list_next(&value, &option)) {
        s->close |= http_text_is_nocase(option, "close");
        s->keep_alive |= http_text_is_nocase(option, "keep-alive");
    }
}

static void read_expect(struct summary *s, struct http_text value) {
    struct http_text expectation;
    while (http_list_next(&value, &expectation)) {
        if (http_text_is_nocase(expectation, "100-continue")) {
            s->expect_continue = true;
        } else {
            s->expect_other = true;
        }
    }
}

static bool summarize(struct http_request *r, struct summary *s) {
    for (unsigned i = 0; i < r->field_count; i++) {
        const struct http_field *f = &r->fields[i];
        switch (f->name.length) {
            case 4:
                if (http_text_is_nocase(f->name, "host")) {
                    s->hosts++;
                    s->host = f->value;
                }
                break;
            case 6:
                if (http_text_is_nocase(f->name, "expect")) {
                    read_expect(s, f->value);
                }
                break;
            case 10:
                if (http_text_is_nocase(f->name, "connection")) {
                    read_connection(s, f->value);
                }
                break;
            case 14:
                if (http_text_is_nocase(f->name, "content-length")) {
                    s->lengths++;
                    if (!http_parse_decimal(f->value, &r->content_length)) {
                        return refuse(r, 400, "Content-Length is not a number");
                    }
                }
                break;
            case 17:
                if (http_text_is_nocase(f->name, "transfer-encoding")) {
                    read_codings(s, f->value);
                }
                break;
            default:
                break;
        }
    }
    return true;
}

/* RFC 9112 3.2. */
static bool judge_host(struct http_request *r, const struct summary *s) {
    if (s->hosts == 0 && r->minor > 0) {
        return refuse(r, 400, "an HTTP/1.1 request needs a Host field");
    }
    if (s->hosts > 1) {
        return refuse(r, 400, "there is more than one Host field");
    }
    return s->hosts == 0 || http_authority_is_valid(s->host) ||
           refuse(r, 400, "the Host field is not a host");
}

/* RFC 9112 6.1 to 6.3: one framing, and one that we know. */
static bool judge_framing(struct http_request *r, const struct summary *s) {
    if (s->lengths > 1) {
        return refuse(r, 400, "there is more than one Content-Length");
    }
    r->has_length = s->lengths == 1;
    if (s->has_coding) {
        if (r->has_length) {
            return refuse(r, 400,
                          "Content-Length and Transfer-Encoding exclude each "
                          "other");
        }
        if (r->minor == 0) {
            return refuse(r, 400, "HTTP/1.0 has no Transfer-Encoding");
        }
        if (!s->chunked_is_last || s->chunkeds != 1) {
            return refuse(r, 400,
                          "Transfer-Encoding must end in chunked, once");
        }
        if (s->codings > 1) {
            return refuse(r, 501, "the only transfer coding here is chunked");
        }
        r->chunked = true;
        http_chunked_init(&r->chunks, r->limits.max_body, r->limits.max_header);
        return true;
    }
    r->body_left = r->content_length;
    return r->content_length <= r->limits.max_body ||
           refuse(r, 413, "the body is larger than this server reads");
}

static bool read_head(struct http_request *r) {
    struct summary s = {0};
    if (!read_fields(r) || !read_target(r) || !summarize(r, &s) ||
        !judge_host(r, &s) || !judge_framing(r, &s)) {
        return false;
    }
    if (http_text_is(r->method, "CONNECT")) {
        return refuse(r, 501, "this server is no proxy: no CONNECT");
    }
    /* RFC 9110 10.1.1: an expectation in HTTP/1.0 is ignored. */
    if (r->minor > 0 && s.expect_other) {
        return refuse(r, 417, "the only expectation met here is 100-continue");
    }
    r->expect_continue =
        r->minor > 0 && s.expect_continue && !http_request_complete(r);
    /* RFC 9112 9.3. */
    r->keep_alive = !s.close && (r->minor > 0 || s.keep_alive);
    return true;
}

/* ---- The outside ---- */

enum http_request_event http_request_feed(struct http_request *r,
                                          const char *data, size_t length,
                                          size_t *used) {
    *used = 0;
    for (;;) {
        size_t n;
        enum http_head_event event =
            http_head_feed(&r->head, data + *used, length - *used, &n);
        *used += n;
        switch (event) {
            case HTTP_HEAD_MORE:
                return HTTP_REQUEST_MORE;
            case HTTP_HEAD_LINE:
                if (!read_request_line(r)) {
                    return HTTP_REQUEST_BAD;
                }
                break;
            case HTTP_HEAD_DONE:
                return read_head(r) ? HTTP_REQUEST_HEAD : HTTP_REQUEST_BAD;
            default:
                r->problem = r->head.problem;
                return HTTP_REQUEST_BAD;
        }
    }
}

bool http_request_complete(const struct http_request *r) {
    return r->chunked ? http_chunked_done(&r->chunks) : r->body_left == 0;
}

bool http_request_body(struct http_request *r, const char *data, size_t length,
                       size_t *used, char *out, size_t *written) {
    if (r->chunked) {
        bool good =
            http_chunked_decode(&r->chunks, data, length, used, out, written);
        if (!good) {
            r->problem = r->chunks.problem;
        }
        return good;
    }
    size_t n = length < r->body_left ? length : (size_t)r->body_left;
    if (out != data) {
        memmove(out, data, n);
    }
    r->body_left -= n;
    *used = n;
    *written = n;
    return true;
}

const struct http_text *http_request_field(const struct http_request *r,
                                           const char *name) {
    for (unsigned i = 0; i < r->field_count; i++) {
        if (http_text_is_nocase(r->fields[i].name, name)) {
            return &r->fields[i].value;
        }
    }
    return NULL;
}
