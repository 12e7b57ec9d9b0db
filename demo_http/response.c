/* SPDX-License-Identifier: MIT */
/* Heads are put together by memcpy: a printf costs more than all the rest of a
 * small response. Each connection has its own http_date, so nobody shares one:
 * a line of memory that all workers write each second would be read by all for
 * each response. */
#include "weft/demo_http/response.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int http_out_flush(struct http_out *out) {
    if (out->error == 0 && out->length > 0) {
        int error = out->write(out->arg, out->data, out->length);
        out->error = error < 0 ? error : 0;
    }
    out->length = 0;
    return out->error;
}

__attribute__((noinline)) static int put_slowly(struct http_out *out,
                                                const char *data,
                                                size_t length) {
    while (length > out->capacity - out->length) {
        if (out->length == 0) { /* larger than the buffer: past it */
            if (out->error == 0) {
                int error = out->write(out->arg, data, length);
                out->error = error < 0 ? error : 0;
            }
            return out->error;
        }
        if (http_out_flush(out) != 0) {
            return out->error;
        }
    }
    memcpy(out->data + out->length, data, length);
    out->length += length;
    return out->error;
}

/* Inlined: most pieces are literals, a move or two. */
__attribute__((always_inline)) static inline int put_bytes(struct http_out *out,
                                                           const char *data,
                                                           size_t length) {
    if (length > out->capacity - out->length) {
        return put_slowly(out, data, length);
    }
    memcpy(out->data + out->length, data, length);
    out->length += length;
    return out->error;
}

int http_out_put(struct http_out *out, const char *data, size_t length) {
    return put_bytes(out, data, length);
}

static void put(struct http_response *r, const char *s) {
    put_bytes(r->out, s, strlen(s));
}

#define PUT_LITERAL(r, s) put_bytes((r)->out, (s), sizeof(s) - 1)

static void put_number(struct http_response *r, uint64_t n, unsigned base) {
    char digits[24];
    char *p = digits + sizeof(digits);
    do {
        *--p = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    put_bytes(r->out, p, (size_t)(digits + sizeof(digits) - p));
}

/* What most heads begin with, divided where another status would differ. */
#define STATUS_OK   "HTTP/1.1 200 OK\r\n"
#define BEFORE_DATE "Server: weft\r\nDate: "

enum {
    DATE_LENGTH = 29,
    STATUS_LENGTH = sizeof(STATUS_OK) - 1,
    OK_LENGTH = STATUS_LENGTH + sizeof(BEFORE_DATE) - 1 + DATE_LENGTH + 2,
};

static void put_two(char *at, int n) {
    at[0] = (char)('0' + n / 10);
    at[1] = (char)('0' + n % 10);
}

void http_date_update(struct http_date *date, int64_t second) {
    static const char kDays[][4] = {"Sun", "Mon", "Tue", "Wed",
                                    "Thu", "Fri", "Sat"};
    static const char kMonths[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (date->second == second && date->text[0] != '\0') {
        return;
    }
    /* Not strftime(): the names would be the locale's. Not snprintf(): each
     * task's stack would keep the second page that it touches. */
    time_t t = (time_t)second;
    struct tm tm;
    gmtime_r(&t, &tm);
    static const char kShape[] = "Ddd, 00 Mmm 0000 00:00:00 GMT";
    int year = (tm.tm_year + 1900) % 10000;
    memcpy(date->text, kShape, sizeof(kShape));
    memcpy(date->text, kDays[tm.tm_wday], 3);
    put_two(date->text + 5, tm.tm_mday);
    memcpy(date->text + 8, kMonths[tm.tm_mon], 3);
    put_two(date->text + 12, year / 100);
    put_two(date->text + 14, year % 100);
    put_two(date->text + 17, tm.tm_hour);
    put_two(date->text + 20, tm.tm_min);
    put_two(date->text + 23, tm.tm_sec);
    static const char kOk[] = STATUS_OK BEFORE_DATE;
    memcpy(date->ok, kOk, sizeof(kOk) - 1);
    memcpy(date->ok + sizeof(kOk) - 1, date->text, DATE_LENGTH);
    memcpy(date->ok + OK_LENGTH - 2, "\r\n", 2);
    date->second = second;
}

const char *http_status_reason(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 304:
            return "Not Modified";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 411:
            return "Length Required";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Unknown";
    }
}

void http_response_begin(struct http_response *r, struct http_out *out,
                         struct http_date *date, int minor, bool head_only,
                         bool keep_alive) {
    *r = (struct http_response){
        .out = out,
        .date = date,
        .minor = minor,
        .head_only = head_only,
        .keep_alive = keep_alive,
    };
}

/* All of the head but the framing field and the empty line. */
static void begin_head(struct http_response *r, int status, const char *type) {
    r->status = status;
    /* Relaxed: a response more or less before the end. */
    if (r->ending != NULL &&
        atomic_load_explicit(r->ending, memory_order_relaxed)) {
        r->keep_alive = false;
    }
    if (status == 200) {
        put_bytes(r->out, r->date->ok, OK_LENGTH);
    } else {
        PUT_LITERAL(r, "HTTP/1.1 ");
        put_number(r, (uint64_t)status, 10);
        PUT_LITERAL(r, " ");
        put(r, http_status_reason(status));
        PUT_LITERAL(r, "\r\n");
        put_bytes(r->out, r->date->ok + STATUS_LENGTH,
                  OK_LENGTH - STATUS_LENGTH);
    }
    if (type != NULL) {
        PUT_LITERAL(r, "Content-Type: ");
        put(r, type);
        PUT_LITERAL(r, "\r\n");
    }
    if (r->allow != NULL) {
        PUT_LITERAL(r, "Allow: ");
        put(r, r->allow);
        PUT_LITERAL(r, "\r\n");
    }
    if (r->retry) {
        PUT_LITERAL(r, "Retry-After: 1\r\n");
    }
    /* RFC 9112 9.3: the default of 1.1 is to go on, that of 1.0 to close. */
    if (!r->keep_alive) {
        PUT_LITERAL(r, "Connection: close\r\n");
    } else if (r->minor == 0) {
        PUT_LITERAL(r, "Connection: keep-alive\r\n");
    }
}

/* RFC 9110 6.4.1 and 8.6: these have no body and no Content-Length. */
static bool is_bodiless(int status) {
    return status == 204 || status == 304;
}

int http_respond_sized(struct http_response *r, int status, const char *type,
                       uint64_t length) {
    begin_head(r, status, is_bodiless(status) ? NULL : type);
    if (is_bodiless(status)) {
        PUT_LITERAL(r, "\r\n");
        return r->out->error;
    }
    PUT_LITERAL(r, "Content-Length: ");
    put_number(r, length, 10);
    PUT_LITERAL(r, "\r\n\r\n");
    r->promised = r->head_only ? 0 : length;
    r->framed = true;
    return r->out->error;
}

int http_respond(struct http_response *r, int status, const char *type,
                 const char *body, size_t length) {
    http_respond_sized(r, status, type, length);
    if (!is_bodiless(status)) {
        http_write(r, body, length);
    }
    return http_end(r);
}

int http_respond_chunked(struct http_response *r, int status,
                         const char *type) {
    r->chunked = r->minor > 0;
    if (!r->chunked) {
        r->keep_alive = false; /* the end of the body is the end of all */
    }
    begin_head(r, status, type);
    if (r->chunked) {
        PUT_LITERAL(r, "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        PUT_LITERAL(r, "\r\n");
    }
    return r->out->error;
}

int http_write(struct http_response *r, const char *data, size_t length) {
    if (!r->chunked && r->framed && length > r->promised) {
        length = (size_t)r->promised; /* what is past it would be a response */
    }
    if (r->head_only || length == 0) {
        return r->out->error;
    }
    if (r->chunked) {
        put_number(r, length, 16);
        PUT_LITERAL(r, "\r\n");
        put_bytes(r->out, data, length);
        PUT_LITERAL(r, "\r\n");
    } else {
        put_bytes(r->out, data, length);
        r->promised -= r->framed ? length : 0;
    }
    r->body_bytes += length;
    return r->out->error;
}

int http_end(struct http_response *r) {
    if (r->chunked && !r->head_only) {
        PUT_LITERAL(r, "0\r\n\r\n");
    }
    if (r->promised > 0) {
        r->keep_alive = false;
    }
    return r->out->error;
}

int http_respond_continue(struct http_response *r) {
    PUT_LITERAL(r, "HTTP/1.1 100 Continue\r\n\r\n");
    return r->out->error;
}

int http_respond_error(struct http_response *r, int status, const char *what) {
    char body[512];
    int n = snprintf(body, sizeof(body), "%d %s: %s\n", status,
                     http_status_reason(status), what);
    size_t length = n < (int)sizeof(body) ? (size_t)n : sizeof(body) - 1;
    return http_respond(r, status, "text/plain; charset=utf-8", body, length);
}
