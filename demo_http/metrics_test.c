/* SPDX-License-Identifier: MIT */
/* What is counted can be read back, from all shards, in cumulative buckets. */
#include "weft/demo_http/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct http_metrics metrics;
static char text[8192];

static void contains(const char *line) {
    if (strstr(text, line) == NULL) {
        fail_msg("no \"%s\" in\n%s", line, text);
    }
}

static void shards_add_up_and_buckets_are_cumulative(void **state) {
    for (unsigned shard = 0; shard < 40; shard++) {
        http_metrics_count(&metrics, shard, 200, 50000, 13);
    }
    http_metrics_count(&metrics, 0, 404, 100000, 0); /* on the bound: inside */
    http_metrics_count(&metrics, 1, 404, 100001, 0);
    http_metrics_count(&metrics, 2, 777, 11000000000, 0);
    for (int i = 0; i < 3; i++) {
        http_metrics_add(&metrics.accepted);
    }
    http_metrics_add(&metrics.closed);
    size_t n = http_metrics_text(&metrics, text, sizeof(text));
    assert_int_equal(n, strlen(text));
    assert_int_equal(text[n - 1], '\n');
    contains("http_connections 2\n");
    contains("http_connections_total 3\n");
    contains("http_requests_total{code=\"200\"} 40\n");
    contains("http_requests_total{code=\"404\"} 2\n");
    contains("http_requests_total{code=\"other\"} 1\n");
    contains("http_response_body_bytes_total 520\n");
    contains("_bucket{le=\"0.0001\"} 41\n");
    contains("_bucket{le=\"0.00025\"} 42\n");
    contains("_bucket{le=\"10\"} 42\n");
    contains("_bucket{le=\"+Inf\"} 43\n");
    contains("http_request_duration_seconds_count 43\n");
    contains("http_request_duration_seconds_sum 11.002200001\n");
    assert_null(strstr(text, "code=\"500\""));
}

static void a_short_buffer_is_not_overrun(void **state) {
    for (size_t size = 1; size < 600; size++) {
        memset(text, 'x', sizeof(text));
        size_t n = http_metrics_text(&metrics, text, size);
        assert_int_equal(n, size - 1);
        assert_int_equal(text[n], '\0');
        assert_int_equal(text[size], 'x');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_add_up_and_buckets_are_cumulative),
        cmocka_unit_test(a_short_buffer_is_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
