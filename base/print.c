/* SPDX-License-Identifier: MIT */
/* A formatter small enough to trust inside a signal handler. See the header for
 * what is always true. It keeps no state: every call works on its own stack. */
#include "weft/base/print.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

struct out {
    char *at;
    char *end; /* the place of the terminator at the latest */
};

static void put(struct out *o, char c) {
    if (o->at < o->end) {
        *o->at++ = c;
    }
}

static void put_padded(struct out *o, const char *digits, int count, int width,
                       char pad, bool negative) {
    if (negative && pad == '0') {
        put(o, '-');
    }
    for (int i = count + negative; i < width; i++) {
        put(o, pad);
    }
    if (negative && pad != '0') {
        put(o, '-');
    }
    while (count > 0) {
        put(o, digits[--count]);
    }
}

static void put_number(struct out *o, unsigned long long value, unsigned base,
                       int width, char pad, bool negative) {
    char digits[24]; /* reversed */
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_padded(o, digits, count, width, pad, negative);
}

static unsigned long long next_unsigned(va_list *args, int longs) {
    if (longs == 0) {
        return va_arg(*args, unsigned);
    }
    return longs == 1 ? va_arg(*args, unsigned long)
                      : va_arg(*args, unsigned long long);
}

static long long next_signed(va_list *args, int longs) {
    if (longs == 0) {
        return va_arg(*args, int);
    }
    return longs == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

static void put_string(struct out *o, const char *s, int width) {
    int length = 0;
    s = s != NULL ? s : "(null)";
    for (; s[length] != '\0'; length++) {
        put(o, s[length]);
    }
    for (; length < width; length++) {
        put(o, ' ');
    }
}

static void put_one(struct out *o, char kind, va_list *args, int longs,
                    int width, char pad) {
    switch (kind) {
        case 's':
            put_string(o, va_arg(*args, const char *), width);
            break;
        case 'c':
            put(o, (char)va_arg(*args, int));
            break;
        case 'd': {
            long long v = next_signed(args, longs);
            put_number(
                o, v < 0 ? 0ULL - (unsigned long long)v : (unsigned long long)v,
                10, width, pad, v < 0);
            break;
        }
        case 'u':
            put_number(o, next_unsigned(args, longs), 10, width, pad, false);
            break;
        case 'x':
            put_number(o, next_unsigned(args, longs), 16, width, pad, false);
            break;
        case 'p':
            put(o, '0');
            put(o, 'x');
            put_number(o, (uintptr_t)va_arg(*args, void *), 16, width, '0',
                       false);
            break;
        default:
            put(o, kind);
            break;
    }
}

size_t weft_format_args(char *buf, size_t size, const char *fmt, va_list args) {
    struct out o = {buf, buf + size - 1};
    va_list copy;
    va_copy(copy, args);
    for (; *fmt != '\0'; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        char pad = *++fmt == '0' ? '0' : ' ';
        int width = 0;
        int longs = 0;
        for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
            width = width * 10 + (*fmt - '0');
        }
        for (; *fmt == 'l' || *fmt == 'z'; fmt++) {
            longs++;
        }
        if (*fmt == '\0') {
            break;
        }
        put_one(&o, *fmt, &copy, longs, width, pad);
    }
    va_end(copy);
    *o.at = '\0';
    return (size_t)(o.at - buf);
}

size_t weft_format(char *buf, size_t size, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    size_t length = weft_format_args(buf, size, fmt, args);
    va_end(args);
    return length;
}

void weft_print(int fd, const char *fmt, ...) {
    char line[1024];
    va_list args;
    int saved = errno;
    va_start(args, fmt);
    size_t left = weft_format_args(line, sizeof line, fmt, args);
    va_end(args);
    for (const char *at = line; left > 0;) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno != EINTR) {
            break;
        }
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
    errno = saved;
}
