/* SPDX-License-Identifier: MIT */
/* A histogram of fixed bounds, 100 us to 10 s: what is asked of it is a tail,
 * and a scrape must not grow with the load. */
#include "weft/demo_http/metrics.h"

#include <stdarg.h>
#include <stdio.h>

static const int kStatuses[HTTP_METRICS_STATUSES - 1] = {
    200, 204, 400, 404, 405, 408, 411, 413, 414, 417,
    421, 431, 499, 500, 501, 503, 505, 100, 304};

static const uint32_t kBounds[HTTP_METRICS_BUCKETS - 1] =
    {/* us */
     100,   250,    500,    1000,   2500,    5000,    10000,   25000,
     50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

static void add(_Atomic uint64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void http_metrics_count(struct http_metrics *metrics, unsigned shard,
                        int status, uint64_t ns, uint64_t bytes) {
    struct http_metrics_shard *s =
        &metrics->shards[shard % HTTP_METRICS_SHARDS];
    unsigned i = 0;
    while (i < HTTP_METRICS_STATUSES - 1 && kStatuses[i] != status) {
        i++;
    }
    unsigned b = 0;
    while (b < HTTP_METRICS_BUCKETS - 1 && ns > kBounds[b] * UINT64_C(1000)) {
        b++;
    }
    add(&s->requests[i], 1);
    add(&s->buckets[b], 1);
    add(&s->nanoseconds, ns);
    add(&s->body_bytes, bytes);
}

struct text {
    char *out;
    size_t size, length;
};

static void put(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->out + t->length, t->size - t->length, format, args);
    va_end(args);
    size_t room = t->size - t->length - 1;
    t->length += (size_t)n < room ? (size_t)n : room;
}

static void put_counter(struct text *t, const char *name, const char *help,
                        const char *type, uint64_t value) {
    put(t, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type,
        name, (unsigned long long)value);
}

size_t http_metrics_text(const struct http_metrics *m, char *out, size_t size) {
    struct text t = {.out = out, .size = size};
    uint64_t requests[HTTP_METRICS_STATUSES] = {0};
    uint64_t buckets[HTTP_METRICS_BUCKETS] = {0};
    uint64_t ns = 0, bytes = 0;
    for (int s = 0; s < HTTP_METRICS_SHARDS; s++) {
        for (int i = 0; i < HTTP_METRICS_STATUSES; i++) {
            requests[i] += get(&m->shards[s].requests[i]);
        }
        for (int i = 0; i < HTTP_METRICS_BUCKETS; i++) {
            buckets[i] += get(&m->shards[s].buckets[i]);
        }
        ns += get(&m->shards[s].nanoseconds);
        bytes += get(&m->shards[s].body_bytes);
    }
    /* Closed first: a connection may be accepted in between, never unclosed. */
    uint64_t closed = get(&m->closed);
    uint64_t accepted = get(&m->accepted);
    put_counter(&t, "http_connections", "Connections open now.", "gauge",
                accepted - closed);
    put_counter(&t, "http_connections_total", "Connections accepted.",
                "counter", accepted);
    put_counter(&t, "http_connections_rejected_total",
                "Connections answered with 503 at the limit.", "counter",
                get(&m->rejected));
    put_counter(&t, "http_accept_pauses_total",
                "Times that accepting paused for want of descriptors.",
                "counter", get(&m->accept_pauses));
    put_counter(&t, "http_response_body_bytes_total", "Body bytes sent.",
                "counter", bytes);
    put(&t,
        "# HELP http_requests_total Requests answered, by status.\n"
        "# TYPE http_requests_total counter\n");
    for (int i = 0; i < HTTP_METRICS_STATUSES - 1; i++) {
        if (requests[i] > 0 || kStatuses[i] == 200) {
            put(&t, "http_requests_total{code=\"%d\"} %llu\n", kStatuses[i],
                (unsigned long long)requests[i]);
        }
    }
    if (requests[HTTP_METRICS_STATUSES - 1] > 0) {
        put(&t, "http_requests_total{code=\"other\"} %llu\n",
            (unsigned long long)requests[HTTP_METRICS_STATUSES - 1]);
    }
    put(&t,
        "# HELP http_request_duration_seconds From the head read to the "
        "response written.\n"
        "# TYPE http_request_duration_seconds histogram\n");
    uint64_t sum = 0;
    for (int i = 0; i < HTTP_METRICS_BUCKETS - 1; i++) {
        sum += buckets[i];
        put(&t, "http_request_duration_seconds_bucket{le=\"%g\"} %llu\n",
            kBounds[i] / 1e6, (unsigned long long)sum);
    }
    sum += buckets[HTTP_METRICS_BUCKETS - 1];
    put(&t,
        "http_request_duration_seconds_bucket{le=\"+Inf\"} %llu\n"
        "http_request_duration_seconds_sum %.9f\n"
        "http_request_duration_seconds_count %llu\n",
        (unsigned long long)sum, (double)ns / 1e9, (unsigned long long)sum);
    return t.length;
}
