/* SPDX-License-Identifier: MIT */
/* Guide, step 8: passes connections on to another server, both ways at once,
 * and passes on the end of each direction by itself.
 *
 *     proxy TARGET [ADDRESS]       127.0.0.1:0: the kernel chooses a port */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "weft/weft.h"

static const char *target;

struct pump {
    int from, to;
};

static void *pump(void *arg) {
    struct pump *p = arg;
    char data[16384];
    ssize_t n;
    while ((n = weft_read(p->from, data, sizeof data, WEFT_FOREVER)) > 0 &&
           weft_write(p->to, data, (size_t)n, WEFT_FOREVER) > 0) {
    }
    if (n == 0) {
        weft_shutdown(p->to, SHUT_WR); /* the other direction goes on */
    } else {
        weft_shutdown(p->from, SHUT_RDWR); /* broken: both end */
        weft_shutdown(p->to, SHUT_RDWR);
    }
    return NULL;
}

static void serve(void *arg) {
    int client = (int)(intptr_t)arg;
    int server = weft_connect(target, weft_now() + 5 * WEFT_S);
    if (server >= 0) {
        struct pump there = {client, server}, back = {server, client};
        struct weft_task *task;
        if (weft_spawn(&task, pump, &there, NULL) == 0) {
            pump(&back);
            weft_join(task, NULL);
        }
        weft_close(server);
    }
    weft_close(client);
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
            weft_sleep(10 * WEFT_MS);
        } else if (weft_go(serve, (void *)(intptr_t)fd) != 0) {
            weft_close(fd);
        }
    }
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: proxy TARGET [ADDRESS]\n");
        return 2;
    }
    target = words[1];
    char *address = count > 2 ? words[2] : "127.0.0.1:0";
    return weft_run(NULL, first, address) == 0 ? 0 : 1;
}
