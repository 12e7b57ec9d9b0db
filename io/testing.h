/* SPDX-License-Identifier: MIT */
/* For io's tests: bodies that run as the first task, and small tools. A check
 * that fails in a task ends the process and says where; cmocka's own asserts
 * would jump from one stack to another. */
#ifndef WEFT_IO_TESTING_H_
#define WEFT_IO_TESTING_H_

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/io/io.h"
#include "weft/sched/park.h"
#include "weft/sched/poller.h"
#include "weft/sched/task.h"

/* Runs `body` as the first task of a runtime: of the scheduler, or of OS
 * threads (threads_runtime.c). Returns 0. */
int weft_testing_run(void (*body)(void *arg));

/* A test whose body runs as a task: IO_TEST(what_it_promises) { ... }. */
#define IO_TEST(name)                                       \
    static void name##_body(void *arg);                     \
    static void name(void **state) {                        \
        assert_int_equal(weft_testing_run(name##_body), 0); \
    }                                                       \
    static void name##_body(void *arg)

/* For names that no other run has: where each test has a process namespace of
 * its own, two have the same process id. */
static inline unsigned long long a_number(void) {
    unsigned long long number;
    WEFT_CHECK_OP(getentropy(&number, sizeof(number)), ==, 0);
    return number;
}

#define EXPECT(a, b) WEFT_CHECK_OP((long)(a), ==, (long)(b))

/* Long enough that only something broken reaches it. */
static inline uint64_t soon(void) {
    return weft_now() + 20 * WEFT_S;
}

static inline struct weft_task *start(void *(*fn)(void *), void *arg) {
    struct weft_task *task = NULL;
    EXPECT(weft_spawn(&task, fn, arg, NULL), 0);
    return task;
}

static inline long finish(struct weft_task *task) {
    void *result = NULL;
    EXPECT(weft_join(task, &result), 0);
    return (long)result;
}

/* Two connected sockets, both known to the runtime. */
static inline void open_pair(int pair[2]) {
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT(weft_open_fd(pair[0]), 0);
    EXPECT(weft_open_fd(pair[1]), 0);
}

static inline void open_pipe(int ends[2]) {
    EXPECT(pipe(ends), 0);
    EXPECT(weft_open_fd(ends[0]), 0);
    EXPECT(weft_open_fd(ends[1]), 0);
}

static inline void close_both(const int fds[2]) {
    EXPECT(weft_close(fds[0]), 0);
    EXPECT(weft_close(fds[1]), 0);
}

/* Reads `size` bytes, or fewer at the end of the stream. */
static inline size_t read_all(int fd, char *data, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t count = weft_read(fd, data + got, size - got, soon());
        WEFT_CHECK_OP((long)count, >=, 0L);
        if (count == 0) {
            break;
        }
        got += (size_t)count;
    }
    return got;
}

/* How many descriptors are open, but for what the runtime's threads read about
 * themselves: one may start at any time. */
static inline int count_open(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[32];
        char name[8] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, name, sizeof(name) - 1);
        count += size > 0 && strncmp(name, "/proc/", 6) != 0;
    }
    return count;
}

/* A listening socket on a free port of the loopback, and how to reach it. */
static inline int listen_somewhere(char address[64]) {
    int fd = weft_listen("127.0.0.1:0", 0);
    WEFT_CHECK_OP(fd, >=, 0);
    int port = weft_local_port(fd);
    WEFT_CHECK_OP(port, >, 0);
    snprintf(address, 64, "127.0.0.1:%d", port);
    return fd;
}

/* What a connection to `address` is answered with, now that its listener is
 * closed. On io_uring that is so a moment later: poller_uring.c. */
static inline int connect_after_close(const char *address) {
    bool later = weft_poller_kind(weft_poller_current()) == WEFT_POLLER_URING;
    int fd;
    while ((fd = weft_connect(address, soon())),
           later && (fd >= 0 || fd == -ECONNRESET)) {
        if (fd >= 0) {
            EXPECT(weft_close(fd), 0);
        }
        weft_sleep(WEFT_MS);
    }
    return fd;
}

/* Waits until a task is inside an operation on `fd` in direction `dir`. */
static inline void await_busy(int fd, enum weft_direction dir) {
    struct weft_descriptor *d = weft_poller_find(weft_poller_current(), fd);
    while ((atomic_load_explicit(&d->state, memory_order_relaxed) &
            WEFT_DESCRIPTOR_BUSY(dir)) == 0) {
        weft_yield();
    }
}

/* Gives the others time to begin to wait: makes a race go the interesting way,
 * no test depends on it. */
static inline void let_them_wait(void) {
    weft_sleep(5 * WEFT_MS);
}

#endif
