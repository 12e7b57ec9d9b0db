/* SPDX-License-Identifier: MIT */
/* A self-pipe rather than a signalfd: that one would need both signals blocked
 * in every thread of the process, and the second signal could not end it. */
#define _GNU_SOURCE
#include "weft/demo_http/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "weft/weft.h"

static int pipe_ends[2] = {-1, -1}; /* nobody's after install */
static _Atomic int signals;         /* any thread, atomic */

static void on_signal(int number) {
    if (atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed) > 0) {
        _exit(128 + number);
    }
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    /* An empty pipe takes a byte. */
    if (write(pipe_ends[1], &byte, 1) != 1) {
        _exit(128 + number);
    }
    errno = saved;
}

int http_stop_install(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0 ||
        sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0) {
        return -errno;
    }
    return 0;
}

int http_stop_wait(void) {
    unsigned char byte;
    int error = weft_open_fd(pipe_ends[0]);
    if (error != 0 && error != -EEXIST) {
        return error;
    }
    ssize_t n = weft_read(pipe_ends[0], &byte, 1, WEFT_FOREVER);
    return n == 1 ? byte : n < 0 ? (int)n : -EPIPE;
}
