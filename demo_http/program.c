/* SPDX-License-Identifier: MIT */
/* Options, then the runtime, then the server. */
#include "weft/demo_http/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "weft/demo_http/options.h"
#include "weft/demo_http/server.h"
#include "weft/demo_http/stop.h"
#include "weft/weft.h"

struct job {
    const struct http_options *options;
    int status;
};

static void serve(void *arg) {
    struct job *job = arg;
    job->status = http_server_run(job->options);
}

/* As many descriptors as we may have: each connection needs one. */
static void raise_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* else with fewer */
    }
}

int http_main(int argc, char **argv) {
    struct http_options options;
    char error[256];
    switch (http_options_parse(&options, argc, argv, getenv, error,
                               sizeof(error))) {
        case HTTP_OPTIONS_HELP: {
            char help[4096];
            fwrite(help, 1, http_options_help(help, sizeof(help)), stdout);
            return 0;
        }
        case HTTP_OPTIONS_WRONG:
            fprintf(stderr, "demo_http: %s\n", error);
            return 2;
        default:
            break;
    }
    struct weft_config config = {
        .workers = (unsigned)options.workers,
        .quantum_ns = options.quantum,
    };
    if (options.preempt != NULL) {
        weft_preempt_mode_parse(options.preempt, &config.preempt);
    }
    if (options.poller != NULL) {
        config.poller = strcmp(options.poller, "uring") == 0
                            ? WEFT_POLLER_URING
                            : WEFT_POLLER_EPOLL;
    }
    raise_limit();
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more */
    int failed = http_stop_install();
    struct job job = {.options = &options, .status = 1};
    if (failed == 0) {
        failed = weft_run(&config, serve, &job);
    }
    /* -EBUSY: a request still computes. The drain has said so. */
    if (failed != 0 && job.status == 0) {
        fprintf(stderr, "demo_http: the runtime: %s\n", strerror(-failed));
    }
    return failed != 0 ? 1 : job.status;
}
