/* SPDX-License-Identifier: MIT */
/* Guide, step 6: a server; each connection is a task. SIGTERM ends it in order.
 *
 *     echo_server [ADDRESS]        127.0.0.1:0: the kernel chooses a port */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "weft/weft.h"

/* Sends back what comes; hangs up on who is silent for 10 seconds. */
static void echo(void *arg) {
    int fd = (int)(intptr_t)arg;
    char data[4096];
    ssize_t n;
    while ((n = weft_read(fd, data, sizeof data, weft_now() + 10 * WEFT_S)) >
           0) {
        if (weft_write(fd, data, (size_t)n, weft_now() + 10 * WEFT_S) < 0) {
            break;
        }
    }
    weft_close(fd);
}

/* Closes the listener when somebody asks the program to end. */
static void stop(void *arg) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    int signals = weft_signals_open(&set);
    if (signals < 0) {
        return;
    }
    if (weft_signal_wait(signals, WEFT_FOREVER) == SIGTERM) {
        weft_close((int)(intptr_t)arg);
    }
    weft_signals_close(signals);
}

static void first(void *arg) {
    int listener = weft_listen(arg, 0);
    if (listener < 0) {
        fprintf(stderr, "%s: %s\n", (char *)arg, strerror(-listener));
        return;
    }
    weft_go(stop, (void *)(intptr_t)listener);
    weft_yield(); /* let it be ready before the world knows the port */
    printf("listening on port %d\n", weft_local_port(listener));
    fflush(stdout);
    for (;;) {
        int fd = weft_accept(listener, NULL, WEFT_FOREVER);
        if (fd == -EBADF) {
            return; /* stop() has closed it; connections are cancelled */
        } else if (fd < 0) {
            weft_sleep(10 * WEFT_MS); /* out of descriptors: it passes */
        } else if (weft_go(echo, (void *)(intptr_t)fd) != 0) {
            weft_close(fd);
        }
    }
}

int main(int count, char **words) {
    char *address = count > 1 ? words[1] : "127.0.0.1:0";
    return weft_run(NULL, first, address) == 0 ? 0 : 1;
}
