/* SPDX-License-Identifier: MIT */
/* The floor for /plaintext: a bare epoll loop on one thread that answers each
 * request head with the bytes that the demo server answers with. No parser (it
 * counts empty lines), no time-outs, no limits: what remains is the kernel.
 *
 *     http_epoll [WORKERS]     prints its address; each worker has its own
 *                              listener (SO_REUSEPORT) and epoll instance
 *
 * Level-triggered, a read and a write per wake-up: edge-triggered mode needs
 * one more read to see EAGAIN unless it trusts short reads, and gains nothing.
 * A client that does not take its answers is cut. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, IN_BYTES = 16384, MAX_BATCH = 512, ANSWER_BYTES = 192 };

struct worker {
    int listener;
    int epoll;
    time_t second;                          /* of the date in `answers` */
    size_t answer;                          /* length of one */
    char answers[MAX_BATCH * ANSWER_BYTES]; /* one after the other */
};

/* A head that came in two pieces: how much of its empty line has come. */
static uint8_t matched[1 << 20];

static void refresh(struct worker *w) {
    struct timespec now;
    char date[40];
    struct tm parts;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec == w->second) {
        return;
    }
    w->second = now.tv_sec;
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    w->answer =
        (size_t)snprintf(w->answers, ANSWER_BYTES,
                         "HTTP/1.1 200 OK\r\nServer: weft\r\nDate: %s\r\n"
                         "Content-Type: text/plain\r\n"
                         "Content-Length: 13\r\n\r\nHello, World!",
                         date);
    for (size_t i = 1; i < MAX_BATCH; i++) {
        memcpy(w->answers + i * w->answer, w->answers, w->answer);
    }
}

/* How many heads end in these bytes. */
static size_t count_heads(int fd, const char *in, size_t size) {
    static const char kEnd[] = "\r\n\r\n";
    const char *stop = in + size;
    size_t heads = 0;
    for (unsigned m = matched[fd]; m > 0 && in < stop; in++) {
        m = *in == kEnd[m] ? m + 1 : (*in == '\r');
        if (m == 4) {
            heads++;
            m = 0;
        }
        matched[fd] = (uint8_t)m;
    }
    if (matched[fd] != 0) {
        return heads;
    }
    for (const char *end; (end = memmem(in, (size_t)(stop - in), kEnd, 4));) {
        heads++;
        in = end + 4;
    }
    for (unsigned m = 3; m > 0; m--) {
        if (stop - in >= (ptrdiff_t)m && memcmp(stop - m, kEnd, m) == 0) {
            matched[fd] = (uint8_t)m;
            break;
        }
    }
    return heads;
}

static void serve(struct worker *w, int fd) {
    char in[IN_BYTES];
    ssize_t got = read(fd, in, sizeof in);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    size_t heads = got > 0 ? count_heads(fd, in, (size_t)got) : 0;
    size_t size = heads * w->answer;
    if (got <= 0 || heads > MAX_BATCH ||
        (size > 0 && write(fd, w->answers, size) != (ssize_t)size)) {
        matched[fd] = 0;
        close(fd);
    }
}

static void accept_all(struct worker *w) {
    int fd;
    while ((fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int one = 1;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static void *run(void *arg) {
    struct worker *w = arg;
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(w->epoll, events, EVENTS, -1);
        refresh(w);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == w->listener) {
                accept_all(w);
            } else {
                serve(w, events[i].data.fd);
            }
        }
    }
    return NULL;
}

static int listen_on(struct sockaddr_in *address) {
    int one = 1;
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)address, length) != 0 ||
        listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) != 0) {
        perror("http_epoll");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv) {
    int workers = argc > 1 ? atoi(argv[1]) : 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < workers; i++) {
        struct worker *w = calloc(1, sizeof *w);
        pthread_t thread;
        struct epoll_event e = {.events = EPOLLIN};
        w->listener = listen_on(&address);
        w->epoll = epoll_create1(0);
        e.data.fd = w->listener;
        epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->listener, &e);
        if (pthread_create(&thread, NULL, run, w) != 0) {
            return 1;
        }
    }
    printf("listening on http://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    pause();
    return 0;
}
