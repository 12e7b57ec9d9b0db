/* SPDX-License-Identifier: MIT */
/* The two pages that tell about the server itself: / and /metrics. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/demo_http/exchange.h"
#include "weft/weft.h"

static const char kHome[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>weft demo</title>\n"
    "<style>body{font:16px/1.5 sans-serif;max-width:42em;margin:2em auto;"
    "padding:0 1em}td{padding:.1em 1em .1em 0;vertical-align:top}"
    "code{white-space:nowrap}</style></head>\n"
    "<body><h1>weft</h1>\n"
    "<p>An HTTP/1.1 server in C in which each connection is a green task: "
    "plain reads, writes and loops, on a stack of its own. A task that "
    "computes for too long is interrupted, wherever it stands, so that the "
    "others go on being served. Try it: open <a href=\"/cpu?ms=5000\">"
    "/cpu?ms=5000</a> in a few tabs, and <a href=\"/plaintext\">/plaintext</a> "
    "beside them.</p>\n"
    "<table>\n"
    "<tr><td><a href=\"/plaintext\"><code>/plaintext</code></a>"
    "<td>Hello, World!\n"
    "<tr><td><a href=\"/json\"><code>/json</code></a><td>the same as JSON\n"
    "<tr><td><a href=\"/cpu?ms=50\"><code>/cpu?ms=50</code></a>"
    "<td>burns CPU in a loop without a call (1 to 10,000 ms)\n"
    "<tr><td><a href=\"/fib?n=30\"><code>/fib?n=30</code></a>"
    "<td>a Fibonacci number, the slow way (0 to 45)\n"
    "<tr><td><a href=\"/sleep?ms=100\"><code>/sleep?ms=100</code></a>"
    "<td>waits (0 to 60,000 ms)\n"
    "<tr><td><code>/echo</code><td>any method: the body comes back\n"
    "<tr><td><a href=\"/big?bytes=1048576\"><code>/big?bytes=1048576</code></a>"
    "<td>that many bytes (up to 64 MiB)\n"
    "<tr><td><a href=\"/stream?chunks=10&amp;ms=200\">"
    "<code>/stream?chunks=10&amp;ms=200</code></a>"
    "<td>chunks with pauses between them\n"
    "<tr><td><a href=\"/metrics\"><code>/metrics</code></a>"
    "<td>counters, for Prometheus\n"
    "<tr><td><a href=\"/healthz\"><code>/healthz</code></a>"
    "<td>whether it is alive\n"
    "</table></body></html>\n";

int http_handle_home(struct http_exchange *x) {
    return http_respond(x->response, 200, "text/html; charset=utf-8", kHome,
                        sizeof(kHome) - 1);
}

struct text {
    char data[16 << 10];
    size_t length;
};

static void put(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t room = sizeof(t->data) - t->length;
    int n = vsnprintf(t->data + t->length, room, format, args);
    va_end(args);
    t->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void put_head(struct text *t, const char *name, const char *help,
                     const char *type) {
    put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(struct text *t, const char *name, const char *help,
                    const char *type, uint64_t value) {
    put_head(t, name, help, type);
    put(t, "%s %llu\n", name, (unsigned long long)value);
}

struct labelled {
    const char *label;
    uint64_t value;
};

static void put_labelled(struct text *t, const char *name, const char *key,
                         const struct labelled *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put(t, "%s{%s=\"%s\"} %llu\n", name, key, rows[i].label,
            (unsigned long long)rows[i].value);
    }
}

static void put_runtime(struct text *t) {
    struct weft_metrics m;
    weft_metrics_read(&m);
    put_one(t, "weft_tasks", "Tasks alive.", "gauge", m.tasks);
    put_one(t, "weft_tasks_spawned_total", "Tasks ever made.", "counter",
            m.spawned);
    put_one(t, "weft_workers", "Processors that run tasks.", "gauge",
            m.workers);
    const struct labelled threads[] = {
        {"all", m.threads},
        {"spare", m.spare_threads},
        {"kept", m.kept_threads},
        {"blocked", m.blocked_threads},
    };
    put_head(t, "weft_threads", "OS threads of the runtime, by what they do.",
             "gauge");
    put_labelled(t, "weft_threads", "state", threads, 4);
    const struct labelled queues[] = {
        {"local", m.local_queue},
        {"global", m.global_queue},
        {"hog", m.hog_queue},
    };
    put_head(t, "weft_queue_length", "Tasks that wait for a processor.",
             "gauge");
    put_labelled(t, "weft_queue_length", "queue", queues, 3);
    const struct labelled ways[] = {
        {"kept", m.preempt_kept},
        {"yielded", m.preempt_yielded},
    };
    put_head(t, "weft_preemptions_total", "Tasks preempted, by way.",
             "counter");
    put_labelled(t, "weft_preemptions_total", "way", ways, 2);
    const struct labelled put_off[] = {
        {"runtime", m.deferred},
        {"libc", m.deferred_libc},
        {"cap", m.skipped_at_cap},
    };
    put_head(t, "weft_preemptions_deferred_total",
             "Preemptions put off, by reason.", "counter");
    put_labelled(t, "weft_preemptions_deferred_total", "reason", put_off, 3);
    put_one(t, "weft_preemption_checks_total",
            "Looks of the monitor at a running task.", "counter", m.checks);
    put_one(t, "weft_preemption_requests_total", "Preemptions asked for.",
            "counter", m.requests);
    put_one(t, "weft_switches_total", "Tasks chosen to run.", "counter",
            m.switches);
    put_one(t, "weft_steals_total", "Successful steals.", "counter", m.steals);
    put_one(t, "weft_stolen_tasks_total", "Tasks that moved by stealing.",
            "counter", m.stolen);
    put_one(t, "weft_queue_overflows_total", "Local queues that spilled.",
            "counter", m.overflows);
    put_one(t, "weft_processors_retaken_total",
            "Processors taken from threads that blocked.", "counter",
            m.retaken);
    put_one(t, "weft_timers", "Timers armed.", "gauge", m.timers);
}

int http_handle_metrics(struct http_exchange *x) {
    struct text *t = malloc(sizeof(*t)); /* too large for a task's stack */
    if (t == NULL) {
        return http_respond_error(x->response, 503, "no memory for a page");
    }
    t->length = http_metrics_text(x->metrics, t->data, sizeof(t->data));
    put_runtime(t);
    int error = http_respond(x->response, 200,
                             "text/plain; version=0.0.4; charset=utf-8",
                             t->data, t->length);
    free(t);
    return error;
}
