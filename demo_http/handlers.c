/* SPDX-License-Identifier: MIT */
/* What the paths do. Written as anybody would who has a thread to himself: it
 * sleeps, reads, writes and computes where it stands. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/demo_http/burn.h"
#include "weft/demo_http/exchange.h"
#include "weft/weft.h"

static const char kText[] = "text/plain; charset=utf-8";
static const char kBytes[] = "application/octet-stream";

enum { MAX_BIG = 64 << 20, PIECE = 32 << 10 };

/* Reads the number called `name` in the query, or answers 400. */
static bool get_number(struct http_exchange *x, const char *name, uint64_t low,
                       uint64_t high, uint64_t *value) {
    struct http_text raw;
    char digits[24];
    if (http_query_get(x->request->target.query, name, &raw) &&
        raw.length <= sizeof(digits)) {
        long n = http_percent_decode(raw, digits);
        struct http_text text = {.at = digits, .length = (size_t)n};
        if (n >= 0 && http_parse_decimal(text, value) && *value >= low &&
            *value <= high) {
            return true;
        }
    }
    char what[128];
    snprintf(what, sizeof(what),
             "the query must have %s=N with N from %llu to %llu", name,
             (unsigned long long)low, (unsigned long long)high);
    http_respond_error(x->response, 400, what);
    return false;
}

int http_handle_plaintext(struct http_exchange *x) {
    return http_respond(x->response, 200, "text/plain", "Hello, World!", 13);
}

int http_handle_json(struct http_exchange *x) {
    static const char kBody[] = "{\"message\":\"Hello, World!\"}";
    return http_respond(x->response, 200, "application/json", kBody,
                        sizeof(kBody) - 1);
}

int http_handle_healthz(struct http_exchange *x) {
    return http_respond(x->response, 200, kText, "ok\n", 3);
}

static int respond_format(struct http_exchange *x, const char *format,
                          unsigned long long a, unsigned long long b) {
    char body[128];
    int n = snprintf(body, sizeof(body), format, a, b);
    return http_respond(x->response, 200, kText, body, (size_t)n);
}

int http_handle_cpu(struct http_exchange *x) {
    uint64_t ms;
    if (!get_number(x, "ms", 1, 10000, &ms)) {
        return x->response->out->error;
    }
    uint64_t answer =
        x->response->head_only ? 0 : http_burn(ms * x->rounds_per_ms);
    return respond_format(x, "burnt %llu ms of CPU (%llx)\n", ms, answer);
}

int http_handle_fib(struct http_exchange *x) {
    uint64_t n;
    if (!get_number(x, "n", 0, 45, &n)) {
        return x->response->out->error;
    }
    return respond_format(x, "fib(%llu) = %llu\n", n, http_fib((unsigned)n));
}

int http_handle_sleep(struct http_exchange *x) {
    uint64_t ms;
    if (!get_number(x, "ms", 0, 60000, &ms)) {
        return x->response->out->error;
    }
    int error = weft_sleep(ms * WEFT_MS);
    return error != 0 ? error : respond_format(x, "slept %llu ms\n", ms, 0);
}

/* RFC 9110 says of these that their content means something: one without a
 * length has most likely lost it on the way. */
static bool wants_length(const struct http_request *r) {
    return !r->has_length && !r->chunked &&
           (http_text_is(r->method, "POST") || http_text_is(r->method, "PUT") ||
            http_text_is(r->method, "PATCH"));
}

/* The whole body into *body, which is the caller's to free. */
static ssize_t read_whole(struct http_exchange *x, char **body) {
    size_t length = 0;
    /* What the client promises is no reason to take so much at once. */
    size_t capacity = 4096;
    char *data = malloc(capacity);
    for (;;) {
        if (data == NULL) {
            return -ENOMEM;
        }
        *body = data;
        ssize_t n = x->read_body(x->arg, data + length, capacity - length);
        if (n <= 0) {
            return n < 0 ? n : (ssize_t)length;
        }
        length += (size_t)n;
        if (length == capacity) {
            capacity *= 2;
            data = realloc(data, capacity);
        }
    }
}

int http_handle_echo(struct http_exchange *x) {
    struct http_response *response = x->response;
    if (wants_length(x->request)) {
        return http_respond_error(response, 411,
                                  "send Content-Length, or chunked");
    }
    char *body = NULL;
    ssize_t n = read_whole(x, &body);
    int error = (int)n;
    if (n >= 0) {
        if (x->request->chunked) {
            http_respond_chunked(response, 200, kBytes);
        } else {
            http_respond_sized(response, 200, kBytes, (uint64_t)n);
        }
        for (size_t at = 0; at < (size_t)n; at += PIECE) {
            size_t left = (size_t)n - at;
            http_write(response, body + at, left < PIECE ? left : PIECE);
        }
        error = http_end(response);
    }
    free(body);
    return error;
}

int http_handle_big(struct http_exchange *x) {
    static const char kLine[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+\n";
    char piece[4096];
    uint64_t left;
    if (!get_number(x, "bytes", 0, MAX_BIG, &left)) {
        return x->response->out->error;
    }
    for (size_t i = 0; i < sizeof(piece); i++) {
        piece[i] = kLine[i % (sizeof(kLine) - 1)];
    }
    int error = http_respond_sized(x->response, 200, kBytes, left);
    while (left > 0 && error == 0 && !x->response->head_only) {
        size_t n = left < sizeof(piece) ? (size_t)left : sizeof(piece);
        error = http_write(x->response, piece, n);
        left -= n;
    }
    return http_end(x->response);
}

int http_handle_stream(struct http_exchange *x) {
    struct http_response *response = x->response;
    uint64_t chunks, ms;
    if (!get_number(x, "chunks", 0, 100000, &chunks) ||
        !get_number(x, "ms", 0, 60000, &ms)) {
        return response->out->error;
    }
    int error = http_respond_chunked(response, 200, kText);
    for (uint64_t i = 1; i <= chunks && error == 0 && !response->head_only;
         i++) {
        char line[64];
        int n = snprintf(line, sizeof(line), "chunk %llu of %llu\n",
                         (unsigned long long)i, (unsigned long long)chunks);
        error = http_write(response, line, (size_t)n);
        if (ms > 0 && i < chunks && error == 0) {
            error = http_out_flush(response->out);
            error = error == 0 ? weft_sleep(ms * WEFT_MS) : error;
        }
    }
    return error != 0 ? error : http_end(response);
}
