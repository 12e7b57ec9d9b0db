/* SPDX-License-Identifier: MIT */
/* One table of 256 bytes answers what each byte may be; the rest are loops over
 * it. <ctype.h> was passed over: its answers depend on the locale, which is a
 * thread-local, and its tables know nothing of tchar. */
#include "weft/demo_http/text.h"

#include <endian.h>
#include <string.h>

#define T HTTP_CHAR_TOKEN
#define F HTTP_CHAR_FIELD
#define U HTTP_CHAR_URI
#define N HTTP_CHAR_NAME
#define D HTTP_CHAR_DIGIT
#define X HTTP_CHAR_HEX
#define P HTTP_CHAR_PATH

const uint8_t http_chars[256] = {
    ['\t'] = F,
    [' '] = F,
    ['0' ... '9'] = T | F | U | P | N | D | X,
    ['A' ... 'F'] = T | F | U | P | N | X,
    ['G' ... 'Z'] = T | F | U | P | N,
    ['a' ... 'f'] = T | F | U | P | N | X,
    ['g' ... 'z'] = T | F | U | P | N,
    ['-'] = T | F | U | P | N,
    ['.'] = T | F | U | P | N,
    ['_'] = T | F | U | P | N,
    ['~'] = T | F | U | P | N,
    ['!'] = T | F | U | P | N,
    ['$'] = T | F | U | P | N,
    ['&'] = T | F | U | P | N,
    ['\''] = T | F | U | P | N,
    ['*'] = T | F | U | P | N,
    ['+'] = T | F | U | P | N,
    ['('] = F | U | P | N,
    [')'] = F | U | P | N,
    [','] = F | U | P | N,
    [';'] = F | U | P | N,
    ['='] = F | U | P | N,
    ['%'] = T | F | U,
    ['/'] = F | U | P,
    [':'] = F | U | P,
    ['?'] = F | U,
    ['@'] = F | U | P,
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

/* A word with the top bit of a byte set where that byte is below `low`, for a
 * `low` of up to 128. What is subtracted may borrow from the byte above one
 * that is found: only the lowest found is sure. */
static uint64_t below(uint64_t word, uint64_t low) {
    const uint64_t each = UINT64_MAX / 255;
    return (word - each * low) & ~word & (each << 7);
}

size_t http_field_span(const char *at, size_t length) {
    size_t n = 0;
    while (length - n >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at + n, sizeof(word));
        word = le64toh(word); /* the first byte is the lowest */
        uint64_t bad =
            below(word, ' ') | below(word ^ UINT64_MAX / 255 * 0x7f, 1);
        if (bad == 0) {
            n += sizeof(word);
            continue;
        }
        n += (size_t)__builtin_ctzll(bad) / 8;
        if (at[n] != '\t') {
            return n;
        }
        n++;
    }
    return n + http_char_span(at + n, length - n, HTTP_CHAR_FIELD);
}

bool http_text_all(struct http_text t, unsigned kinds) {
    return http_char_span(t.at, t.length, kinds) == t.length;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http_text_is_nocase(struct http_text t, const char *s) {
    size_t i = 0;
    while (i < t.length && s[i] != '\0' &&
           (t.at[i] == s[i] || lower(t.at[i]) == lower(s[i]))) {
        i++;
    }
    return i == t.length && s[i] == '\0';
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

enum { SAFE_DIGITS = 19 }; /* so many fit, whatever they are */

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
        if (i >= SAFE_DIGITS && value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
