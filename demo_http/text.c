/* SPDX-License-Identifier: MIT */
/* One table of 256 bytes answers what each byte may be; the rest are loops over
 * it. <ctype.h> was passed over: its answers depend on the locale, which is a
 * thread-local, and its tables know nothing of tchar. */
#include "weft/demo_http/text.h"

#include <string.h>

#define T HTTP_CHAR_TOKEN
#define F HTTP_CHAR_FIELD
#define U HTTP_CHAR_URI
#define N HTTP_CHAR_NAME
#define D HTTP_CHAR_DIGIT
#define X HTTP_CHAR_HEX

const uint8_t http_chars[256] = {
    ['\t'] = F,
    [' '] = F,
    ['0' ... '9'] = T | F | U | N | D | X,
    ['A' ... 'F'] = T | F | U | N | X,
    ['G' ... 'Z'] = T | F | U | N,
    ['a' ... 'f'] = T | F | U | N | X,
    ['g' ... 'z'] = T | F | U | N,
    ['-'] = T | F | U | N,
    ['.'] = T | F | U | N,
    ['_'] = T | F | U | N,
    ['~'] = T | F | U | N,
    ['!'] = T | F | U | N,
    ['$'] = T | F | U | N,
    ['&'] = T | F | U | N,
    ['\''] = T | F | U | N,
    ['*'] = T | F | U | N,
    ['+'] = T | F | U | N,
    ['('] = F | U | N,
    [')'] = F | U | N,
    [','] = F | U | N,
    [';'] = F | U | N,
    ['='] = F | U | N,
    ['%'] = T | F | U,
    ['/'] = F | U,
    [':'] = F | U,
    ['?'] = F | U,
    ['@'] = F | U,
    ['#'] = T | F,
    ['^'] = T | F,
    ['`'] = T | F,
    ['|'] = T | F,
    ['"'] = F,
    ['<'] = F,
    ['>'] = F,
    ['['] = F,
    ['\\'] = F,
    [']'] = F,
    ['{'] = F,
    ['}'] = F,
    [0x80 ... 0xff] = F,
};

bool http_text_all(struct http_text t, unsigned kinds) {
    for (size_t i = 0; i < t.length; i++) {
        if (!http_char_is(t.at[i], kinds)) {
            return false;
        }
    }
    return true;
}

bool http_text_is(struct http_text t, const char *s) {
    return strlen(s) == t.length && memcmp(t.at, s, t.length) == 0;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http_text_is_nocase(struct http_text t, const char *s) {
    if (strlen(s) != t.length) {
        return false;
    }
    for (size_t i = 0; i < t.length; i++) {
        if (lower(t.at[i]) != lower(s[i])) {
            return false;
        }
    }
    return true;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct http_text http_text_trim(struct http_text t) {
    while (t.length > 0 && is_blank(t.at[0])) {
        t.at++;
        t.length--;
    }
    while (t.length > 0 && is_blank(t.at[t.length - 1])) {
        t.length--;
    }
    return t;
}

/* How many bytes lie before the comma that ends the first element. */
static size_t element_length(struct http_text t) {
    bool quoted = false;
    for (size_t i = 0; i < t.length; i++) {
        if (quoted && t.at[i] == '\\') {
            i++;
        } else if (t.at[i] == '"') {
            quoted = !quoted;
        } else if (t.at[i] == ',' && !quoted) {
            return i;
        }
    }
    return t.length;
}

bool http_list_next(struct http_text *rest, struct http_text *element) {
    while (rest->length > 0) {
        size_t n = element_length(*rest);
        struct http_text piece = {.at = rest->at, .length = n};
        size_t eaten = n < rest->length ? n + 1 : n;
        rest->at += eaten;
        rest->length -= eaten;
        piece = http_text_trim(piece);
        if (piece.length > 0) {
            *element = piece;
            return true;
        }
    }
    return false;
}

bool http_parse_decimal(struct http_text t, uint64_t *out) {
    uint64_t value = 0;
    if (t.length == 0) {
        return false;
    }
    for (size_t i = 0; i < t.length; i++) {
        if (!http_char_is(t.at[i], HTTP_CHAR_DIGIT)) {
            return false;
        }
        uint64_t digit = (uint64_t)(t.at[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
