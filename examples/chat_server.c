/* SPDX-License-Identifier: MIT */
/* Guide, step 7: what one says, all others hear. Who reads slowly misses lines,
 * and holds up nobody.
 *
 *     chat_server [ADDRESS]        127.0.0.1:0: the kernel chooses a port */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/weft.h"

#define LINE 256

struct line {
    size_t size;
    char text[LINE];
};

struct guest {
    struct guest *next; /* under `room` */
    int fd;
    struct weft_channel *lines; /* on their way to the guest */
};

static struct weft_mutex room = WEFT_MUTEX_INIT;
static struct guest *guests; /* under `room` */

static void say_to_others(const struct guest *speaker, const struct line *l) {
    weft_mutex_lock(&room);
    for (struct guest *g = guests; g != NULL; g = g->next) {
        if (g != speaker) {
            weft_channel_try_send(g->lines, l); /* full: missed */
        }
    }
    weft_mutex_unlock(&room);
}

/* Writes what the others say, until the channel is closed. */
static void *speak(void *arg) {
    struct guest *g = arg;
    struct line l;
    while (weft_channel_recv(g->lines, &l) == 0) {
        if (weft_write(g->fd, l.text, l.size, weft_now() + WEFT_S) < 0) {
            weft_shutdown(g->fd, SHUT_RDWR); /* the reader ends, too */
            break;
        }
    }
    return NULL;
}

/* Passes on each line that comes, until the guest leaves. */
static void listen_to(struct guest *g) {
    struct line l = {.size = 0};
    ssize_t n;
    while ((n = weft_read(g->fd, l.text + l.size, LINE - l.size,
                          WEFT_FOREVER)) > 0) {
        size_t size = l.size + (size_t)n;
        char *end;
        while ((end = memchr(l.text, '\n', size)) != NULL || size == LINE) {
            l.size = end == NULL ? LINE : (size_t)(end + 1 - l.text);
            say_to_others(g, &l);
            size -= l.size;
            memmove(l.text, l.text + l.size, size);
        }
        l.size = size; /* the beginning of the next line */
    }
}

static void serve(void *arg) {
    struct guest *g = arg;
    struct weft_task *speaker;
    if (weft_spawn(&speaker, speak, g, NULL) == 0) {
        weft_mutex_lock(&room);
        g->next = guests;
        guests = g;
        weft_mutex_unlock(&room);

        listen_to(g);

        weft_mutex_lock(&room);
        struct guest **at = &guests;
        while (*at != g) {
            at = &(*at)->next;
        }
        *at = g->next;
        weft_mutex_unlock(&room);
        weft_channel_close(g->lines);
        weft_join(speaker, NULL);
    }
    weft_channel_free(g->lines);
    weft_close(g->fd);
    free(g);
}

static void welcome(int fd) {
    struct guest *g = calloc(1, sizeof *g);
    if (g != NULL) {
        g->fd = fd;
        if (weft_channel_new(&g->lines, 32, sizeof(struct line)) == 0) {
            if (weft_go(serve, g) == 0) {
                return;
            }
            weft_channel_free(g->lines);
        }
        free(g);
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
        if (fd >= 0) {
            welcome(fd);
        } else {
            weft_sleep(10 * WEFT_MS);
        }
    }
}

int main(int count, char **words) {
    char *address = count > 1 ? words[1] : "127.0.0.1:0";
    return weft_run(NULL, first, address) == 0 ? 0 : 1;
}
