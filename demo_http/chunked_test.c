/* SPDX-License-Identifier: MIT */
/* Chunked bodies, good and bad, fed whole, byte by byte and cut anywhere. */
#include "weft/demo_http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BODY = 20, MAX_EXTRA = 30 };

/* Decodes in place, cut at `cut`, then `step` bytes at a time. */
static bool decode(struct http_chunked *c, const char *in, size_t length,
                   size_t cut, size_t step, char *body, size_t *body_length,
                   size_t *used) {
    http_chunked_init(c, MAX_BODY, MAX_EXTRA);
    *used = 0;
    *body_length = 0;
    for (size_t end = cut;;) {
        size_t n, m;
        char *piece = malloc(end - *used + 1);
        memcpy(piece, in + *used, end - *used);
        bool good = http_chunked_decode(c, piece, end - *used, &n, piece, &m);
        memcpy(body + *body_length, piece, m);
        free(piece);
        *body_length += m;
        *used += n;
        if (!good || http_chunked_done(c) || end == length) {
            return good;
        }
        end = end + step < length ? end + step : length;
    }
}

static void legal_bodies_are_read_up_to_their_last_byte(void **state) {
    static const struct {
        const char *in, *body;
    } kCases[] = {
        {"0\r\n\r\n", ""},
        {"000\r\n\r\n", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"5\r\nhello\r\n00000000000000a\r\n, \r\nworld!\r\n0\r\n\r\n",
         "hello, \r\nworld!"},
        {"A\r\n0123456789\r\na\r\nABCDEFGHIJ\r\n0\r\n\r\n",
         "0123456789ABCDEFGHIJ"},
        {"1;a=b;c=d\r\nx\r\n0;e\r\n\r\n", "x"},
        {"1 ; a = \"\\\"\\\\;\t\"\r\nx\r\n0\r\n\r\n", "x"},
        {"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x"},
    };
    char body[64];
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        char in[128];
        size_t own = strlen(kCases[i].in);
        strcpy(in, kCases[i].in);
        strcat(in, "GET /");
        for (size_t cut = 0; cut <= own + 5; cut++) {
            struct http_chunked c;
            size_t n, used;
            bool good =
                decode(&c, in, own + 5, cut, 1 + cut % 5, body, &n, &used);
            if (!good || !http_chunked_done(&c)) {
                fail_msg("%s: %s", in, good ? "not done" : c.problem.what);
            }
            assert_int_equal(used, own);
            assert_int_equal(n, strlen(kCases[i].body));
            assert_memory_equal(body, kCases[i].body, n);
        }
    }
}

static void malformed_bodies_are_refused(void **state) {
    static const struct {
        const char *in;
        int status;
    } kCases[] = {
        {"\r\n", 400},
        {";a\r\n", 400},
        {"x\r\n", 400},
        {"0x5\r\n", 400},
        {"-1\r\n", 400},
        {"+1\r\n", 400},
        {" 1\r\n", 400},
        {"1 \r\n", 400},
        {"1 2\r\n", 400},
        {"1\n", 400},
        {"1\rx\n", 400},
        {"1\r\nab\r\n", 400},
        {"1\r\na\n", 400},
        {"1\r\naX\n", 400},
        {"1\r\na\rX", 400},
        {"1\r\na\r\n\r\n", 400},
        {"00000000000000001\r\n", 400},
        {"1;a\nb\r\n", 400},
        {"1;\x01\r\n", 400},
        {"1;a=\"\r\n", 400},
        {"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 400},
        {"15\r\n", 413},
        {"ffffffffffffffff\r\n", 413},
        {"14\r\n01234567890123456789\r\n1\r\n", 413},
        {"0\r\nx\r\n", 400},
        {"0\r\n: x\r\n", 400},
        {"0\r\na b: x\r\n", 400},
        {"0\r\n a: x\r\n", 400},
        {"0\r\na: x\n", 400},
        {"0\r\na: x\r\n b\r\n\r\n", 400},
        {"0\r\na: \x02\r\n", 400},
        {"0\r\n\rx", 400},
        {"0\r\n\n", 400},
        {"0\r\na: 89012345678901234567890\r\nb: c\r\n\r\n", 431},
    };
    char body[64];
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        size_t length = strlen(kCases[i].in);
        for (size_t cut = 0; cut <= length; cut++) {
            struct http_chunked c;
            size_t n, used;
            bool good =
                decode(&c, kCases[i].in, length, cut, 1, body, &n, &used);
            if (good || c.problem.status != kCases[i].status) {
                fail_msg("\"%s\": %d", kCases[i].in, c.problem.status);
            }
            assert_non_null(c.problem.what);
            assert_false(http_chunked_done(&c));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_bodies_are_read_up_to_their_last_byte),
        cmocka_unit_test(malformed_bodies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
