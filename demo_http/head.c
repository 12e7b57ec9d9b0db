/* SPDX-License-Identifier: MIT */
/* A state machine over bytes whose inner loop runs over whole stretches of
 * field characters, and that takes a CR and its LF together where both are
 * there. Rejected: memmem() for CRLFCRLF, which starts again with each feed and
 * finds the bare CRs and LFs of nobody. */
#include "weft/demo_http/head.h"

#include <stdbool.h>
#include <string.h>

#include "weft/demo_http/text.h"

enum {
    BEFORE = HTTP_HEAD_UNTOUCHED, /* no byte of the request line yet */
    BEFORE_CR,                    /* a CR before it */
    TEXT,                         /* inside a line */
    TEXT_CR,                      /* after the CR that ends it */
    START,   /* at the start of a field line, or of the last, empty one */
    LAST_CR, /* after the CR of the empty line */
    OVER,
};

enum { MAX_EMPTY_LINES = 4, MAX_METHOD = 64 };

void http_head_init(struct http_head *head, char *data, size_t max_line,
                    size_t max_fields) {
    *head = (struct http_head){
        .data = data, .max_line = max_line, .max_fields = max_fields};
}

void http_head_reset(struct http_head *head) {
    head->length = 0;
    head->line_length = 0;
    head->problem.status = 0;
    head->state = BEFORE;
    head->empty_lines = 0;
}

static enum http_head_event refuse(struct http_head *head, int status,
                                   const char *what) {
    head->problem = (struct http_problem){.status = status, .what = what};
    head->state = OVER;
    return HTTP_HEAD_BAD;
}

/* RFC 9112 3: a method longer than any of ours is 501, a target 414. */
static enum http_head_event line_too_long(struct http_head *head) {
    if (memchr(head->data, ' ', head->length) == NULL) {
        return refuse(head, 501, "the method is longer than any known here");
    }
    return refuse(head, 414,
                  "the request line is longer than this server reads");
}

/* Keeps `length` bytes; false when the limit of that part is passed, having
 * kept what is within it. */
static bool keep(struct http_head *head, const char *data, size_t length) {
    size_t limit = head->line_length == 0 ? head->max_line : head->max_fields;
    size_t room = limit - (head->length - head->line_length);
    size_t kept = length < room ? length : room;
    memcpy(head->data + head->length, data, kept);
    head->length += kept;
    return kept == length;
}

/* Is what was kept of the request line, `length` bytes, no method and no end of
 * one? */
static bool method_is_too_long(const struct http_head *head, size_t length) {
    return head->line_length == 0 && length > MAX_METHOD &&
           memchr(head->data, ' ', MAX_METHOD) == NULL;
}

static enum http_head_event too_long(struct http_head *head) {
    return head->line_length == 0
               ? line_too_long(head)
               : refuse(head, 431,
                        "the header fields are larger than this server reads");
}

static enum http_head_event bad_byte(struct http_head *head, char c) {
    return refuse(head, 400,
                  c == '\n' ? "a line in the head ends in LF without CR"
                            : "there is a control character in the head");
}

/* A line has ended, CRLF and all. */
static enum http_head_event end_line(struct http_head *head) {
    head->state = START;
    if (head->line_length != 0) {
        return HTTP_HEAD_MORE;
    }
    head->line_length = head->length;
    return HTTP_HEAD_LINE;
}

static bool is_crlf(const char *p, const char *end) {
    return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

enum http_head_event http_head_feed(struct http_head *head, const char *data,
                                    size_t length, size_t *used) {
    const char *p = data;
    const char *end = data + length;
    enum http_head_event event = HTTP_HEAD_MORE;
    while (p < end && event == HTTP_HEAD_MORE) {
        const char *start = p;
        switch (head->state) {
            case BEFORE:
                if (*p == '\r') {
                    head->state = BEFORE_CR;
                    p++;
                } else {
                    head->state = TEXT;
                }
                break;
            case BEFORE_CR:
                if (*p != '\n') {
                    event = refuse(head, 400, "a CR without LF in the head");
                } else if (++head->empty_lines > MAX_EMPTY_LINES) {
                    event = refuse(head, 400,
                                   "too many empty lines before a request");
                } else {
                    head->state = BEFORE;
                    p++;
                }
                break;
            case TEXT: {
                p += http_field_span(p, (size_t)(end - p));
                size_t crlf = is_crlf(p, end) ? 2 : 0;
                p += crlf;
                if (!keep(head, start, (size_t)(p - start)) ||
                    method_is_too_long(head, head->length - crlf)) {
                    event = too_long(head);
                } else if (crlf != 0) {
                    event = end_line(head);
                } else if (p < end) {
                    if (*p == '\r') {
                        head->state = TEXT_CR;
                        p++;
                    } else {
                        event = bad_byte(head, *p);
                    }
                }
                break;
            }
            case TEXT_CR:
                if (*p != '\n') {
                    event = refuse(head, 400, "a CR without LF in the head");
                } else if (!keep(head, "\r\n", 2)) {
                    event = too_long(head);
                } else {
                    p++;
                    event = end_line(head);
                }
                break;
            case START:
                if (*p == '\r') {
                    head->state = LAST_CR;
                    p++;
                } else if (*p == ' ' || *p == '\t') {
                    event = refuse(head, 400,
                                   "a header line starts with white space");
                } else {
                    head->state = TEXT;
                }
                break;
            case LAST_CR:
                if (*p != '\n') {
                    event = refuse(head, 400, "a CR without LF in the head");
                } else if (!keep(head, "\r\n", 2)) {
                    event = too_long(head);
                } else {
                    head->state = OVER;
                    p++;
                    event = HTTP_HEAD_DONE;
                }
                break;
            default:
                event =
                    head->problem.status != 0 ? HTTP_HEAD_BAD : HTTP_HEAD_DONE;
                break;
        }
    }
    *used = (size_t)(p - data);
    return event;
}
