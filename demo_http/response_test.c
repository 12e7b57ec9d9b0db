/* SPDX-License-Identifier: MIT */
/* The exact bytes of responses. */
#include "weft/demo_http/response.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char sent[1 << 20];
static size_t sent_length;
static int writes;
static int fail_with;

static int take(void *arg, const char *data, size_t length) {
    writes++;
    if (fail_with != 0) {
        return fail_with;
    }
    assert_true(sent_length + length < sizeof(sent));
    memcpy(sent + sent_length, data, length);
    sent_length += length;
    return 0;
}

static char buffer[1024];
static struct http_out out;
static struct http_date date;
static struct http_response r;

static void begin(int minor, bool head, bool keep_alive) {
    out = (struct http_out){
        .data = buffer, .capacity = sizeof(buffer), .write = take};
    sent_length = 0;
    writes = 0;
    fail_with = 0;
    http_date_update(&date, 784111777);
    http_response_begin(&r, &out, &date, minor, head, keep_alive);
}

static void was_sent(const char *wanted) {
    http_out_flush(&out);
    sent[sent_length] = '\0';
    assert_string_equal(sent, wanted);
}

#define COMMON "Server: weft\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static void a_small_response_is_one_write(void **state) {
    begin(1, false, true);
    assert_int_equal(http_respond(&r, 200, "text/plain", "hi", 2), 0);
    assert_int_equal(writes, 0);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi");
    assert_int_equal(writes, 1);
    assert_int_equal(r.body_bytes, 2);
    assert_true(r.keep_alive);
}

static void head_gets_the_head_of_its_get(void **state) {
    begin(1, true, true);
    http_respond(&r, 200, "text/plain", "hi", 2);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n");
    assert_true(r.keep_alive);
    begin(1, true, true);
    http_respond_chunked(&r, 200, "text/plain");
    http_write(&r, "hi", 2);
    http_end(&r);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void connection_says_what_the_version_does_not(void **state) {
    begin(1, false, false);
    http_respond(&r, 204, "text/plain", NULL, 0);
    was_sent("HTTP/1.1 204 No Content\r\n" COMMON "Connection: close\r\n\r\n");
    begin(0, false, true);
    http_respond(&r, 200, NULL, "", 0);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n");
    begin(0, false, false);
    http_respond(&r, 200, NULL, "", 0);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Connection: close\r\nContent-Length: 0\r\n\r\n");
}

static void a_server_that_ends_keeps_nothing_alive(void **state) {
    _Atomic bool ending = false;
    begin(1, false, true);
    r.ending = &ending;
    atomic_store_explicit(&ending, true, memory_order_relaxed);
    http_respond(&r, 200, NULL, "", 0);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Connection: close\r\nContent-Length: 0\r\n\r\n");
    assert_false(r.keep_alive);
}

static void chunks_are_framed_and_ended(void **state) {
    begin(1, false, true);
    http_respond_chunked(&r, 200, "text/plain");
    http_write(&r, "0123456789abcdefg", 17);
    http_write(&r, "", 0); /* must not be taken for the end */
    http_write(&r, "x", 1);
    http_end(&r);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON
             "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
             "11\r\n0123456789abcdefg\r\n1\r\nx\r\n0\r\n\r\n");
    assert_true(r.keep_alive);
}

static void http_1_0_gets_no_chunks(void **state) {
    begin(0, false, true);
    http_respond_chunked(&r, 200, NULL);
    http_write(&r, "abc", 3);
    http_end(&r);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON "Connection: close\r\n\r\nabc");
    assert_false(r.keep_alive);
}

static void errors_say_what_was_wrong(void **state) {
    begin(1, false, false);
    r.allow = "GET, HEAD";
    http_respond_error(&r, 405, "no such method here");
    was_sent("HTTP/1.1 405 Method Not Allowed\r\n" COMMON
             "Content-Type: text/plain; charset=utf-8\r\nAllow: GET, HEAD\r\n"
             "Connection: close\r\nContent-Length: 44\r\n\r\n"
             "405 Method Not Allowed: no such method here\n");
    begin(1, false, true);
    r.retry = true;
    http_respond_error(&r, 503, "full");
    was_sent("HTTP/1.1 503 Service Unavailable\r\n" COMMON
             "Content-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
             "Content-Length: 30\r\n\r\n503 Service Unavailable: full\n");
}

static void every_status_that_is_sent_has_a_reason(void **state) {
    static const int kStatuses[] = {100, 200, 204, 304, 400, 404,
                                    405, 408, 411, 413, 414, 417,
                                    421, 431, 500, 501, 503, 505};
    for (size_t i = 0; i < sizeof(kStatuses) / sizeof(kStatuses[0]); i++) {
        assert_string_not_equal(http_status_reason(kStatuses[i]), "Unknown");
    }
}

static void bodies_larger_than_the_buffer_arrive_whole(void **state) {
    static char big[5000];
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (char)('a' + i % 26);
    }
    begin(1, false, true);
    http_respond_sized(&r, 200, NULL, 3 * sizeof(big) + 300);
    for (int i = 0; i < 3; i++) {
        http_write(&r, big, sizeof(big));
        http_write(&r, big, 100);
    }
    http_end(&r);
    http_out_flush(&out);
    assert_true(r.keep_alive);
    sent[sent_length] = '\0';
    char *start = strstr(sent, "\r\n\r\n");
    assert_non_null(start);
    start += 4;
    assert_int_equal(sent + sent_length - start, 3 * sizeof(big) + 300);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(start, big, sizeof(big));
        assert_memory_equal(start + sizeof(big), big, 100);
        start += sizeof(big) + 100;
    }
}

static void a_promised_length_is_kept_or_the_connection_ends(void **state) {
    begin(1, false, true);
    http_respond_sized(&r, 200, NULL, 5);
    http_write(&r, "abc", 3);
    http_end(&r);
    assert_false(r.keep_alive);
    begin(1, false, true);
    http_respond_sized(&r, 200, NULL, 2);
    http_write(&r, "abc", 3);
    http_end(&r);
    was_sent("HTTP/1.1 200 OK\r\n" COMMON "Content-Length: 2\r\n\r\nab");
    assert_true(r.keep_alive);
}

static void the_first_error_sticks(void **state) {
    begin(1, false, true);
    fail_with = -EPIPE;
    for (int i = 0; i < 100; i++) {
        http_write(&r, "0123456789012345678901234567890", 31);
    }
    assert_int_equal(out.error, -EPIPE);
    int calls = writes;
    fail_with = 0;
    assert_int_equal(http_respond(&r, 200, NULL, "x", 1), -EPIPE);
    assert_int_equal(http_out_flush(&out), -EPIPE);
    assert_int_equal(writes, calls);
}

static void dates_change_with_the_second(void **state) {
    struct http_date d = {0};
    http_date_update(&d, 0);
    assert_string_equal(d.text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_update(&d, 951782399);
    assert_string_equal(d.text, "Mon, 28 Feb 2000 23:59:59 GMT");
    http_date_update(&d, 951782400);
    assert_string_equal(d.text, "Tue, 29 Feb 2000 00:00:00 GMT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_response_is_one_write),
        cmocka_unit_test(head_gets_the_head_of_its_get),
        cmocka_unit_test(connection_says_what_the_version_does_not),
        cmocka_unit_test(a_server_that_ends_keeps_nothing_alive),
        cmocka_unit_test(chunks_are_framed_and_ended),
        cmocka_unit_test(http_1_0_gets_no_chunks),
        cmocka_unit_test(errors_say_what_was_wrong),
        cmocka_unit_test(every_status_that_is_sent_has_a_reason),
        cmocka_unit_test(bodies_larger_than_the_buffer_arrive_whole),
        cmocka_unit_test(a_promised_length_is_kept_or_the_connection_ends),
        cmocka_unit_test(the_first_error_sticks),
        cmocka_unit_test(dates_change_with_the_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
