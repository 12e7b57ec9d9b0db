/* SPDX-License-Identifier: MIT */
/* Which backend the poller gets: what the program says, else what the
 * environment says, else what was measured to be the best here
 * (docs/scheduler.md, "Which poller"). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/base/print.h"
#include "weft/sched/poller.h"

#define VARIABLE "WEFT_POLLER"

enum weft_poller_kind weft_poller_choose(enum weft_poller_kind asked) {
    const char *value = getenv(VARIABLE);
    if (asked != WEFT_POLLER_AUTO) {
        return asked;
    }
    if (value == NULL || *value == '\0' || strcmp(value, "epoll") == 0) {
        return WEFT_POLLER_EPOLL;
    }
    if (strcmp(value, "uring") == 0) {
        return WEFT_POLLER_URING;
    }
    weft_print(STDERR_FILENO,
               "weft: " VARIABLE
               "=%s is neither epoll nor uring: passed over\n",
               value);
    return WEFT_POLLER_EPOLL;
}
