/* SPDX-License-Identifier: MIT */
/* Child processes: start, wait, signal. A process is a descriptor (a pidfd), so
 * no number can come to mean another process, and waiting is as any other wait.
 * Linux 5.4 and later. */
#ifndef WEFT_IO_PROCESS_H_
#define WEFT_IO_PROCESS_H_

#include <stdint.h>
#include <sys/types.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_process_options {
    /* Its descriptors 0, 1 and 2, each -1 for the caller's own; NULL: all the
     * caller's own. O_NONBLOCK is taken off them, as programs expect: off the
     * caller's descriptor too, so that is to be closed then, and not used. */
    const int *fds;
    /* "NAME=value", the last NULL. NULL: the caller's. */
    char *const *environment;
    /* Where it starts. NULL: where the caller is. */
    const char *directory;
};

/* Starts `words[0]`, looked for along PATH when it has no slash, with the
 * arguments `words` (the last NULL); `options` may be NULL. What is
 * close-on-exec it does not get, which is all that weft opens; signals that the
 * caller handles are default there. Returns a descriptor, known to the runtime,
 * for the calls below; -ENOENT, -EACCES, -ENOEXEC, -E2BIG and others of
 * execve(2), -EINVAL for no words, -EBADF for a descriptor that is not open,
 * -EAGAIN or -ENOMEM where no process could be had, -EMFILE, -ENFILE, -ENOSPC,
 * -EPERM when no runtime runs, -ECHILD where SIGCHLD is ignored and it has
 * ended at once, -ENOSYS before Linux 5.4. `*id` is its number, unless NULL. It
 * is started in weft_blocking(). Context: task, may switch. */
int weft_process_spawn(char *const *words,
                       const struct weft_process_options *options, pid_t *id);

/* Waits until the process has ended, and takes what it left: `*status` is then
 * what it returned, 0 to 255, or minus the signal that ended it (may be NULL).
 * Returns 0; -ETIMEDOUT, -ECANCELED, -EBADF (closed), -EPERM, -ENOMEM as all of
 * weft/io/io.h, after which it can be waited for again; -ECHILD when it was
 * waited for already, by waitpid(2) too, or SIGCHLD is ignored. Context: task,
 * may switch. */
int weft_process_wait(int fd, int *status, uint64_t deadline);

/* Sends it `number` (kill(2)). Returns 0; -ESRCH when it was waited for
 * already; -EINVAL, -EPERM, -EBADF. Context: any thread; does not switch. */
int weft_process_kill(int fd, int number);

/* weft_close() closes the descriptor and does nothing to the process: one that
 * was not waited for runs on, and is waited for by nobody. */

#ifdef __cplusplus
}
#endif

#endif
