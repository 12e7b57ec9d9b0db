/* SPDX-License-Identifier: MIT */
/* Lines to a descriptor without stdio, malloc or locks: what a crash report, a
 * failed check and a dump inside a signal handler are written with.
 *
 * Always true: a line is formatted on the caller's stack and leaves in one
 * write(2), so that lines of several threads do not mix; errno is as before. */
#ifndef WEFT_BASE_PRINT_H_
#define WEFT_BASE_PRINT_H_

#include <stdarg.h>
#include <stddef.h>

#include "weft/base/compiler.h"

/* Formats into `buf` of `size` bytes (1 and more), always terminated. Knows %s,
 * %c, %d, %u, %x with the lengths l, ll and z, %p, %%, and widths with or
 * without a leading 0; unlike printf's, a width pads a string on the right.
 * What does not fit is dropped. Returns the length written, without the
 * terminator. Context: anywhere, signal handlers too. */
size_t weft_format(char *buf, size_t size, const char *fmt, ...)
    WEFT_PRINTF(3, 4);
size_t weft_format_args(char *buf, size_t size, const char *fmt, va_list args);

/* Formats up to 1,024 bytes and writes them to `fd`; short writes and EINTR are
 * retried, other errors are dropped. Context: as weft_format(). */
void weft_print(int fd, const char *fmt, ...) WEFT_PRINTF(2, 3);

#endif
