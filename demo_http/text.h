/* SPDX-License-Identifier: MIT */
/* Pieces of text that lie in somebody else's memory, and the small grammar of
 * RFC 9110 section 5.6 that they are asked about: tokens, lists, numbers.
 *
 * Always true: nothing here allocates, keeps a pointer or reads a byte outside
 * the piece it was given; a piece need not end in a NUL.
 * Context of all: anywhere. */
#ifndef WEFT_DEMO_HTTP_TEXT_H_
#define WEFT_DEMO_HTTP_TEXT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct http_text {
    const char *at;
    size_t length;
};

#define HTTP_TEXT(literal) \
    ((struct http_text){.at = (literal), .length = sizeof(literal) - 1})

/* What a byte may be part of. */
enum http_char {
    HTTP_CHAR_TOKEN = 1, /* tchar, RFC 9110 5.6.2 */
    HTTP_CHAR_FIELD = 2, /* VCHAR, obs-text, SP, HTAB: RFC 9110 5.5 */
    HTTP_CHAR_URI = 4,   /* anything RFC 3986 lets stand in a path or query */
    HTTP_CHAR_NAME = 8,  /* unreserved and sub-delims: a registered name */
    HTTP_CHAR_DIGIT = 16,
    HTTP_CHAR_HEX = 32,
    HTTP_CHAR_PATH = 64, /* HTTP_CHAR_URI, but not ? and % */
};

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, unsigned kinds) {
    return (http_chars[(unsigned char)c] & kinds) != 0;
}

/* The value of a hexadecimal digit, which `c` must be. */
static inline unsigned http_hex_value(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Whether every byte of `t` is of one of `kinds`; true for no bytes. */
bool http_text_all(struct http_text t, unsigned kinds);

/* How many of the first bytes at `at` are of one of `kinds`, up to `length`. */
static inline size_t http_char_span(const char *at, size_t length,
                                    unsigned kinds) {
    size_t n = 0;
    while (n < length && http_char_is(at[n], kinds)) {
        n++;
    }
    return n;
}

/* The same for HTTP_CHAR_FIELD, eight bytes at a time. */
size_t http_field_span(const char *at, size_t length);

/* Whether `t` reads as `s`. Inline, since most know the length of `s`. */
static inline bool http_text_is(struct http_text t, const char *s) {
    size_t length = strlen(s);
    return t.length == length && memcmp(t.at, s, length) == 0;
}

/* The same; upper and lower case (ASCII) are one. */
bool http_text_is_nocase(struct http_text t, const char *s);

/* `t` without the spaces and tabs around it. */
struct http_text http_text_trim(struct http_text t);

/* Takes the next element off a comma-separated list (RFC 9110 5.6.1): empty
 * elements are passed over, commas inside quoted strings do not divide. False
 * at the end. */
bool http_list_next(struct http_text *rest, struct http_text *element);

/* Reads 1*DIGIT into `*out`. False, and *out as it was, for anything else (a
 * sign, a space, nothing at all) and for numbers past UINT64_MAX. */
bool http_parse_decimal(struct http_text t, uint64_t *out);

#endif
