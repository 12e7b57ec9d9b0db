/* SPDX-License-Identifier: MIT */
/* Where a head ends, and which heads have none; each fed whole, byte by byte
 * and cut at every place. */
#include "weft/demo_http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_LINE = 100, MAX_FIELDS = 80 };

static char store[MAX_LINE + MAX_FIELDS];

/* Feeds `length` bytes in pieces of first `cut` bytes, then `step` at a time;
 * returns the last event that is not HTTP_HEAD_LINE. */
static enum http_head_event feed(struct http_head *head, const char *data,
                                 size_t length, size_t cut, size_t step,
                                 size_t *used) {
    size_t lines = 0;
    http_head_init(head, store, MAX_LINE, MAX_FIELDS);
    *used = 0;
    size_t end = cut;
    for (;;) {
        size_t n;
        /* A copy of exact size, so that ASan sees a byte too many. */
        char *piece = malloc(end - *used + 1);
        memcpy(piece, data + *used, end - *used);
        enum http_head_event e = http_head_feed(head, piece, end - *used, &n);
        free(piece);
        *used += n;
        if (e == HTTP_HEAD_LINE) {
            assert_int_equal(++lines, 1);
            assert_int_equal(head->line_length, head->length);
        } else if (e != HTTP_HEAD_MORE || end == length) {
            return e;
        } else {
            assert_int_equal(*used, end);
            end = end + step < length ? end + step : length;
        }
    }
}

static void a_head_ends_at_its_empty_line_however_it_is_cut(void **state) {
    static const char kHead[] = "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n";
    static const char kAll[] =
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\nGET /next";
    struct http_head head;
    size_t used;
    for (size_t cut = 0; cut <= sizeof(kAll) - 1; cut++) {
        for (size_t step = 1; step < sizeof(kAll); step += 7) {
            assert_int_equal(
                feed(&head, kAll, sizeof(kAll) - 1, cut, step, &used),
                HTTP_HEAD_DONE);
            assert_int_equal(used, sizeof(kAll) - 1 - strlen("GET /next"));
            assert_int_equal(head.length, sizeof(kHead) - 1);
            assert_memory_equal(head.data, kHead, sizeof(kHead) - 1);
        }
    }
}

static void refused(const char *data, size_t length, int status) {
    struct http_head head;
    size_t used;
    for (size_t cut = 0; cut <= length; cut++) {
        enum http_head_event e = feed(&head, data, length, cut, 1, &used);
        if (e != HTTP_HEAD_BAD || head.problem.status != status) {
            fail_msg("\"%s\" cut at %zu: event %d, status %d", data, cut, e,
                     head.problem.status);
        }
        assert_non_null(head.problem.what);
    }
}

static void lines_that_are_not_clean_are_refused(void **state) {
    static const struct {
        const char *data;
        size_t length;
    } kCases[] = {
#define CASE(s) {s, sizeof(s) - 1}
        CASE("GET / HTTP/1.1\nHost: a\r\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: a\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\n\n"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\n\rX"),
        CASE("GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n"),
        CASE("GET / HTTP/1.1\rHost: a\r\n\r\n"),
        CASE("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: \x01\r\n\r\n"),
        CASE("GET / HTTP/1.1\r\nHost: \x7f\r\n\r\n"),
        CASE("GET /\x1b HTTP/1.1\r\n\r\n"),
        CASE("\nGET / HTTP/1.1\r\n\r\n"),
        CASE("\rGET / HTTP/1.1\r\n\r\n"),
        CASE("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        CASE("\x16\x03\x01\x02"),
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        refused(kCases[i].data, kCases[i].length, 400);
    }
}

static void limits_hold_to_the_byte(void **state) {
    char data[400];
    struct http_head head;
    size_t used;
    /* A request line of 100 bytes with CRLF fits, one of 101 does not. */
    for (int extra = 0; extra < 2; extra++) {
        size_t n = 98 + (size_t)extra;
        memset(data, 'a', sizeof(data));
        memcpy(data, "GET /", 5);
        memcpy(data + n, "\r\n\r\n", 4);
        if (extra == 0) {
            assert_int_equal(feed(&head, data, n + 4, 0, 1, &used),
                             HTTP_HEAD_DONE);
        } else {
            refused(data, n + 4, 414);
        }
    }
    /* Fields of 80 bytes with all CRLFs. */
    for (int extra = 0; extra < 2; extra++) {
        size_t n = 3 + 76 + (size_t)extra;
        memset(data, 'a', sizeof(data));
        memcpy(data, "G\r\n", 3);
        memcpy(data + n, "\r\n\r\n", 4);
        if (extra == 0) {
            assert_int_equal(feed(&head, data, n + 4, 0, 1, &used),
                             HTTP_HEAD_DONE);
        } else {
            refused(data, n + 4, 431);
        }
    }
    memset(data, 'A', sizeof(data));
    refused(data, 65, 501);
    refused(data, sizeof(data), 501);
    memcpy(data, "GET /", 5);
    refused(data, sizeof(data), 414);
    memcpy(data, "G\r\nAA", 5);
    refused(data, sizeof(data), 431);
}

static void a_reset_starts_anew(void **state) {
    struct http_head head;
    size_t used;
    feed(&head, "A B C\r\nx", 8, 8, 1, &used);
    http_head_reset(&head);
    assert_int_equal(http_head_feed(&head, "D\r\n\r\n", 5, &used),
                     HTTP_HEAD_LINE);
    assert_int_equal(used, 3);
    assert_int_equal(http_head_feed(&head, "\r\n", 2, &used), HTTP_HEAD_DONE);
    assert_int_equal(head.length, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_at_its_empty_line_however_it_is_cut),
        cmocka_unit_test(lines_that_are_not_clean_are_refused),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(a_reset_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
