/* SPDX-License-Identifier: MIT */
/* The two ways in which weft stops a program on purpose. Both write one line to
 * standard error and abort, so that a core file has the stack. */
#include "weft/base/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "weft/base/print.h"

void weft_check_failed(const char *file, int line, const char *function,
                       const char *condition, unsigned long a,
                       unsigned long b) {
    weft_print(STDERR_FILENO,
               "weft: %s:%d: %s: broken: %s (%lu 0x%lx, %lu 0x%lx)\n", file,
               line, function, condition, a, a, b, b);
    abort();
}

void weft_fatal(const char *fmt, ...) {
    char text[900];
    va_list args;
    va_start(args, fmt);
    weft_format_args(text, sizeof text, fmt, args);
    va_end(args);
    weft_print(STDERR_FILENO, "weft: %s\n", text);
    abort();
}
