/* SPDX-License-Identifier: MIT */
/* The server end to end: how it ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/compiler.h"
#include "weft/demo_http/server_testing.h"

#define END "\r\nHost: a\r\n\r\n"

#if WEFT_TSAN
/* A request that does not finish in time keeps its thread to the end. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "report_thread_leaks=0";
}
#endif

static struct server_child server;
static struct reply r;

static void start(const char *flag) {
    const char *const flags[] = {"--workers=2", flag, NULL};
    server_start(&server, 0, flags);
}

static void with_nothing_to_do_it_ends_at_once_with_0(void **state) {
    static const int kSignals[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        start("--drain-timeout=1h");
        assert_int_equal(server_end(&server, kSignals[i]), 0);
    }
}

static void idle_connections_are_closed(void **state) {
    int fds[10];
    start("--drain-timeout=1h");
    for (int i = 0; i < 10; i++) {
        fds[i] = client_connect(&server);
        if (i % 2 == 0) {
            client_send(fds[i], "GET /json HTTP/1.1" END);
            assert_true(client_reply(fds[i], &r, false));
        }
    }
    kill(server.pid, SIGTERM);
    for (int i = 0; i < 10; i++) {
        assert_true(client_ended(fds[i]));
        client_close(fds[i]);
    }
    assert_int_equal(server_end(&server, 0), 0);
}

static void running_requests_finish_and_no_new_ones_come(void **state) {
    static const char *const kRunning[] = {
        "GET /sleep?ms=700 HTTP/1.1" END,
        "GET /stream?chunks=8&ms=100 HTTP/1.1" END,
        "GET /cpu?ms=500 HTTP/1.1" END,
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab",
    };
    int fds[4];
    start("--drain-timeout=1h");
    for (int i = 0; i < 4; i++) {
        fds[i] = client_connect(&server);
        client_send(fds[i], kRunning[i]);
    }
    /* Until all of them are being answered. */
    for (int i = 0; i < 500; i++) {
        if (server_metric(&server, "http_connections") == 5) {
            break;
        }
    }
    usleep(50000);
    kill(server.pid, SIGTERM);
    assert_true(server_said(&server, "finishing what runs"));
    int late = -1;
    for (int i = 0; i < 200; i++) {
        late = client_connect(&server);
        if (late < 0) {
            break;
        }
        client_close(late);
        usleep(1000);
    }
    assert_int_equal(late, -1);
    client_send(fds[3], "cd");
    client_send(fds[0], "GET /json HTTP/1.1" END); /* too late */
    for (int i = 0; i < 4; i++) {
        assert_true(client_reply(fds[i], &r, false));
        assert_int_equal(r.status, 200);
        if (i == 1) {
            assert_int_equal(r.chunks, 8);
        }
        assert_true(client_ended(fds[i]));
        client_close(fds[i]);
    }
    assert_string_equal(r.body, "abcd");
    assert_int_equal(server_end(&server, 0), 0);
}

static void a_second_signal_ends_it_at_once(void **state) {
    static const int kSignals[][2] = {
        {SIGTERM, SIGTERM}, {SIGINT, SIGTERM}, {SIGTERM, SIGINT}};
    for (int i = 0; i < 3; i++) {
        start("--drain-timeout=1h");
        int fd = client_connect(&server);
        client_send(fd, "GET /sleep?ms=60000 HTTP/1.1" END);
        usleep(20000);
        kill(server.pid, kSignals[i][0]);
        assert_true(server_said(&server, "finishing what runs"));
        assert_int_equal(server_end(&server, kSignals[i][1]),
                         128 + kSignals[i][1]);
        client_close(fd);
    }
}

static void what_does_not_finish_in_time_is_cut(void **state) {
    start("--drain-timeout=100ms");
    int fd = client_connect(&server);
    int hog = client_connect(&server);
    client_send(fd, "GET /sleep?ms=60000 HTTP/1.1" END);
    client_send(hog, "GET /cpu?ms=1500 HTTP/1.1" END);
    usleep(20000);
    assert_int_equal(server_end(&server, SIGTERM), 1);
    assert_non_null(strstr(server.log, "cutting 2 connections"));
    client_close(fd);
    client_close(hog);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_nothing_to_do_it_ends_at_once_with_0),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(running_requests_finish_and_no_new_ones_come),
        cmocka_unit_test(a_second_signal_ends_it_at_once),
        cmocka_unit_test(what_does_not_finish_in_time_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
