/* SPDX-License-Identifier: MIT */
/* Which way of preempting is used. ThreadSanitizer's own handler holds signals
 * back until the program calls into libc; ours goes round it (handler.c), but
 * then may interrupt the sanitizer itself, so there a user has to insist. And
 * clang links the sanitizer into the program, where the handler cannot tell
 * its text from the user's: no insisting helps. */
#include "weft/preempt/mode.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/base/compiler.h"
#include "weft/base/print.h"

#define VARIABLE "WEFT_PREEMPT"

static const char *const names[] = {
    [WEFT_PREEMPT_DEFAULT] = "default",
    [WEFT_PREEMPT_SIGNAL] = "signal",
    [WEFT_PREEMPT_COOPERATIVE] = "cooperative",
    [WEFT_PREEMPT_OFF] = "off",
};

enum { MODES = sizeof(names) / sizeof(names[0]) };

/* The BUILD file says so where nobody has written down how this CPU's signal
 * frames look, and where the user wants none. */
#ifdef WEFT_NO_SIGNALS
enum { HAS_SIGNALS = 0 };
#elif WEFT_TSAN && defined(__clang__)
enum { HAS_SIGNALS = 0 };
#else
enum { HAS_SIGNALS = 1 };
#endif

const char *weft_preempt_mode_name(enum weft_preempt_mode mode) {
    return (unsigned)mode < MODES ? names[mode] : "unknown";
}

int weft_preempt_mode_parse(const char *name, enum weft_preempt_mode *mode) {
    for (int i = 0; i < MODES; i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum weft_preempt_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

enum weft_preempt_mode weft_preempt_mode_choose(enum weft_preempt_mode asked) {
    enum weft_preempt_mode wanted = WEFT_PREEMPT_DEFAULT;
    const char *value = getenv(VARIABLE);
    if (value != NULL && *value != '\0' &&
        weft_preempt_mode_parse(value, &wanted) != 0) {
        weft_print(STDERR_FILENO,
                   "weft: " VARIABLE
                   "=%s is none of signal, cooperative, off: passed over\n",
                   value);
    }
    bool insists = wanted == WEFT_PREEMPT_SIGNAL;
    enum weft_preempt_mode mode =
        asked == WEFT_PREEMPT_DEFAULT ? wanted : asked;
    if (mode == WEFT_PREEMPT_DEFAULT) {
        mode = WEFT_PREEMPT_SIGNAL;
    }
    if (mode == WEFT_PREEMPT_SIGNAL &&
        (!HAS_SIGNALS || (WEFT_TSAN && !insists))) {
        mode = WEFT_PREEMPT_COOPERATIVE;
    }
    return mode;
}
