/* SPDX-License-Identifier: MIT */
/* Calls that wait for another task: bytes through pipes and sockets, in pieces
 * of any length; descriptors that become ready; semaphores, messages, file
 * locks. All of them block the thread in the kernel. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/storm/blocking.h"

enum { NAP_US = 100, LENGTH = 200000, PIECE = 30000 };

/* For names that no other run has, and no task: two runs have the same process
 * id where each has a namespace of its own. */
static unsigned long long a_number(void) {
    unsigned long long number;
    WEFT_CHECK_OP(getentropy(&number, sizeof number), ==, 0);
    return number;
}

static unsigned char byte_at(size_t offset) {
    return (unsigned char)(offset * 7 + offset / 251);
}

/* --- streams of bytes
 * --------------------------------------------------------------- */

/* Much more than PIPE_BUF at a time: a write may be cut short. */
static void send_all(int fd, size_t length) {
    unsigned char piece[PIECE];
    for (size_t sent = 0; sent < length;) {
        size_t n = length - sent < PIECE ? length - sent : PIECE;
        for (size_t i = 0; i < n; i++) {
            piece[i] = byte_at(sent + i);
        }
        ssize_t done = RETRY(write(fd, piece, n));
        WEFT_CHECK_OP(done, >, 0);
        sent += (size_t)done;
    }
}

static void receive_all(int fd, size_t length) {
    unsigned char piece[5000];
    for (size_t got = 0; got < length;) {
        ssize_t n = RETRY(read(fd, piece, sizeof piece));
        WEFT_CHECK_OP(n, >, 0);
        for (ssize_t i = 0; i < n; i++) {
            WEFT_CHECK_OP(piece[i], ==, byte_at(got + (size_t)i));
        }
        got += (size_t)n;
    }
}

static void *send_and_close(void *fd) {
    send_all((int)(intptr_t)fd, LENGTH);
    close((int)(intptr_t)fd);
    return NULL;
}

static void receive_from(int fds[2]) {
    char byte;
    struct weft_task *sender = start(send_and_close, (void *)(intptr_t)fds[1]);
    receive_all(fds[0], LENGTH);
    WEFT_CHECK_OP(RETRY(read(fds[0], &byte, 1)), ==, 0);
    close(fds[0]);
    join(sender);
}

static void pass_through_pipe(struct storm_task *self) {
    int fds[2];
    (void)self;
    WEFT_CHECK_OP(pipe2(fds, O_CLOEXEC), ==, 0);
    receive_from(fds);
}

STORM_KIND(pipe_write, pass_through_pipe, NULL, NULL);

/* Time-outs make reads and writes of sockets end early when interrupted. */
static void pass_through_socket(struct storm_task *self) {
    struct timeval limit = {.tv_sec = 60};
    int fds[2];
    (void)self;
    WEFT_CHECK_OP(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==,
                  0);
    for (int i = 0; i < 2; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fds[i], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    receive_from(fds);
}

STORM_KIND(socket_timeouts, pass_through_socket, NULL, NULL);

/* A listening socket without a name in the file system, a new one each time: a
 * process that was just forked may still have the last one. */
static void *connect_and_send(void *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    WEFT_CHECK_OP(fd, >=, 0);
    nap(NAP_US * WEFT_US);
    WEFT_CHECK_OP(RETRY(connect(fd, address, sizeof(struct sockaddr_un))), ==,
                  0);
    send_all(fd, 100);
    close(fd);
    return NULL;
}

static void accept_one(struct storm_task *self) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 60};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
             "weft_storm_%llx", a_number());
    WEFT_CHECK_OP(listener, >=, 0);
    if (self->rounds % 2 == 0) {
        setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    WEFT_CHECK_OP(bind(listener, (struct sockaddr *)&address, sizeof address),
                  ==, 0);
    WEFT_CHECK_OP(listen(listener, 4), ==, 0);
    struct weft_task *client = start(connect_and_send, &address);
    int fd = RETRY(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    WEFT_CHECK_OP(fd, >=, 0);
    receive_all(fd, 100);
    close(fd);
    close(listener);
    join(client);
}

STORM_KIND(accept_connect, accept_one, NULL, NULL);

/* --- descriptors that become ready
 * -------------------------------------------------- */

static void wait_by_poll(int fd) {
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    WEFT_CHECK_OP(RETRY(poll(&poller, 1, -1)), ==, 1);
    WEFT_CHECK_OP(poller.revents, ==, POLLIN);
}

static void wait_by_epoll(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    WEFT_CHECK_OP(epoll, >=, 0);
    WEFT_CHECK_OP(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), ==, 0);
    WEFT_CHECK_OP(RETRY(epoll_wait(epoll, &event, 1, -1)), ==, 1);
    WEFT_CHECK_OP(event.data.fd, ==, fd);
    close(epoll);
}

static void wait_for(int fd, unsigned how) {
    if (how % 3 == 0) {
        wait_by_poll(fd);
    } else if (how % 3 == 1) {
        wait_by_epoll(fd);
    } /* else the read blocks */
}

static void wait_for_timer(struct storm_task *self) {
    struct itimerspec when = {.it_value.tv_nsec = NAP_US * 1000};
    uint64_t ticks = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    WEFT_CHECK_OP(fd, >=, 0);
    WEFT_CHECK_OP(timerfd_settime(fd, 0, &when, NULL), ==, 0);
    wait_for(fd, (unsigned)self->rounds);
    WEFT_CHECK_OP(RETRY(read(fd, &ticks, sizeof ticks)), ==,
                  (ssize_t)sizeof ticks);
    WEFT_CHECK_OP(ticks, ==, 1U);
    close(fd);
}

STORM_KIND(timerfd, wait_for_timer, NULL, NULL);

static void *add_five(void *fd) {
    uint64_t five = 5;
    nap(NAP_US * WEFT_US);
    WEFT_CHECK_OP(RETRY(write((int)(intptr_t)fd, &five, sizeof five)), ==,
                  (ssize_t)sizeof five);
    return NULL;
}

static void wait_for_event(struct storm_task *self) {
    uint64_t count = 0;
    int fd = eventfd(0, EFD_CLOEXEC);
    WEFT_CHECK_OP(fd, >=, 0);
    struct weft_task *adder = start(add_five, (void *)(intptr_t)fd);
    wait_for(fd, (unsigned)self->rounds);
    WEFT_CHECK_OP(RETRY(read(fd, &count, sizeof count)), ==,
                  (ssize_t)sizeof count);
    WEFT_CHECK_OP(count, ==, 5U);
    join(adder);
    close(fd);
}

STORM_KIND(eventfd, wait_for_event, NULL, NULL);

/* Both ends are opened at the same time, each waiting for the other. */
static void *write_line_into(void *path) {
    FILE *out = fopen(path, "we");
    WEFT_CHECK_OP(out, !=, NULL);
    nap(NAP_US * WEFT_US);
    WEFT_CHECK(fputs("a line\n", out) >= 0);
    WEFT_CHECK_OP(fclose(out), ==, 0);
    return NULL;
}

static void read_fifo(struct storm_task *self) {
    char path[64], line[16];
    (void)self;
    snprintf(path, sizeof path, "/tmp/weft_storm_%llx", a_number());
    WEFT_CHECK_OP(mkfifo(path, 0600), ==, 0);
    struct weft_task *writer = start(write_line_into, path);
    FILE *in = fopen(path, "re");
    WEFT_CHECK_OP(in, !=, NULL);
    WEFT_CHECK_OP(fgets(line, sizeof line, in), !=, NULL);
    WEFT_CHECK(strcmp(line, "a line\n") == 0);
    WEFT_CHECK_OP(fgetc(in), ==, EOF);
    fclose(in);
    unlink(path);
    join(writer);
}

STORM_KIND(fifo_fgetc, read_fifo, NULL, NULL);

/* --- semaphores and messages
 * -------------------------------------------------------- */

static void *post(void *semaphore) {
    nap(NAP_US * WEFT_US);
    WEFT_CHECK_OP(sem_post(semaphore), ==, 0);
    return NULL;
}

static void wait_for_post(struct storm_task *self) {
    sem_t semaphore;
    (void)self;
    WEFT_CHECK_OP(sem_init(&semaphore, 0, 0), ==, 0);
    struct weft_task *poster = start(post, &semaphore);
    WEFT_CHECK_OP(RETRY(sem_wait(&semaphore)), ==, 0);
    join(poster);
    sem_destroy(&semaphore);
}

STORM_KIND(sem_wait, wait_for_post, NULL, NULL);

struct message {
    long type; /* of the task that it is for */
    unsigned number;
};

static int queue = -1;

static bool make_queue(void) {
    queue = msgget(IPC_PRIVATE, 0600);
    return queue != -1;
}

static void remove_queue(uint64_t rounds) {
    (void)rounds;
    msgctl(queue, IPC_RMID, NULL);
}

static void *send_message(void *message) {
    nap(NAP_US * WEFT_US);
    WEFT_CHECK_OP(RETRY(msgsnd(queue, message, sizeof(unsigned), 0)), ==, 0);
    return NULL;
}

static void wait_for_message(struct storm_task *self) {
    struct message sent = {self->index + 1, self->index * 3}, got;
    struct weft_task *sender = start(send_message, &sent);
    WEFT_CHECK_OP(
        RETRY(msgrcv(queue, &got, sizeof(unsigned), self->index + 1, 0)), ==,
        (ssize_t)sizeof(unsigned));
    WEFT_CHECK_OP(got.number, ==, self->index * 3);
    join(sender);
}

STORM_KIND(msgrcv, wait_for_message, make_queue, remove_queue);

/* --- file locks
 * ---------------------------------------------------------------------- */

static char lock_path[64];
static _Atomic uint64_t first,
    second; /* as the sanitizers know no file locks */

static bool make_lock_file(void) {
    snprintf(lock_path, sizeof lock_path, "/tmp/weft_storm_%llx_lock",
             a_number());
    int fd = open(lock_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    atomic_store_explicit(&first, 0, memory_order_relaxed);
    atomic_store_explicit(&second, 0, memory_order_relaxed);
    return fd >= 0 && close(fd) == 0;
}

static void remove_lock_file(uint64_t rounds) {
    WEFT_CHECK_OP(atomic_load_explicit(&first, memory_order_relaxed), ==,
                  rounds);
    unlink(lock_path);
}

/* In two steps: with two tasks at it at once, one is lost. */
static void add_one(_Atomic uint64_t *number) {
    uint64_t was = atomic_load_explicit(number, memory_order_relaxed);
    storm_work(20);
    atomic_store_explicit(number, was + 1, memory_order_relaxed);
}

/* The first lock is the open file's and excludes all others of its sort, the
 * second excludes all of its own; closing lets go of both. */
static void lock_file(struct storm_task *self) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);
    (void)self;
    WEFT_CHECK_OP(fd, >=, 0);
    WEFT_CHECK_OP(RETRY(flock(fd, LOCK_EX)), ==, 0);
    WEFT_CHECK_OP(RETRY(fcntl(fd, F_OFD_SETLKW, &whole)), ==, 0);
    add_one(&first);
    storm_work(300);
    add_one(&second);
    WEFT_CHECK_OP(atomic_load_explicit(&first, memory_order_relaxed), ==,
                  atomic_load_explicit(&second, memory_order_relaxed));
    close(fd);
}

STORM_KIND(flock, lock_file, make_lock_file, remove_lock_file);
