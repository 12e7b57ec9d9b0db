/* SPDX-License-Identifier: MIT */
/* Between signals.c, which is the same everywhere, and the part that speaks to
 * the kernel: handler.c, or handler_none.c in a build without signals. */
#ifndef WEFT_PREEMPT_HANDLER_H_
#define WEFT_PREEMPT_HANDLER_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/preempt/signals.h"

/* 0 or a negative errno, see weft_signals_install() and _uninstall(). `config`
 * is complete (no zeros that mean a default) and is copied. */
int weft_handler_install(const struct weft_signals_config *config);
int weft_handler_uninstall(void);

/* One SIGURG to the thread; what tgkill(2) said. */
int weft_handler_send(const struct weft_thread *thread);

void weft_handler_abandon(struct weft_interrupt *interrupt);

uint64_t weft_handler_foreign(void);

#endif
