/* SPDX-License-Identifier: MIT */
/* The server end to end when clients are slow, silent, gone, or too many. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/demo_http/server_testing.h"

#define END  "\r\nHost: a\r\n\r\n"
#define POST "POST /echo HTTP/1.1\r\nHost: a\r\n"

static struct server_child server;
static struct reply r;

static void start(int descriptors, const char *a, const char *b) {
    const char *const flags[] = {"--workers=2", "--drain-timeout=5s", a, b,
                                 NULL};
    server_start(&server, descriptors, flags);
}

static void end(void) {
    int code = server_end(&server, SIGTERM);
    if (code != 0) {
        fail_msg("exit code %d: %s", code, server.log);
    }
}

static void a_slow_request_gets_408(void **state) {
    static const char *const kBeginnings[] = {
        "G",
        "GET / HTTP/1.1\r\nHost: a",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
        POST "Content-Length: 5\r\n\r\nabc",
        POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    };
    enum { COUNT = sizeof(kBeginnings) / sizeof(kBeginnings[0]) };
    int fds[COUNT];
    start(0, "--read-timeout=100ms", "--idle-timeout=30s");
    for (int i = 0; i < COUNT; i++) {
        fds[i] = client_connect(&server);
        client_send(fds[i], kBeginnings[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_true(client_reply(fds[i], &r, false));
        if (r.status == 100) {
            assert_true(client_reply(fds[i], &r, false));
        }
        assert_int_equal(r.status, 408);
        assert_non_null(strstr(r.head, "Connection: close\r\n"));
        assert_true(client_ended(fds[i]));
        client_close(fds[i]);
    }
    /* Each byte in time is not enough: the whole request is timed. */
    int fd = client_connect(&server);
    for (int i = 0; i < 200 && !client_readable(fd, 10); i++) {
        client_send(fd, i == 0 ? "GET /" : "a");
    }
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.status, 408);
    client_close(fd);
    end();
}

static void a_silent_connection_is_closed_without_a_word(void **state) {
    start(0, "--read-timeout=30s", "--idle-timeout=100ms");
    int fd = client_connect(&server);
    assert_true(client_ended(fd));
    client_close(fd);
    fd = client_connect(&server);
    client_send(fd, "\r\n"); /* begins no request */
    assert_true(client_ended(fd));
    client_close(fd);
    fd = client_connect(&server);
    client_send(fd, "GET /json HTTP/1.1" END);
    assert_true(client_reply(fd, &r, false));
    assert_null(strstr(r.head, "Connection:"));
    assert_true(client_ended(fd));
    client_close(fd);
    /* A handler may take longer than both. */
    assert_int_equal(client_ask(&server, "GET /sleep?ms=300 HTTP/1.1" END, &r),
                     200);
    end();
}

static void wait_for_connections(long count) {
    for (int i = 0; i < 500; i++) {
        /* The one that asks is open too. */
        if (server_metric(&server, "http_connections") == count + 1) {
            return;
        }
        usleep(10000);
    }
    fail_msg("connections do not become %ld", count);
}

static void a_client_that_does_not_read_is_cut(void **state) {
    start(0, "--write-timeout=100ms", NULL);
    int fd = client_connect(&server);
    client_send(fd, "GET /big?bytes=67108864 HTTP/1.1" END);
    assert_true(client_readable(fd, 5000));
    wait_for_connections(0);
    client_close(fd);
    /* One that reads slowly, but reads, gets all. */
    fd = client_connect(&server);
    client_send(fd, "GET /big?bytes=8000000 HTTP/1.1" END);
    usleep(50000);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.length, 8000000);
    client_close(fd);
    end();
}

static void broken_connections_cost_nothing_else(void **state) {
    static const char *const kRequests[] = {
        "GET /big?bytes=67108864 HTTP/1.1" END,
        "GET /sleep?ms=50 HTTP/1.1" END,
        "GET /stream?chunks=1000&ms=1 HTTP/1.1" END,
        POST "Content-Length: 50\r\n\r\nabc",
        "GET / HT",
        "",
    };
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    start(0, NULL, NULL);
    for (int round = 0; round < 60; round++) {
        int fd = client_connect(&server);
        client_send(fd, kRequests[round % 6]);
        if (round % 3 == 0) {
            client_readable(fd, 1);
        }
        if (round % 2 == 0) { /* RST instead of FIN */
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        client_close(fd);
    }
    assert_int_equal(client_ask(&server, "GET /json HTTP/1.1" END, &r), 200);
    wait_for_connections(0);
    end();
}

static void one_connection_too_many_gets_503(void **state) {
    int fds[4];
    start(0, "--max-connections=4", NULL);
    for (int i = 0; i < 4; i++) {
        fds[i] = client_connect(&server);
        client_send(fds[i], "GET /json HTTP/1.1" END);
        assert_true(client_reply(fds[i], &r, false));
    }
    for (int i = 0; i < 10; i++) {
        int fd = client_connect(&server);
        client_send(fd, "GET /json HTTP/1.1" END);
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.status, 503);
        assert_non_null(strstr(r.head, "Retry-After: "));
        assert_non_null(strstr(r.head, "Connection: close\r\n"));
        assert_true(client_ended(fd));
        client_close(fd);
    }
    /* Those who are in stay in, and a place that is given up is free. */
    client_send(fds[0], "GET /json HTTP/1.1" END);
    assert_true(client_reply(fds[0], &r, false));
    assert_int_equal(r.status, 200);
    client_close(fds[3]);
    int status = 503;
    for (int i = 0; i < 500 && status == 503; i++) {
        status = client_ask(&server, "GET /json HTTP/1.1" END, &r);
    }
    assert_int_equal(status, 200);
    for (int i = 0; i < 3; i++) {
        client_close(fds[i]);
    }
    end();
}

static void without_descriptors_accepting_pauses_and_resumes(void **state) {
    enum { COUNT = 60, LIMIT = 40 };
    int fds[COUNT];
    start(LIMIT, NULL, NULL);
    for (int i = 0; i < COUNT; i++) {
        fds[i] =
            client_connect(&server); /* the kernel's queue takes the rest */
        assert_true(fds[i] >= 0);
        client_send(fds[i], "GET /json HTTP/1.1" END);
    }
    assert_true(server_said(&server, "accepting pauses: "));
    /* Those inside are served all the while. */
    for (int i = 0; i < 3; i++) {
        assert_true(client_reply(fds[0], &r, false));
        client_send(fds[0], "GET /json HTTP/1.1" END);
    }
    assert_true(client_reply(fds[0], &r, false));
    assert_false(client_readable(fds[COUNT - 1], 0));
    for (int i = 0; i < COUNT / 2; i++) {
        client_close(fds[i]);
    }
    for (int i = COUNT / 2; i < COUNT; i++) {
        assert_true(client_reply(fds[i], &r, false));
        assert_int_equal(r.status, 200);
        client_close(fds[i]);
    }
    assert_true(server_said(&server, "accepting again"));
    assert_true(server_metric(&server, "http_accept_pauses_total") >= 1);
    end();
}

static void wrong_options_end_with_2(void **state) {
    static const char *const kFlags[] = {"--workers=many", NULL};
    server_start_only(&server, 0, kFlags);
    assert_int_equal(server_end(&server, 0), 2);
    assert_string_equal(
        server.log,
        "demo_http: --workers: 'many' is not a number from 0 to 256\n");
    static const char *const kTaken[] = {"--listen=192.0.2.1:1", NULL};
    server_start_only(&server, 0, kTaken);
    assert_int_equal(server_end(&server, 0), 1);
    assert_non_null(strstr(server.log, "cannot listen on 192.0.2.1:1"));
    static const char *const kHelp[] = {"--help", NULL};
    server_start_only(&server, 0, kHelp);
    assert_int_equal(server_end(&server, 0), 0);
    assert_non_null(strstr(server.log, "usage: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_request_gets_408),
        cmocka_unit_test(a_silent_connection_is_closed_without_a_word),
        cmocka_unit_test(a_client_that_does_not_read_is_cut),
        cmocka_unit_test(broken_connections_cost_nothing_else),
        cmocka_unit_test(one_connection_too_many_gets_503),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_resumes),
        cmocka_unit_test(wrong_options_end_with_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
