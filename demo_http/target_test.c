/* SPDX-License-Identifier: MIT */
/* Which targets and hosts are let in, and how they are divided. */
#include "weft/demo_http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct http_text text(const char *s) {
    return (struct http_text){.at = s, .length = strlen(s)};
}

static void each_form_is_divided_as_the_rfc_says(void **state) {
    static const struct {
        const char *method, *raw;
        enum http_target_form form;
        const char *authority, *path, *query;
    } kCases[] = {
        {"GET", "/", HTTP_TARGET_ORIGIN, "", "/", ""},
        {"GET", "/a/b?c=d?e", HTTP_TARGET_ORIGIN, "", "/a/b", "c=d?e"},
        {"GET", "/a?", HTTP_TARGET_ORIGIN, "", "/a", ""},
        {"GET", "/%41%2f", HTTP_TARGET_ORIGIN, "", "/%41%2f", ""},
        {"GET", "//x", HTTP_TARGET_ORIGIN, "", "//x", ""},
        {"GET", "http://a.b:80/c?d", HTTP_TARGET_ABSOLUTE, "a.b:80", "/c", "d"},
        {"GET", "HTTP://a", HTTP_TARGET_ABSOLUTE, "a", "/", ""},
        {"GET", "http://a?q/r", HTTP_TARGET_ABSOLUTE, "a", "/", "q/r"},
        {"GET", "http://[::1]:8/", HTTP_TARGET_ABSOLUTE, "[::1]:8", "/", ""},
        {"OPTIONS", "*", HTTP_TARGET_ASTERISK, "", "*", ""},
        {"OPTIONS", "http://a", HTTP_TARGET_ASTERISK, "a", "*", ""},
        {"OPTIONS", "http://a/", HTTP_TARGET_ABSOLUTE, "a", "/", ""},
        {"OPTIONS", "/x", HTTP_TARGET_ORIGIN, "", "/x", ""},
        {"CONNECT", "a:443", HTTP_TARGET_AUTHORITY, "a:443", "", ""},
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        struct http_target t;
        struct http_problem p =
            http_target_parse(text(kCases[i].raw), text(kCases[i].method), &t);
        if (p.status != 0) {
            fail_msg("%s: %s", kCases[i].raw, p.what);
        }
        assert_int_equal(t.form, kCases[i].form);
        assert_true(http_text_is(t.authority, kCases[i].authority));
        assert_true(http_text_is(t.path, kCases[i].path));
        assert_true(http_text_is(t.query, kCases[i].query));
    }
}

static void what_is_no_target_is_refused(void **state) {
    static const struct {
        const char *method, *raw;
        int status;
    } kCases[] = {
        {"GET", "", 400},
        {"GET", "*", 400},
        {"GET", "a", 400},
        {"GET", "a:80", 400},
        {"GET", "/a b", 400},
        {"GET", "/#f", 400},
        {"GET", "/<", 400},
        {"GET", "/{}", 400},
        {"GET", "/\\", 400},
        {"GET", "/[", 400},
        {"GET", "/\x7f", 400},
        {"GET", "/\xc3\xa9", 400},
        {"GET", "/%", 400},
        {"GET", "/%4", 400},
        {"GET", "/%4g", 400},
        {"GET", "/%00", 400},
        {"GET", "/?%zz", 400},
        {"GET", "http:/a", 400},
        {"GET", "http://", 400},
        {"GET", "http:///a", 400},
        {"GET", "http://:80/", 400},
        {"GET", "http://u@h/", 400},
        {"GET", "http://a:b/", 400},
        {"GET", "http://a/#f", 400},
        {"GET", "https://a/", 421},
        {"GET", "ftp://a/", 421},
        {"CONNECT", "/", 400},
        {"CONNECT", "a", 400},
        {"CONNECT", "a:", 400},
        {"CONNECT", ":80", 400},
        {"CONNECT", "http://a:80/", 400},
        {"OPTIONS", "**", 400},
    };
    for (size_t i = 0; i < sizeof(kCases) / sizeof(kCases[0]); i++) {
        struct http_target t;
        struct http_problem p =
            http_target_parse(text(kCases[i].raw), text(kCases[i].method), &t);
        if (p.status != kCases[i].status) {
            fail_msg("%s %s: %d", kCases[i].method, kCases[i].raw, p.status);
        }
        assert_non_null(p.what);
    }
}

static void authorities_are_hosts_with_a_port_or_without(void **state) {
    static const char *const kGood[] = {"",
                                        "a",
                                        "A.b-c_d~",
                                        "127.0.0.1",
                                        "127.0.0.1:8080",
                                        "a:",
                                        "a:0",
                                        "a:65535",
                                        "[::1]",
                                        "[::1]:80",
                                        "[v1.a]",
                                        "a%20b",
                                        "[::ffff:1.2.3.4]:1",
                                        "a!$&'()*+,;="};
    static const char *const kBad[] = {
        "a b", "a/b",  "a@b",  "a:b",    "a:65536", "a:-1",   "a:1:2",
        "[",   "[]",   "[::1", "[::1]x", "[x]",     "::1",    "[v.a]",
        "a%2", "a%00", "a\"",  "a?b",    "a#b",     "[::1]:x"};
    for (size_t i = 0; i < sizeof(kGood) / sizeof(kGood[0]); i++) {
        if (!http_authority_is_valid(text(kGood[i]))) {
            fail_msg("refused: %s", kGood[i]);
        }
    }
    for (size_t i = 0; i < sizeof(kBad) / sizeof(kBad[0]); i++) {
        if (http_authority_is_valid(text(kBad[i]))) {
            fail_msg("let in: %s", kBad[i]);
        }
    }
}

static void percent_decoding_works_in_place(void **state) {
    char buffer[] = "/%41%2Fb%7e";
    long n = http_percent_decode(text(buffer), buffer);
    assert_int_equal(n, 5);
    assert_memory_equal(buffer, "/A/b~", 5);
    assert_int_equal(http_percent_decode(text("%4"), buffer), -1);
    assert_int_equal(http_percent_decode(text("%4x"), buffer), -1);
    assert_int_equal(http_percent_decode(text(""), buffer), 0);
}

static void a_query_gives_the_first_value_of_a_name(void **state) {
    struct http_text v;
    struct http_text q = text("a=1&bb=2&a=3&c&=x&d==");
    assert_true(http_query_get(q, "a", &v) && http_text_is(v, "1"));
    assert_true(http_query_get(q, "bb", &v) && http_text_is(v, "2"));
    assert_true(http_query_get(q, "c", &v) && http_text_is(v, ""));
    assert_true(http_query_get(q, "d", &v) && http_text_is(v, "="));
    assert_false(http_query_get(q, "b", &v));
    assert_false(http_query_get(text(""), "a", &v));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_divided_as_the_rfc_says),
        cmocka_unit_test(what_is_no_target_is_refused),
        cmocka_unit_test(authorities_are_hosts_with_a_port_or_without),
        cmocka_unit_test(percent_decoding_works_in_place),
        cmocka_unit_test(a_query_gives_the_first_value_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
