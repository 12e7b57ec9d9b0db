/* SPDX-License-Identifier: MIT */
/* Broken promises stop the program, in release builds too: the alternative is a
 * scheduler that goes on with a task in two queues.
 *
 * Losing a race is a return value and never comes here. */
#ifndef WEFT_BASE_CHECK_H_
#define WEFT_BASE_CHECK_H_

#include "weft/base/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prints "weft: FILE:LINE: FUNCTION: what was expected" and aborts. */
#define WEFT_CHECK(cond)                                                  \
    do {                                                                  \
        if (WEFT_UNLIKELY(!(cond))) {                                     \
            weft_check_failed(__FILE__, __LINE__, __func__, #cond, 0, 0); \
        }                                                                 \
    } while (0)

/* The same for two integers or pointers, which are printed: a == b and so on.
 */
#define WEFT_CHECK_OP(a, op, b)                                                \
    do {                                                                       \
        __typeof__(a) weft_a_ = (a);                                           \
        __typeof__(b) weft_b_ = (b);                                           \
        if (WEFT_UNLIKELY(!(weft_a_ op weft_b_))) {                            \
            weft_check_failed(__FILE__, __LINE__, __func__, #a " " #op " " #b, \
                              (unsigned long)weft_a_, (unsigned long)weft_b_); \
        }                                                                      \
    } while (0)

/* Context: anywhere. Does not return. */
void weft_check_failed(const char *file, int line, const char *function,
                       const char *condition, unsigned long a, unsigned long b)
    __attribute__((noreturn, cold));

/* Says "weft: " and the formatted sentence, and aborts: for misuse that a
 * caller can mend (format as in weft_print()). Context: anywhere. */
void weft_fatal(const char *fmt, ...) WEFT_PRINTF(1, 2)
    __attribute__((noreturn, cold));

#ifdef __cplusplus
}
#endif

#endif
