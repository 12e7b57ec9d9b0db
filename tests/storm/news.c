/* SPDX-License-Identifier: MIT */
/* More calls that wait for another task, for ever if it does not come: a change
 * in a folder, several messages at once, a message queue's, a semaphore's.
 * The kernel begins those of descriptors again unseen when a signal comes;
 * semop() returns EINTR. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/storm/blocking.h"

enum {
    NAP_US = 100,
    MESSAGES = 3,
    /* Never meant to be seen. Where a signal comes when recvmmsg() has got some
     * messages and waits for more, it returns those, and Linux keeps what would
     * have begun the call again as the socket's error, for the next one. */
    KERNEL_ERESTARTSYS = 512,
};

/* For names that no other run has, and no task. */
static unsigned long long a_number(void) {
    unsigned long long number;
    WEFT_CHECK_OP(getentropy(&number, sizeof number), ==, 0);
    return number;
}

/* --- a folder ------------------------------------------------------------ */

static void *make_file(void *folder) {
    char path[80];
    nap(NAP_US * WEFT_US);
    snprintf(path, sizeof path, "%s/file", (const char *)folder);
    int fd = RETRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    WEFT_CHECK_OP(fd, >=, 0);
    close(fd);
    unlink(path);
    return NULL;
}

static void watch_folder(struct storm_task *self) {
    _Alignas(struct inotify_event) char events[512];
    char folder[48];
    (void)self;
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0) { /* a user may have 128 */
        nap(NAP_US * WEFT_US);
        return;
    }
    snprintf(folder, sizeof folder, "/tmp/weft_storm_%llx", a_number());
    WEFT_CHECK_OP(mkdir(folder, 0700), ==, 0);
    WEFT_CHECK_OP(inotify_add_watch(fd, folder, IN_CREATE), >=, 0);
    struct weft_task *maker = start(make_file, folder);
    ssize_t n = RETRY(read(fd, events, sizeof events));
    const struct inotify_event *first = (const void *)events;
    WEFT_CHECK_OP(n, >=, (ssize_t)sizeof *first);
    WEFT_CHECK_OP(first->mask, ==, (uint32_t)IN_CREATE);
    WEFT_CHECK(strcmp(first->name, "file") == 0);
    close(fd);
    join(maker);
    WEFT_CHECK_OP(rmdir(folder), ==, 0);
}

static bool may_watch(void) {
    int fd = inotify_init1(IN_CLOEXEC);
    return fd >= 0 && close(fd) == 0;
}

STORM_KIND(inotify, watch_folder, may_watch, NULL);

/* --- messages ------------------------------------------------------------ */

static void *send_some(void *fd) {
    for (unsigned i = 0; i < MESSAGES; i++) {
        nap(NAP_US * WEFT_US);
        WEFT_CHECK_OP(RETRY(send((int)(intptr_t)fd, &i, sizeof i, 0)), ==,
                      (ssize_t)sizeof i);
    }
    return NULL;
}

/* One call gets them all, or it is made again for the rest. */
static void receive_some(struct storm_task *self) {
    int ends[2];
    unsigned numbers[MESSAGES], got = 0;
    (void)self;
    WEFT_CHECK_OP(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), ==,
                  0);
    struct weft_task *sender = start(send_some, (void *)(intptr_t)ends[1]);
    while (got < MESSAGES) {
        struct iovec parts[MESSAGES];
        struct mmsghdr headers[MESSAGES];
        memset(headers, 0, sizeof headers);
        for (unsigned i = got; i < MESSAGES; i++) {
            parts[i] = (struct iovec){&numbers[i], sizeof numbers[i]};
            headers[i].msg_hdr.msg_iov = &parts[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
        int n =
            RETRY(recvmmsg(ends[0], headers + got, MESSAGES - got, 0, NULL));
        if (n < 0 && errno == KERNEL_ERESTARTSYS) {
            continue;
        }
        WEFT_CHECK_OP(n, >, 0);
        got += (unsigned)n;
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        WEFT_CHECK_OP(numbers[i], ==, i);
    }
    close(ends[0]);
    join(sender);
    close(ends[1]);
}

STORM_KIND(recvmmsg, receive_some, NULL, NULL);

/* One queue for all: a message is for whoever is the first. */
static mqd_t queue;
static char queue_name[48];

static bool make_queue(void) {
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 8};
    snprintf(queue_name, sizeof queue_name, "/weft_storm_%llx", a_number());
    queue =
        mq_open(queue_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
    return queue != (mqd_t)-1;
}

static void remove_queue(uint64_t rounds) {
    struct mq_attr attr;
    (void)rounds;
    WEFT_CHECK_OP(mq_getattr(queue, &attr), ==, 0);
    WEFT_CHECK_OP(attr.mq_curmsgs, ==, 0);
    mq_close(queue);
    mq_unlink(queue_name);
}

static void *put_message(void *arg) {
    nap(NAP_US * WEFT_US);
    WEFT_CHECK_OP(RETRY(mq_send(queue, "message", 8, 0)), ==, 0);
    return arg;
}

static void take_message(struct storm_task *self) {
    char text[8];
    (void)self;
    struct weft_task *sender = start(put_message, NULL);
    WEFT_CHECK_OP(RETRY(mq_receive(queue, text, sizeof text, NULL)), ==, 8);
    WEFT_CHECK(memcmp(text, "message", 8) == 0);
    join(sender);
}

STORM_KIND(mq_receive, take_message, make_queue, remove_queue);

/* --- semaphores of System V ---------------------------------------------- */

static int semaphores = -1;

static bool make_semaphores(void) {
    semaphores = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    return semaphores >= 0;
}

static void remove_semaphores(uint64_t rounds) {
    (void)rounds;
    WEFT_CHECK_OP(semctl(semaphores, 0, GETVAL), ==, 0);
    semctl(semaphores, 0, IPC_RMID);
}

static void *go_up(void *arg) {
    struct sembuf up = {.sem_op = 1};
    nap(NAP_US * WEFT_US);
    WEFT_CHECK_OP(RETRY(semop(semaphores, &up, 1)), ==, 0);
    return arg;
}

static void go_down(struct storm_task *self) {
    struct sembuf down = {.sem_op = -1};
    (void)self;
    struct weft_task *other = start(go_up, NULL);
    WEFT_CHECK_OP(RETRY(semop(semaphores, &down, 1)), ==, 0);
    join(other);
}

STORM_KIND(semop, go_down, make_semaphores, remove_semaphores);
