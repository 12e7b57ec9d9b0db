/* SPDX-License-Identifier: MIT */
/* Signals as a channel: a task waits for them as for a message, and does with
 * them what it likes, where a handler may do next to nothing. A server waits
 * for SIGTERM and stops in order.
 *
 * A signal that comes again before it was taken counts once, as the kernel has
 * it. Which thread the kernel interrupts does not matter; nothing is blocked,
 * so programs that are executed inherit nothing: what was handled is default
 * there. */
#ifndef WEFT_IO_SIGNAL_CHANNEL_H_
#define WEFT_IO_SIGNAL_CHANNEL_H_

#include <signal.h>
#include <stdint.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From now on the signals in `set` come to the descriptor that is returned, and
 * to nobody else. Returns -EINVAL for an empty set, for SIGKILL, SIGSTOP,
 * SIGURG (weft's own) and those that an instruction raises (SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGTRAP, SIGSYS); -EBUSY when one of them comes to another
 * such descriptor; -EPERM when no runtime runs; -EMFILE, -ENFILE, -ENOMEM,
 * -ENOSPC. After an error all is as it was. Context: any thread; does not wait.
 */
int weft_signals_open(const sigset_t *set);

/* Waits for one and returns its number; the oldest first. -ETIMEDOUT,
 * -ECANCELED, -EBADF (closed), -EPERM, -ENOMEM as all of weft/io/io.h. A signal
 * that is there is given to a late or cancelled task, too. Several tasks may
 * wait; each signal goes to one of them. Context: task, may switch. */
int weft_signal_wait(int fd, uint64_t deadline);

/* What was in force before weft_signals_open() is so again; who waits gets
 * -EBADF, and signals that nobody took are lost. weft_close() would leave the
 * signals without a reader: do not use it here. Returns 0, or -EBADF when `fd`
 * is not from weft_signals_open(). Context: any thread while the runtime that
 * it was opened under runs, not in a signal handler; does not wait for tasks.
 */
int weft_signals_close(int fd);

#ifdef __cplusplus
}
#endif

#endif
