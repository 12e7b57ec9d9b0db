/* SPDX-License-Identifier: MIT */
/* What the server counts, and how Prometheus reads it.
 *
 * Counters are split into shards, one cache line apart; a connection keeps to
 * one of them, so that workers seldom write the same line. All are atomic and
 * relaxed: they order nothing, and a reader gets a snapshot that may be torn
 * between two counters.
 * Context of all: any thread; nothing waits. */
#ifndef WEFT_DEMO_HTTP_METRICS_H_
#define WEFT_DEMO_HTTP_METRICS_H_

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_METRICS_SHARDS = 16,
    HTTP_METRICS_STATUSES = 20, /* the known ones, and "other" */
    HTTP_METRICS_BUCKETS = 16,  /* bounded ones, and +Inf */
};

struct http_metrics_shard {
    _Atomic uint64_t requests[HTTP_METRICS_STATUSES];
    _Atomic uint64_t buckets[HTTP_METRICS_BUCKETS];
    _Atomic uint64_t nanoseconds; /* sum of all durations */
    _Atomic uint64_t body_bytes;
} __attribute__((aligned(64)));

/* All zeroes to begin with. */
struct http_metrics {
    struct http_metrics_shard shards[HTTP_METRICS_SHARDS];
    _Atomic uint64_t accepted;
    _Atomic uint64_t closed;
    _Atomic uint64_t rejected;      /* answered with 503 at the limit */
    _Atomic uint64_t accept_pauses; /* no descriptor was left */
};

/* Counts a request that was answered with `status` after `ns`, its body of
 * `bytes` sent. `shard`: any number. */
void http_metrics_count(struct http_metrics *metrics, unsigned shard,
                        int status, uint64_t ns, uint64_t bytes);

/* Adds one to one of the counters above. */
static inline void http_metrics_add(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Writes all of it in Prometheus' text format into `out`, NUL-terminated and
 * cut where it does not fit (8 KiB do). Returns the length. */
size_t http_metrics_text(const struct http_metrics *metrics, char *out,
                         size_t size);

#endif
