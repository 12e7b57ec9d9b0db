/* SPDX-License-Identifier: MIT */
/* Guide, step 6: a server; each connection is a task.
 *
 *     echo_server [ADDRESS]        127.0.0.1:0: the kernel chooses a port */
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

static void first(void *arg) {
    int listener = weft_listen(arg, 0);
    if (listener < 0) {
        fprintf(stderr, "%s: %s\n", (char *)arg, strerror(-listener));
        return;
    }
    printf("listening on port %d\n", weft_local_port(listener));
    fflush(stdout);
    for (;;) {
        int fd = weft_accept(listener, NULL, WEFT_FOREVER);
        if (fd < 0) {
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
