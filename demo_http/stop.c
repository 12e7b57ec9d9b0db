/* SPDX-License-Identifier: MIT */
/* A thread of its own in sigwait(), which knows nothing of weft.
 *
 * Rejected: a handler that writes into the pipe. It would run on whatever task
 * is interrupted, and ThreadSanitizer delivers signals only to threads that
 * call into libc, which an idle runtime does not. Rejected: a signalfd that a
 * task reads. The second signal would need the runtime to be well. */
#define _GNU_SOURCE
#include "weft/demo_http/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "weft/weft.h"

static int pipe_ends[2] = {-1, -1}; /* fixed after install */

static void our_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

static void *watch(void *arg) {
    sigset_t set;
    int number = 0;
    our_signals(&set);
    sigwait(&set, &number);
    unsigned char byte = (unsigned char)number;
    /* An empty pipe takes a byte. */
    if (write(pipe_ends[1], &byte, 1) == 1) {
        sigwait(&set, &number);
    }
    _exit(128 + number);
    return arg;
}

int http_stop_install(void) {
    sigset_t set;
    pthread_t thread;
    our_signals(&set);
    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -errno;
    }
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error == 0) {
        error = pthread_create(&thread, NULL, watch, NULL);
    }
    if (error == 0) {
        error = pthread_detach(thread);
    }
    return -error;
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
