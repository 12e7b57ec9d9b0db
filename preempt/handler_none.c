/* SPDX-License-Identifier: MIT */
/* A build without signals: by --//preempt:no_signals, or because nobody has
 * written down how this CPU or system does it. Nothing is ever installed. */
#include <errno.h>

#include "handler.h"
#include "weft/base/check.h"

int weft_handler_install(const struct weft_signals_config *config) {
    (void)config;
    return -ENOTSUP;
}

int weft_handler_uninstall(void) {
    return 0;
}

int weft_handler_send(const struct weft_thread *thread) {
    (void)thread;
    return -ENOTSUP;
}

void weft_handler_abandon(struct weft_interrupt *interrupt) {
    (void)interrupt;
    weft_fatal("weft_signals_abandon() in a build without signals");
}

uint64_t weft_handler_foreign(void) {
    return 0;
}
