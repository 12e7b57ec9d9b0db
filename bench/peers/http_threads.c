/* SPDX-License-Identifier: MIT */
/* A peer for http_bench: a kernel thread per connection, and no more HTTP than
 * the bench needs. What it shows is the kernel's scheduler under this load. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weft/demo_http/burn.h"

static uint64_t rounds_per_ms;

/* Answers one head; returns the length of the answer. */
static size_t answer(const char *head, char *out, size_t size) {
    char body[64] = "Hello, World!";
    unsigned long ms = 0;
    if (strncmp(head, "GET /cpu?ms=", 12) == 0) {
        ms = strtoul(head + 12, NULL, 10);
        snprintf(body, sizeof(body), "burnt %lu ms of CPU (%llx)\n", ms,
                 (unsigned long long)http_burn(ms * rounds_per_ms));
    }
    return (size_t)snprintf(out, size,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                            "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                            "Content-Length: %zu\r\n\r\n%s",
                            strlen(body), body);
}

static void *serve(void *arg) {
    int fd = (int)(intptr_t)arg;
    char in[4096], out[512];
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, in + length, sizeof(in) - 1 - length)) > 0) {
        length += (size_t)n;
        in[length] = '\0';
        char *end;
        while ((end = strstr(in, "\r\n\r\n")) != NULL) {
            size_t size = answer(in, out, sizeof(out));
            if (write(fd, out, size) != (ssize_t)size) {
                length = 0;
                break;
            }
            end += 4;
            length -= (size_t)(end - in);
            memmove(in, end, length + 1);
        }
    }
    close(fd);
    return NULL;
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signal(SIGPIPE, SIG_IGN);
    rounds_per_ms = http_burn_calibrate();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("http_threads");
        return 1;
    }
    printf("listening on http://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int one = 1;
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0) {
            close(fd);
            continue;
        }
        pthread_detach(thread);
    }
}
