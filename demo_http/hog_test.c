/* SPDX-License-Identifier: MIT */
/* The server end to end beside requests that compute and never yield: the
 * promise that the demo is there to show. Orders are asserted, not times. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/demo_http/server_testing.h"
#include "weft/preempt/mode.h"

#define END "\r\nHost: a\r\n\r\n"

static struct server_child server;
static struct reply r;

/* As many hogs as workers, and more: are the light ones answered first? False
 * when a hog was, which says nothing if this process had no CPU for so long. */
static bool light_requests_pass_hogs_of(unsigned ms, const char *workers,
                                        int hogs) {
    const char *const flags[] = {workers, "--quantum=1ms", NULL};
    char request[64];
    int fds[8];
    bool first = true;
    snprintf(request, sizeof request, "GET /cpu?ms=%u HTTP/1.1" END, ms);
    server_start(&server, 0, flags);
    for (int i = 0; i < hogs; i++) {
        fds[i] = client_connect(&server);
        client_send(fds[i], request);
    }
    usleep(20000);
    int light = client_connect(&server);
    for (int i = 0; i < 10; i++) {
        client_send(light, "GET /plaintext HTTP/1.1" END);
        assert_true(client_reply(light, &r, false));
    }
    client_close(light);
    assert_true(server_metric(&server, "weft_preemptions_total{way=\"kept\"}") >
                0);
    for (int i = 0; i < hogs; i++) {
        first &= !client_readable(fds[i], 0); /* not one of them yet */
    }
    for (int i = 0; i < hogs; i++) {
        assert_true(client_reply(fds[i], &r, false));
        assert_int_equal(r.status, 200);
        client_close(fds[i]);
    }
    assert_int_equal(server_end(&server, SIGTERM), 0);
    return first;
}

/* Light requests that wait for hogs to end do so however long those take. */
static void light_requests_pass(const char *workers, int hogs) {
    assert_true(light_requests_pass_hogs_of(500, workers, hogs) ||
                light_requests_pass_hogs_of(2000, workers, hogs));
}

static void one_worker_serves_beside_a_loop_without_calls(void **state) {
    light_requests_pass("--workers=1", 1);
}

static void two_workers_serve_beside_three_such_loops(void **state) {
    light_requests_pass("--workers=2", 3);
}

int main(void) {
    if (weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_SIGNAL) {
        return 0; /* nothing can interrupt a loop without calls here */
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_serves_beside_a_loop_without_calls),
        cmocka_unit_test(two_workers_serve_beside_three_such_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
