/* SPDX-License-Identifier: MIT */
/* The server end to end: what it answers, and how connections go on or end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "weft/demo_http/server_testing.h"

#define END "\r\nHost: a\r\n\r\n"

static struct server_child server;
static struct reply r;

static int start(void **state) {
    static const char *const kFlags[] = {"--workers=2", "--max-body=100k",
                                         "--max-header=2k", "--access-log",
                                         NULL};
    server_start(&server, 0, kFlags);
    return 0;
}

static int stop(void **state) {
    int code = server_end(&server, 15);
    if (code != 0) {
        print_error("exit code %d: %s\n", code, server.log);
    }
    return code;
}

static bool says(const char *text) {
    return strstr(r.head, text) != NULL;
}

static void every_path_answers(void **state) {
    static const struct {
        const char *request;
        int status;
        const char *type, *body;
    } kCases[] = {
        {"GET / HTTP/1.1" END, 200, "text/html; charset=utf-8", "weft"},
        {"GET /plaintext HTTP/1.1" END, 200, "text/plain", "Hello, World!"},
        {"GET /plaintext?x=y HTTP/1.1" END, 200, "text/plain", "Hello"},
        {"GET /%70laintext HTTP/1.1" END, 200, "text/plain", "Hello"},
        {"GET http://a/plaintext HTTP/1.1" END, 200, "text/plain", "Hello"},
        {"GET /json HTTP/1.1" END, 200, "application/json",
         "{\"message\":\"Hello, World!\"}"},
        {"GET /cpu?ms=1 HTTP/1.1" END, 200, "text/plain", "1 ms"},
        {"GET /cpu HTTP/1.1" END, 400, "text/plain", "ms=N"},
        {"GET /cpu?ms=0 HTTP/1.1" END, 400, "text/plain", "from 1 to 10000"},
        {"GET /cpu?ms=10001 HTTP/1.1" END, 400, "text/plain", "ms=N"},
        {"GET /cpu?ms=1x HTTP/1.1" END, 400, "text/plain", "ms=N"},
        {"GET /fib?n=20 HTTP/1.1" END, 200, "text/plain", "6765"},
        {"GET /fib?n=46 HTTP/1.1" END, 400, "text/plain", "n=N"},
        {"GET /sleep?ms=1 HTTP/1.1" END, 200, "text/plain", "slept 1 ms"},
        {"GET /echo HTTP/1.1" END, 200, "application/octet-stream", ""},
        {"GET /big?bytes=10 HTTP/1.1" END, 200, "application/octet-stream",
         "0123456789"},
        {"GET /big?bytes=67108865 HTTP/1.1" END, 400, "text/plain", "bytes=N"},
        {"GET /stream?chunks=2&ms=1 HTTP/1.1" END, 200, "text/plain",
         "chunk 1 of 2\nchunk 2 of 2\n"},
        {"GET /metrics HTTP/1.1" END, 200, "text/plain; version=0.0.4",
         "weft_preemptions_total{way=\"kept\"}"},
        {"GET /healthz HTTP/1.1" END, 200, "text/plain", "ok"},
        {"GET /none HTTP/1.1" END, 404, "text/plain", "404 Not Found: "},
        {"GET /plaintext/ HTTP/1.1" END, 404, "text/plain", "404"},
        {"POST /plaintext HTTP/1.1" END, 405, "text/plain", "405"},
        {"DELETE /none HTTP/1.1" END, 404, "text/plain", "404"},
        {"PUT /echo HTTP/1.1" END, 411, "text/plain", "411"},
        {"TRACE /echo HTTP/1.1" END, 405, "text/plain", "405"},
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        int status = client_ask(&server, kCases[i].request, &r);
        if (status != kCases[i].status ||
            strstr(r.body, kCases[i].body) == NULL || !says(kCases[i].type)) {
            fail_msg("%s: %s%s", kCases[i].request, r.head, r.body);
        }
        assert_false(says("Connection: close"));
        assert_true(says("\r\nServer: weft\r\n"));
        if (status == 405) {
            assert_true(says("\r\nAllow: GET, HEAD"));
        }
    }
}

static void head_has_the_length_of_get_and_no_body(void **state) {
    static const char *const kPaths[] = {"/",
                                         "/plaintext",
                                         "/big?bytes=67108864",
                                         "/cpu?ms=10000",
                                         "/stream?chunks=1000&ms=1000",
                                         "/none"};
    char request[128];
    int fd = client_connect(&server);
    for (size_t i = 0; i < sizeof(kPaths) / sizeof(kPaths[0]); i++) {
        snprintf(request, sizeof(request), "HEAD %s HTTP/1.1" END, kPaths[i]);
        client_send(fd, request);
        assert_true(client_reply(fd, &r, true));
        assert_true(says("Content-Length: ") || r.chunked);
        if (i == 2) {
            assert_true(says("Content-Length: 67108864\r\n"));
        }
    }
    client_close(fd);
}

static void options_lists_methods(void **state) {
    assert_int_equal(client_ask(&server, "OPTIONS * HTTP/1.1" END, &r), 200);
    assert_true(says("Allow: GET, HEAD, POST"));
    assert_true(says("Content-Length: 0\r\n"));
    assert_int_equal(client_ask(&server, "OPTIONS /json HTTP/1.1" END, &r),
                     200);
    assert_true(says("Allow: GET, HEAD, OPTIONS\r\n"));
}

static void echo_gives_the_body_back_as_it_came(void **state) {
    static const char *const kMethods[] = {"POST",   "PUT",     "PATCH",
                                           "DELETE", "GET",     "OPTIONS",
                                           "REPORT", "PROPFIND"};
    char request[256];
    int fd = client_connect(&server);
    for (size_t i = 0; i < sizeof(kMethods) / sizeof(kMethods[0]); i++) {
        snprintf(request, sizeof(request),
                 "%s /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
                 "he\r\no",
                 kMethods[i]);
        client_send(fd, request);
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "he\r\no");
        assert_false(r.chunked);
        snprintf(request, sizeof(request),
                 "%s /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
                 "\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nT: u\r\n\r\n",
                 kMethods[i]);
        client_send(fd, request);
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "hello, world");
        assert_true(r.chunked);
    }
    client_close(fd);
}

static void large_bodies_pass_both_ways(void **state) {
    enum { SIZE = 100 << 10 };
    static char body[SIZE + 200];
    int fd = client_connect(&server);
    int n = snprintf(body, sizeof(body),
                     "POST /echo HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: %d\r\n\r\n",
                     SIZE);
    for (int i = 0; i < SIZE; i++) {
        body[n + i] = (char)('a' + i % 23);
    }
    client_send_bytes(fd, body, (size_t)n + SIZE);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.length, SIZE);
    assert_memory_equal(r.body, body + n, SIZE);
    client_send(fd, "GET /big?bytes=20000001 HTTP/1.1" END);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.length, 20000001);
    assert_int_equal(r.body[63], '\n');
    assert_int_equal(r.body[20000000], '0');
    client_send(fd, "GET /stream?chunks=3000&ms=0 HTTP/1.1" END);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.chunks, 3000);
    client_close(fd);
}

static void a_stream_arrives_chunk_by_chunk(void **state) {
    int fd = client_connect(&server);
    client_send(fd, "GET /stream?chunks=2&ms=1000 HTTP/1.1" END);
    char data[1024] = "";
    size_t n = 0;
    while (strstr(data, "chunk 1 of 2") == NULL && client_readable(fd, 5000)) {
        char piece[512];
        ssize_t got = recv(fd, piece, sizeof(piece), 0);
        assert_true(got > 0 && n + (size_t)got < sizeof(data));
        memcpy(data + n, piece, (size_t)got);
        n += (size_t)got;
        data[n] = '\0';
    }
    assert_non_null(strstr(data, "chunk 1 of 2"));
    assert_null(strstr(data, "chunk 2 of 2"));
    client_close(fd); /* and the server has one broken connection more */
}

static void pipelined_requests_are_answered_in_order(void **state) {
    enum { COUNT = 500 };
    static char requests[COUNT * 128];
    int fd = client_connect(&server);
    size_t n = 0;
    for (int i = 0; i < COUNT; i++) {
        char body[16];
        int length = snprintf(body, sizeof(body), "%d", i);
        n += (size_t)snprintf(requests + n, sizeof(requests) - n,
                              "POST /echo HTTP/1.1\r\nHost: a\r\n"
                              "Content-Length: %d\r\n\r\n%s",
                              length, body);
    }
    client_send_bytes(fd, requests, n);
    for (int i = 0; i < COUNT; i++) {
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(atoi(r.body), i);
    }
    client_close(fd);
}

static void requests_may_come_byte_by_byte(void **state) {
    static const char kRequests[] =
        "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "\r\n3\r\nabc\r\n0\r\n\r\nGET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = client_connect(&server);
    for (size_t i = 0; i < sizeof(kRequests) - 1; i++) {
        client_send_bytes(fd, kRequests + i, 1);
    }
    assert_true(client_reply(fd, &r, false));
    assert_string_equal(r.body, "abc");
    assert_true(client_reply(fd, &r, false));
    assert_string_equal(r.body, "Hello, World!");
    client_close(fd);
}

static void connections_end_as_their_version_says(void **state) {
    static const struct {
        const char *request;
        bool ends;
    } kCases[] = {
        {"GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true},
        {"GET /json HTTP/1.0\r\n\r\n", true},
        {"GET /json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
        {"GET /json HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n"
         "Connection: upgrade\r\n\r\n",
         false},
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        int fd = client_connect(&server);
        client_send(fd, kCases[i].request);
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.status, 200);
        assert_int_equal(says("Connection: close\r\n"), kCases[i].ends);
        if (kCases[i].ends) {
            assert_true(client_ended(fd));
        } else {
            assert_int_equal(says("Connection: keep-alive\r\n"), i == 2);
            client_send(fd, "GET /healthz HTTP/1.1" END);
            assert_true(client_reply(fd, &r, false));
        }
        client_close(fd);
    }
    /* HTTP/1.0 knows no chunks. */
    assert_int_equal(
        client_ask(&server, "GET /stream?chunks=3&ms=0 HTTP/1.0\r\n\r\n", &r),
        200);
    assert_false(r.chunked);
    assert_string_equal(r.body, "chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n");
}

static void bytes_after_a_close_are_ignored(void **state) {
    int fd = client_connect(&server);
    client_send(fd,
                "GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                "GET /plaintext HTTP/1.1" END);
    assert_true(client_reply(fd, &r, false));
    assert_true(client_ended(fd));
    client_close(fd);
}

static void continue_is_said_to_whom_waits_for_it(void **state) {
    int fd = client_connect(&server);
    client_send(fd,
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n");
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.status, 100);
    client_send(fd, "hi");
    assert_true(client_reply(fd, &r, false));
    assert_string_equal(r.body, "hi");
    /* Whoever does not wait gets none. */
    client_send(fd,
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\nho");
    assert_true(client_reply(fd, &r, false));
    if (r.status == 100) { /* the body had not come yet */
        assert_true(client_reply(fd, &r, false));
    }
    assert_string_equal(r.body, "ho");
    /* Where the body is not wanted, the answer comes at once, and the last. */
    client_send(fd,
                "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n");
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.status, 404);
    assert_true(says("Connection: close\r\n"));
    assert_true(client_ended(fd));
    client_close(fd);
}

static void a_body_that_nobody_reads_is_passed_over(void **state) {
    int fd = client_connect(&server);
    client_send(fd,
                "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n"
                "\r\nGET /json HTTP/1.1\r\nHost: a\r\n\r"
                "GET /plaintext HTTP/1.1" END);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.status, 404);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "Hello, World!");
    client_close(fd);
}

static void what_is_malformed_is_refused_and_ends_the_connection(void **state) {
#define POST "POST /echo HTTP/1.1\r\nHost: a\r\n"
    static const struct {
        const char *request;
        int status;
    } kCases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET /\r\n", 400},
        {"\x16\x03\x01\x02\x01", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"FOO / HTTP/1.1" END, 501},
        {"CONNECT a:1 HTTP/1.1" END, 501},
        {POST "Expect: tea\r\n\r\n", 417},
        {POST "Content-Length: 102401\r\n\r\n", 413},
        {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {POST "Transfer-Encoding: gzip\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n1\r\nab", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n19001\r\n", 413},
        {"GET https://a/ HTTP/1.1" END, 421},
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        int fd = client_connect(&server);
        client_send(fd, kCases[i].request);
        client_send(fd, "GET /smuggled HTTP/1.1" END);
        if (!client_reply(fd, &r, false) || r.status != kCases[i].status) {
            fail_msg("%s: %s%s", kCases[i].request, r.head, r.body);
        }
        assert_true(says("Connection: close\r\n"));
        assert_true(r.length > 10);
        assert_true(client_ended(fd));
        client_close(fd);
    }
}

static void limits_have_their_statuses(void **state) {
    static char request[20000];
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET /", 5);
    strcpy(request + 9000, " HTTP/1.1" END);
    assert_int_equal(client_ask(&server, request, &r), 414);
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
    strcpy(request + 3000, "\r\n\r\n");
    assert_int_equal(client_ask(&server, request, &r), 431);
}

static void an_error_reaches_a_client_that_goes_on_sending(void **state) {
    static char junk[1 << 20];
    memset(junk, 'x', sizeof(junk));
    for (int i = 0; i < 5; i++) {
        int fd = client_connect(&server);
        client_send(fd, POST "Content-Length: 9999999\r\n\r\n");
        client_send_bytes(fd, junk, sizeof(junk));
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.status, 413);
        client_close(fd);
    }
}

static void requests_are_counted_and_logged(void **state) {
    long before = server_metric(&server, "http_requests_total{code=\"404\"}");
    client_ask(&server, "GET /counted HTTP/1.1" END, &r);
    long after = server_metric(&server, "http_requests_total{code=\"404\"}");
    assert_int_equal(after, before + 1);
    assert_true(server_said(&server, "\"GET /counted\" 404 "));
    assert_int_equal(server_metric(&server, "weft_workers"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_answers),
        cmocka_unit_test(head_has_the_length_of_get_and_no_body),
        cmocka_unit_test(options_lists_methods),
        cmocka_unit_test(echo_gives_the_body_back_as_it_came),
        cmocka_unit_test(large_bodies_pass_both_ways),
        cmocka_unit_test(a_stream_arrives_chunk_by_chunk),
        cmocka_unit_test(requests_may_come_byte_by_byte),
        cmocka_unit_test(connections_end_as_their_version_says),
        cmocka_unit_test(bytes_after_a_close_are_ignored),
        cmocka_unit_test(continue_is_said_to_whom_waits_for_it),
        cmocka_unit_test(a_body_that_nobody_reads_is_passed_over),
        cmocka_unit_test(what_is_malformed_is_refused_and_ends_the_connection),
        cmocka_unit_test(limits_have_their_statuses),
        cmocka_unit_test(an_error_reaches_a_client_that_goes_on_sending),
        cmocka_unit_test(requests_are_counted_and_logged),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
