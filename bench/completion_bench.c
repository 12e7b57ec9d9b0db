/* SPDX-License-Identifier: MIT */
/* Would operations that the kernel completes save anything? What a small
 * request costs a server, without a scheduler:
 *
 *     epoll      epoll_wait, then recv and send for each that is ready
 *     poll       the same, readiness by multishot polls of an io_uring
 *     complete   multishot recv into buffers that the kernel takes from a ring,
 *                and sends handed over in one call before the server sleeps
 *
 *     bazel run -c opt //bench:completion_bench [CONNECTIONS]
 *
 * One thread is the server, on the first CPU; one the client, on the last,
 * which sends 100 bytes on each connection and, when 150 have come back, does
 * so again. The rings are of one thread and say so (DEFER_TASKRUN), the best
 * that io_uring has and more than a scheduler can use whose threads share a
 * ring. Prints CPU time of the server for each request, the median of rounds
 * that take turns. Surprising: `complete` below four fifths of `epoll`; then
 * poller_uring.c has chosen the wrong half of io_uring. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"

#define ROUNDS      5
#define ROUND_TIME  (500 * WEFT_MS)
#define MOST        1024 /* connections; a power of two, so many buffers */
#define ASKED       100
#define ANSWERED    150
#define BUFFER_SIZE 256
#define GROUP       1
#define ENTRIES     2048

static const char bytes[ANSWERED];
static int connections = 16;
static int server_end[MOST], client_end[MOST];
static _Atomic bool stop;

static uint64_t cpu_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return weft_timespec_ns(&ts);
}

static void stay_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set); /* else where it likes */
}

/* --- the client ------------------------------------------------------------
 */

static void ask(int fd) {
    WEFT_CHECK_OP(send(fd, bytes, ASKED, MSG_NOSIGNAL), ==, (ssize_t)ASKED);
}

static void *ask_again_and_again(void *arg) {
    (void)arg;
    stay_on((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {EPOLLIN, {.fd = client_end[i]}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, client_end[i], &event);
        ask(client_end[i]);
    }
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, 10);
        for (int i = 0; i < count; i++) {
            char data[ANSWERED];
            if (recv(events[i].data.fd, data, ANSWERED, MSG_DONTWAIT) > 0) {
                ask(events[i].data.fd);
            }
        }
    }
    close(epoll);
    return NULL;
}

/* --- the servers: each returns the requests it has answered ----------------
 */

static bool answer_one(int fd) {
    char data[BUFFER_SIZE];
    return recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0 &&
           send(fd, bytes, ANSWERED, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

static uint64_t serve_epoll(uint64_t until) {
    uint64_t requests = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {EPOLLIN | EPOLLET, {.fd = server_end[i]}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, server_end[i], &event);
    }
    while (weft_clock_now() < until) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, 10);
        for (int i = 0; i < count; i++) {
            requests += answer_one(events[i].data.fd);
        }
    }
    close(epoll);
    return requests;
}

static struct ring {
    int fd;
    unsigned to_submit, sq_mask, cq_mask;
    _Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *answers;
    void *map;
    size_t map_size, entries_size;
    struct io_uring_buf_ring *free; /* buffers for the kernel */
    char *buffers;
} ring;

static bool ring_open(void) {
    struct io_uring_params p = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    ring = (struct ring){0};
    ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring.fd < 0) {
        return false;
    }
    ring.map_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    if (ring.map_size < p.sq_off.array + p.sq_entries * sizeof(uint32_t)) {
        ring.map_size = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
    }
    ring.entries_size = p.sq_entries * sizeof(struct io_uring_sqe);
    char *map = mmap(NULL, ring.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     ring.fd, IORING_OFF_SQ_RING);
    ring.entries = mmap(NULL, ring.entries_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED, ring.fd, IORING_OFF_SQES);
    WEFT_CHECK(map != MAP_FAILED && ring.entries != MAP_FAILED);
    ring.map = map;
    ring.sq_mask = p.sq_entries - 1;
    ring.cq_mask = p.cq_entries - 1;
    ring.sq_tail = (_Atomic uint32_t *)(map + p.sq_off.tail);
    ring.cq_head = (_Atomic uint32_t *)(map + p.cq_off.head);
    ring.cq_tail = (_Atomic uint32_t *)(map + p.cq_off.tail);
    ring.answers = (struct io_uring_cqe *)(map + p.cq_off.cqes);
    for (uint32_t i = 0; i < p.sq_entries; i++) {
        ((uint32_t *)(map + p.sq_off.array))[i] = i;
    }
    return true;
}

static void ring_close(void) {
    close(ring.fd);
    munmap(ring.entries, ring.entries_size);
    munmap(ring.map, ring.map_size);
    usleep(50 * 1000); /* the kernel takes its polls back behind our back */
}

/* Hands over what was put, and waits for an answer or 10 ms. */
static void ring_enter(void) {
    struct __kernel_timespec limit = {.tv_nsec = 10 * 1000 * 1000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&limit};
    long count = syscall(SYS_io_uring_enter, ring.fd, ring.to_submit, 1,
                         IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg,
                         sizeof(arg));
    WEFT_CHECK(count >= 0 || errno == ETIME || errno == EINTR);
    ring.to_submit = 0;
}

static void ring_put(int opcode, int fd, struct io_uring_sqe entry) {
    uint32_t tail = atomic_load_explicit(ring.sq_tail, memory_order_relaxed);
    entry.opcode = (uint8_t)opcode;
    entry.fd = fd;
    entry.user_data = (uint64_t)fd;
    ring.entries[tail & ring.sq_mask] = entry;
    /* Release: pairs with the kernel's acquire. */
    atomic_store_explicit(ring.sq_tail, tail + 1, memory_order_release);
    ring.to_submit++;
}

static void poll_all(int fd) {
    ring_put(IORING_OP_POLL_ADD, fd,
             (struct io_uring_sqe){.len = IORING_POLL_ADD_MULTI,
                                   .poll32_events = EPOLLIN});
}

static void receive_all(int fd) {
    ring_put(IORING_OP_RECV, fd,
             (struct io_uring_sqe){.ioprio = IORING_RECV_MULTISHOT,
                                   .flags = IOSQE_BUFFER_SELECT,
                                   .buf_group = GROUP});
}

static void give_buffer(uint16_t id) {
    uint16_t tail = ring.free->tail;
    struct io_uring_buf *buffer = &ring.free->bufs[tail & (MOST - 1)];
    buffer->addr = (uintptr_t)(ring.buffers + (size_t)id * BUFFER_SIZE);
    buffer->len = BUFFER_SIZE;
    buffer->bid = id;
    /* Release: pairs with the kernel's acquire. */
    atomic_store_explicit((_Atomic uint16_t *)&ring.free->tail,
                          (uint16_t)(tail + 1), memory_order_release);
}

static bool give_buffers(void) {
    ring.free =
        mmap(NULL, MOST * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ring.buffers = malloc((size_t)MOST * BUFFER_SIZE);
    WEFT_CHECK(ring.free != MAP_FAILED && ring.buffers != NULL);
    struct io_uring_buf_reg what = {
        .ring_addr = (uintptr_t)ring.free, .ring_entries = MOST, .bgid = GROUP};
    for (uint16_t i = 0; i < MOST; i++) {
        give_buffer(i);
    }
    return syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING,
                   &what, 1) == 0;
}

/* The bytes lie in a buffer of the kernel's choice: they are copied to where
 * the program asked for them, as weft_read() would have to. */
static bool answer_received(const struct io_uring_cqe *answer) {
    int fd = (int)answer->user_data;
    char data[BUFFER_SIZE];
    if ((answer->flags & IORING_CQE_F_BUFFER) != 0) {
        uint16_t id = (uint16_t)(answer->flags >> IORING_CQE_BUFFER_SHIFT);
        memcpy(data, ring.buffers + (size_t)id * BUFFER_SIZE,
               (size_t)answer->res);
        __asm__ volatile("" : : "r"(data) : "memory");
        give_buffer(id);
    }
    if ((answer->flags & IORING_CQE_F_MORE) == 0) {
        receive_all(fd);
    }
    if (answer->res <= 0) {
        return false;
    }
    ring_put(IORING_OP_SEND, fd,
             (struct io_uring_sqe){.addr = (uintptr_t)bytes,
                                   .len = ANSWERED,
                                   .msg_flags = MSG_NOSIGNAL,
                                   .flags = IOSQE_CQE_SKIP_SUCCESS});
    return true;
}

static uint64_t serve_ring(uint64_t until, bool completes) {
    uint64_t requests = 0;
    while (weft_clock_now() < until) {
        ring_enter();
        uint32_t head =
            atomic_load_explicit(ring.cq_head, memory_order_relaxed);
        /* Acquire: pairs with the kernel's release. */
        while (head !=
               atomic_load_explicit(ring.cq_tail, memory_order_acquire)) {
            const struct io_uring_cqe *a = &ring.answers[head & ring.cq_mask];
            requests +=
                completes ? answer_received(a) : answer_one((int)a->user_data);
            head++;
            /* Release: pairs with the kernel's acquire. */
            atomic_store_explicit(ring.cq_head, head, memory_order_release);
        }
    }
    return requests;
}

static uint64_t serve_poll(uint64_t until) {
    if (!ring_open()) {
        return 0;
    }
    for (int i = 0; i < connections; i++) {
        poll_all(server_end[i]);
    }
    uint64_t requests = serve_ring(until, false);
    ring_close();
    return requests;
}

static uint64_t serve_complete(uint64_t until) {
    if (!ring_open()) {
        return 0;
    }
    uint64_t requests = 0;
    if (give_buffers()) {
        for (int i = 0; i < connections; i++) {
            receive_all(server_end[i]);
        }
        requests = serve_ring(until, true);
    }
    ring_close();
    munmap(ring.free, MOST * sizeof(struct io_uring_buf));
    free(ring.buffers);
    return requests;
}

/* --- the rounds ------------------------------------------------------------
 */

static void connect_all(void) {
    struct sockaddr_storage address = {.ss_family = AF_INET};
    ((unsigned char *)&address)[4] = 127; /* 127.0.0.1, any port */
    ((unsigned char *)&address)[7] = 1;
    socklen_t size = 16;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    WEFT_CHECK(bind(listener, (struct sockaddr *)&address, size) == 0);
    WEFT_CHECK(listen(listener, 16) == 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    for (int i = 0; i < connections; i++) {
        client_end[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        WEFT_CHECK(connect(client_end[i], (struct sockaddr *)&address, size) ==
                   0);
        server_end[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        WEFT_CHECK_OP(server_end[i], >=, 0);
    }
    close(listener);
}

static void close_all(void) {
    for (int i = 0; i < connections; i++) {
        close(client_end[i]);
        close(server_end[i]);
    }
}

/* CPU time of this thread for each request, in us. */
static double measure(uint64_t (*serve)(uint64_t until)) {
    pthread_t client;
    connect_all();
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    WEFT_CHECK(pthread_create(&client, NULL, ask_again_and_again, NULL) == 0);
    uint64_t before = cpu_now();
    uint64_t requests = serve(weft_clock_now() + ROUND_TIME);
    uint64_t used = cpu_now() - before;
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    pthread_join(client, NULL);
    close_all();
    return requests == 0 ? 0 : (double)used / (double)requests / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        uint64_t (*serve)(uint64_t until);
    } ways[] = {
        {"epoll", serve_epoll},
        {"poll", serve_poll},
        {"complete", serve_complete},
    };
    enum { WAYS = sizeof(ways) / sizeof(ways[0]) };
    double results[WAYS][ROUNDS];
    if (argc > 1) {
        connections = atoi(argv[1]);
    }
    if (connections < 1 || connections > MOST / 2) {
        fprintf(stderr, "completion_bench: 1 to %d connections\n", MOST / 2);
        return 2;
    }
    stay_on(0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WAYS; i++) {
            results[i][round] = measure(ways[i].serve);
        }
    }
    printf(
        "# %d connections; CPU us of the server for each request, median of "
        "%d rounds\n",
        connections, ROUNDS);
    for (int i = 0; i < WAYS; i++) {
        qsort(results[i], ROUNDS, sizeof(results[i][0]), by_size);
        if (results[i][0] == 0) {
            printf("%-10s not on this kernel\n", ways[i].name);
        } else {
            printf("%-10s %6.2f   (%.2f to %.2f)\n", ways[i].name,
                   results[i][ROUNDS / 2], results[i][0],
                   results[i][ROUNDS - 1]);
        }
    }
    return 0;
}
