/* SPDX-License-Identifier: MIT */
/* What the smallest grammar of HTTP promises. */
#include "weft/demo_http/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct http_text text(const char *s) {
    return (struct http_text){.at = s, .length = strlen(s)};
}

static void tokens_are_what_the_rfc_lists(void **state) {
    const char *tchars =
        "!#$%&'*+-.^_`|~0123456789"
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int c = 0; c < 256; c++) {
        bool wanted = c != 0 && strchr(tchars, c) != NULL;
        assert_int_equal(http_char_is((char)c, HTTP_CHAR_TOKEN), wanted);
    }
}

static void field_characters_leave_out_controls_alone(void **state) {
    for (int c = 0; c < 256; c++) {
        bool wanted = c == '\t' || (c >= 0x20 && c != 0x7f);
        assert_int_equal(http_char_is((char)c, HTTP_CHAR_FIELD), wanted);
    }
}

static void a_span_of_field_characters_ends_at_the_first_other(void **state) {
    char bytes[40];
    for (size_t length = 0; length <= sizeof(bytes); length++) {
        for (size_t at = 0; at < length; at++) {
            for (int c = 0; c < 256; c++) {
                /* What is next to it, and what comes after, must not matter. */
                memset(bytes, c & 1 ? '\t' : 0x80 + c / 2, sizeof(bytes));
                bytes[at] = (char)c;
                bytes[at + 1 < length ? at + 1 : at] =
                    (char)(at + 1 < length ? 0x20 : c);
                bool good = http_char_is((char)c, HTTP_CHAR_FIELD);
                assert_int_equal(http_field_span(bytes, length),
                                 good ? length : at);
            }
        }
        memset(bytes, '\0', sizeof(bytes));
        memset(bytes, 'x', length);
        assert_int_equal(http_field_span(bytes, sizeof(bytes)), length);
        assert_int_equal(http_field_span(bytes, length), length);
    }
}

static void path_characters_are_those_of_a_uri_but_two(void **state) {
    for (int c = 0; c < 256; c++) {
        bool wanted =
            http_char_is((char)c, HTTP_CHAR_URI) && c != '%' && c != '?';
        assert_int_equal(http_char_is((char)c, HTTP_CHAR_PATH), wanted);
    }
}

static void uri_characters_are_those_of_rfc_3986(void **state) {
    const char *pchars =
        "-._~!$&'()*+,;=:@/?%0123456789"
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int c = 0; c < 256; c++) {
        bool wanted = c != 0 && strchr(pchars, c) != NULL;
        assert_int_equal(http_char_is((char)c, HTTP_CHAR_URI), wanted);
    }
}

static void comparison_without_case_folds_letters_only(void **state) {
    assert_true(http_text_is_nocase(text("Keep-ALIVE"), "keep-alive"));
    assert_false(http_text_is_nocase(text("keep\ralive"), "keep-alive"));
    assert_false(http_text_is_nocase(text("keep-aliv"), "keep-alive"));
    assert_false(http_text_is_nocase(text("["), "{"));
    assert_false(http_text_is(text("GET"), "get"));
    assert_true(http_text_is(text("GET"), "GET"));
}

static void trimming_takes_spaces_and_tabs(void **state) {
    assert_true(http_text_is(http_text_trim(text(" \t a b\t ")), "a b"));
    assert_int_equal(http_text_trim(text(" \t ")).length, 0);
}

static void lists_pass_over_empty_elements_and_quoted_commas(void **state) {
    struct http_text rest = text(" ,, a ,\"b,\\\",c\" ;d , ");
    struct http_text element;
    assert_true(http_list_next(&rest, &element));
    assert_true(http_text_is(element, "a"));
    assert_true(http_list_next(&rest, &element));
    assert_true(http_text_is(element, "\"b,\\\",c\" ;d"));
    assert_false(http_list_next(&rest, &element));
    rest = text("\"open, \\");
    assert_true(http_list_next(&rest, &element));
    assert_false(http_list_next(&rest, &element));
}

static void numbers_are_digits_and_nothing_else(void **state) {
    static const char *const kBad[] = {"",
                                       "+1",
                                       "-1",
                                       " 1",
                                       "1 ",
                                       "0x1",
                                       "1,1",
                                       "1a",
                                       "18446744073709551616",
                                       "99999999999999999999"};
    uint64_t value = 7;
    for (size_t i = 0; i < sizeof(kBad) / sizeof(kBad[0]); i++) {
        assert_false(http_parse_decimal(text(kBad[i]), &value));
        assert_int_equal(value, 7);
    }
    assert_true(http_parse_decimal(text("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(http_parse_decimal(text("0042"), &value));
    assert_int_equal(value, 42);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_what_the_rfc_lists),
        cmocka_unit_test(field_characters_leave_out_controls_alone),
        cmocka_unit_test(a_span_of_field_characters_ends_at_the_first_other),
        cmocka_unit_test(path_characters_are_those_of_a_uri_but_two),
        cmocka_unit_test(uri_characters_are_those_of_rfc_3986),
        cmocka_unit_test(comparison_without_case_folds_letters_only),
        cmocka_unit_test(trimming_takes_spaces_and_tabs),
        cmocka_unit_test(lists_pass_over_empty_elements_and_quoted_commas),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
