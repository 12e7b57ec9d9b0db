/* SPDX-License-Identifier: MIT */
#include "exceptions.h"

extern struct weft_exceptions *globals_of_thread(void) __asm__(
    "__cxa_get_globals") __attribute__((weak));

struct weft_exceptions *weft_exceptions_of_thread(void) {
    return globals_of_thread != NULL ? globals_of_thread() : NULL;
}
