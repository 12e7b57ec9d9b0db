/* SPDX-License-Identifier: MIT */
/* What stands in for //base:check and //base:futex in a model: a broken promise
 * ends the run, not the program, and sleeping is the model's. */
#include <stdarg.h>
#include <stdio.h>

#include "model.h"
#include "weft/base/check.h"
#include "weft/base/futex.h"

void weft_check_failed(const char *file, int line, const char *function,
                       const char *condition, unsigned long a,
                       unsigned long b) {
    model_fail("%s:%d: %s: %s (%#lx, %#lx)", file, line, function, condition, a,
               b);
}

void weft_fatal(const char *fmt, ...) {
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    model_fail("%s", text);
}

int weft_futex_wait(_Atomic uint32_t *word, uint32_t expected,
                    uint64_t deadline) {
    return model_futex_wait((const volatile void *)word, expected,
                            deadline != WEFT_FOREVER);
}

int weft_futex_wake(_Atomic uint32_t *word, int count) {
    return model_futex_wake((const volatile void *)word, count);
}
