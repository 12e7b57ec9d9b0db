/* SPDX-License-Identifier: MIT */
/* Whole requests: what is let in, what is refused and with which status; each
 * fed whole, byte by byte and cut in two at every place. */
#include "weft/demo_http/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct http_limits kLimits = {.max_header = 512, .max_body = 100};

static struct http_request *request;
static char *store;
static char body[256];
static size_t body_length;

/* Feeds a request in pieces (cut, then step by step) to its end; returns the
 * bytes used, and in *bad whether it was refused. */
static size_t read_all(const char *data, size_t length, size_t cut, size_t step,
                       bool *bad) {
    size_t used = 0;
    bool have_head = false;
    http_request_reset(request);
    body_length = 0;
    *bad = false;
    for (size_t end = cut;;) {
        size_t n, m = 0;
        char *piece = malloc(end - used + 1);
        memcpy(piece, data + used, end - used);
        if (!have_head) {
            enum http_request_event e =
                http_request_feed(request, piece, end - used, &n);
            *bad = e == HTTP_REQUEST_BAD;
            have_head = e == HTTP_REQUEST_HEAD;
        } else {
            *bad =
                !http_request_body(request, piece, end - used, &n, piece, &m);
            assert_true(body_length + m <= sizeof(body));
            memcpy(body + body_length, piece, m);
            body_length += m;
        }
        memset(piece, 'Z', end - used); /* no view may point into it */
        free(piece);
        used += n;
        if (*bad || (have_head && http_request_complete(request))) {
            return used;
        }
        if (used == end) {
            if (end == length) {
                return used;
            }
            end = end + step < length ? end + step : length;
        }
    }
}

static void refused(const char *data, int status) {
    size_t length = strlen(data);
    for (size_t cut = 0; cut <= length; cut++) {
        bool bad;
        read_all(data, length, cut, cut == 0 ? 1 : length, &bad);
        if (!bad || request->problem.status != status) {
            fail_msg("cut at %zu, wanted %d, got %d (%s):\n%s", cut, status,
                     request->problem.status,
                     bad ? request->problem.what : "fine", data);
        }
        assert_non_null(request->problem.what);
        assert_true(http_request_started(request));
    }
}

static void accepted(const char *data) {
    size_t length = strlen(data);
    for (size_t cut = 0; cut <= length; cut++) {
        bool bad;
        size_t used = read_all(data, length, cut, cut == 0 ? 1 : length, &bad);
        if (bad || used != length || !http_request_complete(request)) {
            fail_msg("cut at %zu, used %zu of %zu (%s):\n%s", cut, used, length,
                     bad ? request->problem.what : "incomplete", data);
        }
    }
}

#define H "Host: a\r\n"

static void a_plain_request_is_understood(void **state) {
    accepted(
        "GET /plain%20text?a=b HTTP/1.1\r\nhOsT:\t a.b:80 \r\nX-Y:\r\n"
        "Z: \xe9 , \r\n\r\n");
    assert_true(http_text_is(request->method, "GET"));
    assert_true(http_text_is(request->raw_target, "/plain%20text?a=b"));
    assert_true(http_text_is(request->path, "/plain text"));
    assert_true(http_text_is(request->target.query, "a=b"));
    assert_int_equal(request->minor, 1);
    assert_true(request->keep_alive);
    assert_false(request->is_head);
    assert_int_equal(request->field_count, 3);
    assert_true(http_text_is(*http_request_field(request, "host"), "a.b:80"));
    assert_true(http_text_is(*http_request_field(request, "x-y"), ""));
    assert_true(http_text_is(*http_request_field(request, "Z"), "\xe9 ,"));
    assert_null(http_request_field(request, "w"));
}

static void keep_alive_follows_version_and_connection(void **state) {
    static const struct {
        const char *data;
        bool wanted;
    } kCases[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", true},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: a, CLOSE ,b\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: a\r\nconnection: close\r\n\r\n",
         false},
        {"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n" H "Connection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.9\r\n" H "\r\n", true},
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        accepted(kCases[i].data);
        assert_int_equal(request->keep_alive, kCases[i].wanted);
    }
}

static void request_lines_of_other_shapes_are_refused(void **state) {
    refused("GET\r\n", 400);
    refused("GET /\r\n", 400);
    refused(" GET / HTTP/1.1\r\n", 400);
    refused("GET  / HTTP/1.1\r\n", 400);
    refused("GET / HTTP/1.1 \r\n", 400);
    refused("GET /  HTTP/1.1\r\n", 400);
    refused("GET / x HTTP/1.1\r\n", 400);
    refused("GET\t/\tHTTP/1.1\r\n", 400);
    refused("GET  HTTP/1.1\r\n", 400);
    refused("G@T / HTTP/1.1\r\n", 400);
    refused("GET / http/1.1\r\n", 400);
    refused("GET / HTTP/1\r\n", 400);
    refused("GET / HTTP/1.10\r\n", 400);
    refused("GET / HTTP/11\r\n", 400);
    refused("GET / HTTP/a.1\r\n", 400);
    refused("GET / HTTPS/1.1\r\n", 400);
    refused("GET / RTSP/1.0\r\n", 400);
    refused("GET / HTTP/0.9\r\n", 505);
    refused("GET / HTTP/2.0\r\n", 505);
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refused("GET /# HTTP/1.1\r\n" H "\r\n", 400);
    refused("GET * HTTP/1.1\r\n" H "\r\n", 400);
    refused("GET /%zz HTTP/1.1\r\n" H "\r\n", 400);
    refused("GET https://a/ HTTP/1.1\r\n" H "\r\n", 421);
}

static void methods_that_nobody_knows_are_not_implemented(void **state) {
    refused("FOO / HTTP/1.1\r\n" H "\r\n", 501);
    refused("get / HTTP/1.1\r\n" H "\r\n", 501);
    refused("GETX / HTTP/1.1\r\n" H "\r\n", 501);
    refused("DESCRIBE / HTTP/1.1\r\n" H "\r\n", 501);
    refused("CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 501);
    accepted("PROPFIND / HTTP/1.1\r\n" H "\r\n");
    accepted("M-SEARCH / HTTP/1.1\r\n" H "\r\n");
    accepted("OPTIONS * HTTP/1.1\r\n" H "\r\n");
    assert_true(http_text_is(request->path, "*"));
}

static void one_valid_host_is_wanted(void **state) {
    refused("GET / HTTP/1.1\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H H "\r\n", 400);
    refused("GET / HTTP/1.0\r\n" H "host: b\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: a, b@c\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400);
    refused("GET http://a/ HTTP/1.1\r\n\r\n", 400);
    accepted("GET http://b/c HTTP/1.1\r\n" H "\r\n");
    assert_true(http_text_is(request->path, "/c"));
    assert_true(http_text_is(request->target.authority, "b"));
    accepted("GET / HTTP/1.0\r\n\r\n");
    accepted("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    accepted("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
}

static void fields_of_other_shapes_are_refused(void **state) {
    refused("GET / HTTP/1.1\r\n" H "X : y\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X\t: y\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X Y: z\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\nabc", 400);
    refused("GET / HTTP/1.1\r\n" H ": y\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X(y): z\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X\xe9: z\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X: a\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n\r\n", 400);
}

static void a_body_has_one_length(void **state) {
#define POST "POST / HTTP/1.1\r\n" H
    refused(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400);
    refused(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            400);
    refused(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400);
    refused(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400);
    refused(POST "Content-Length: 3, 3\r\n\r\nabc", 400);
    refused(POST "Content-Length: +3\r\n\r\nabc", 400);
    refused(POST "Content-Length: -3\r\n\r\nabc", 400);
    refused(POST "Content-Length: 0x3\r\n\r\nabc", 400);
    refused(POST "Content-Length: 3 3\r\n\r\nabc", 400);
    refused(POST "Content-Length: abc\r\n\r\n", 400);
    refused(POST "Content-Length:\r\n\r\n", 400);
    refused(POST "Content-Length: 18446744073709551616\r\n\r\n", 400);
    refused(POST "Content-Length: 101\r\n\r\n", 413);
    refused(POST "Content-Length: 18446744073709551615\r\n\r\n", 413);
    refused(POST "Transfer-Encoding: gzip\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: identity\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: xchunked\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: chunked;a=b\r\n\r\n", 400);
    refused(POST "Transfer-Encoding:\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400);
    refused(POST
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
            "\r\n",
            400);
    refused(POST
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"
            "\r\n",
            400);
    refused(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501);
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

static void bodies_come_back_whole(void **state) {
    accepted(POST "Content-Length: 3\r\n\r\na\r\n");
    assert_int_equal(body_length, 3);
    assert_memory_equal(body, "a\r\n", 3);
    accepted(POST "Content-Length: 0\r\n\r\n");
    assert_int_equal(body_length, 0);
    accepted(POST "Content-Length: 00003\r\n\r\nabc");
    assert_int_equal(body_length, 3);
    accepted(POST
             "Transfer-Encoding: Chunked\r\n\r\n"
             "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n");
    assert_int_equal(body_length, 5);
    assert_memory_equal(body, "abcde", 5);
    accepted("GET / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx");
    assert_int_equal(body_length, 1);
    refused(POST "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400);
    refused(POST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400);
    refused(POST "Transfer-Encoding: chunked\r\n\r\n65\r\n", 413);
}

static void upgrades_are_ignored(void **state) {
    accepted("GET / HTTP/1.1\r\n" H
             "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
             "HTTP2-Settings: AA\r\n\r\n");
    assert_true(request->keep_alive);
    accepted(POST
             "Connection: upgrade\r\nUpgrade: websocket\r\n"
             "Content-Length: 2\r\n\r\nhi");
    assert_int_equal(body_length, 2);
}

static void expectations_are_met_or_refused(void **state) {
    bool bad;
    size_t n = strlen(POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
    read_all(POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n", n, n, 1,
             &bad);
    assert_false(bad);
    assert_true(request->expect_continue);
    accepted(POST "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n");
    assert_false(request->expect_continue);
    refused(POST "Expect: 200-ok\r\nContent-Length: 3\r\n\r\n", 417);
    refused(POST "Expect: 100-continue, x\r\nContent-Length: 3\r\n\r\n", 417);
    accepted("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na");
    assert_false(request->expect_continue);
}

static void limits_have_statuses_of_their_own(void **state) {
    static char data[HTTP_MAX_REQUEST_LINE + 1024];
    int n = snprintf(data, sizeof(data), "GET /");
    memset(data + n, 'a', HTTP_MAX_REQUEST_LINE);
    strcpy(data + n + HTTP_MAX_REQUEST_LINE, " HTTP/1.1\r\n" H "\r\n");
    bool bad;
    read_all(data, strlen(data), 0, 1000, &bad);
    assert_true(bad);
    assert_int_equal(request->problem.status, 414);

    n = snprintf(data, sizeof(data), "HEAD / HTTP/1.1\r\n" H "X: ");
    memset(data + n, 'a', 512);
    strcpy(data + n + 512, "\r\n\r\n");
    read_all(data, strlen(data), 0, 100, &bad);
    assert_true(bad);
    assert_int_equal(request->problem.status, 431);
    assert_true(request->is_head); /* the answer must have no body */

    char *p = data + sprintf(data, "GET / HTTP/1.1\r\n" H);
    for (int i = 0; i < HTTP_MAX_FIELDS; i++) {
        p += sprintf(p, "a:\r\n");
    }
    strcpy(p, "\r\n");
    read_all(data, strlen(data), 0, 100, &bad);
    assert_true(bad);
    assert_int_equal(request->problem.status, 431);
}

static void pipelined_requests_are_told_apart(void **state) {
    static const char kData[] = "GET /1 HTTP/1.1\r\n" H "\r\n" POST
                                "Content-Length: 4\r\n\r\nGET \r\n"
                                "GET /3 HTTP/1.1\r\n" H "\r\n";
    size_t length = sizeof(kData) - 1;
    bool bad;
    size_t first = read_all(kData, length, length, 1, &bad);
    assert_false(bad);
    assert_true(http_text_is(request->path, "/1"));
    size_t second =
        read_all(kData + first, length - first, length - first, 1, &bad);
    assert_false(bad);
    assert_memory_equal(body, "GET ", 4);
    size_t third = first + second;
    third += read_all(kData + third, length - third, length - third, 1, &bad);
    assert_false(bad);
    assert_true(http_text_is(request->path, "/3"));
    assert_int_equal(third, length);
}

static void nothing_is_started_by_empty_lines(void **state) {
    size_t used;
    http_request_reset(request);
    assert_false(http_request_started(request));
    assert_int_equal(http_request_feed(request, "\r\n", 2, &used),
                     HTTP_REQUEST_MORE);
    assert_false(http_request_started(request));
    assert_int_equal(http_request_feed(request, "G", 1, &used),
                     HTTP_REQUEST_MORE);
    assert_true(http_request_started(request));
}

static void noise_is_never_taken_for_a_request(void **state) {
    unsigned seed = 12345;
    char data[64];
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)snprintf(
            data, sizeof(data), "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
        seed = seed * 1103515245 + 12345;
        size_t at = (seed >> 8) % 14; /* in the request line */
        seed = seed * 1103515245 + 12345;
        char c = (char)(seed >> 16);
        bool same = data[at] == c;
        data[at] = c;
        bool bad;
        size_t used = read_all(data, n, n, 1, &bad);
        /* Other characters that make a request all the same: methods of the
         * same length have more than one letter changed; a target of one
         * letter must be "/"; versions past 1.1. */
        bool version = at == 13 && c >= '0' && c <= '9';
        if (!same && !version && !bad && used == n) {
            fail_msg("byte %zu as 0x%02x: let in", at, (unsigned char)c);
        }
    }
}

static int make(void **state) {
    request = calloc(1, sizeof(*request));
    store = malloc(http_request_store_size(&kLimits));
    http_request_init(request, &kLimits, store);
    return 0;
}

static int drop(void **state) {
    free(store);
    free(request);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_request_is_understood),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(request_lines_of_other_shapes_are_refused),
        cmocka_unit_test(methods_that_nobody_knows_are_not_implemented),
        cmocka_unit_test(one_valid_host_is_wanted),
        cmocka_unit_test(fields_of_other_shapes_are_refused),
        cmocka_unit_test(a_body_has_one_length),
        cmocka_unit_test(bodies_come_back_whole),
        cmocka_unit_test(upgrades_are_ignored),
        cmocka_unit_test(expectations_are_met_or_refused),
        cmocka_unit_test(limits_have_statuses_of_their_own),
        cmocka_unit_test(pipelined_requests_are_told_apart),
        cmocka_unit_test(nothing_is_started_by_empty_lines),
        cmocka_unit_test(noise_is_never_taken_for_a_request),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
