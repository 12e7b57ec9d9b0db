/* SPDX-License-Identifier: MIT */
/* Short reads: after one the next read waits without trying. What must not get
 * lost then: an end or an error whose edge came with the bytes before it, bytes
 * behind urgent data, bytes that came since. Each race is run many times, with
 * the event fetched before the read and after it; a loss is a hang until the
 * deadline of soon(). */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weft/io/testing.h"

/* Where OS threads play the tasks, fewer of them. */
#ifndef TIMES
#define TIMES 200
#endif

/* A TCP connection: our end, and the other which weft knows nothing of. */
struct link {
    int ours;
    int other;
};

static struct link open_link(void) {
    char address[64];
    int listener = listen_somewhere(address);
    struct sockaddr_in where = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)weft_local_port(listener)),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    struct link link = {.other = socket(AF_INET, SOCK_STREAM, 0)};
    int one = 1;
    EXPECT(setsockopt(link.other, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)),
           0);
    EXPECT(connect(link.other, (struct sockaddr *)&where, sizeof(where)), 0);
    link.ours = weft_accept(listener, NULL, soon());
    WEFT_CHECK_OP(link.ours, >=, 0);
    EXPECT(weft_close(listener), 0);
    return link;
}

static void close_link(const struct link *link) {
    EXPECT(weft_close(link->ours), 0);
    if (link->other >= 0) {
        EXPECT(close(link->other), 0);
    }
}

static void say(const struct link *link, const char *text, int flags) {
    EXPECT(send(link->other, text, strlen(text), flags), strlen(text));
}

/* Lets the poller be looked at, every other time. */
static void maybe_look(int round) {
    if (round % 2 != 0) {
        weft_sleep(1);
        weft_yield();
    }
}

static void expect_text(const struct link *link, const char *text) {
    char data[64];
    EXPECT(weft_read(link->ours, data, sizeof(data), soon()), strlen(text));
    EXPECT(memcmp(data, text, strlen(text)), 0);
}

static struct weft_descriptor *record_of(int fd) {
    return weft_poller_find(weft_poller_current(), fd);
}

IO_TEST(a_short_read_of_a_tcp_socket_is_remembered) {
    (void)arg;
    struct link link = open_link();
    char data[8];
    say(&link, "0123456789", 0);
    EXPECT(weft_read(link.ours, data, sizeof(data), soon()), 8);
    EXPECT(weft_poller_read_dry(record_of(link.ours)), false);
    EXPECT(weft_read(link.ours, data, sizeof(data), soon()), 2);
    /* Not where the poller does not tell of urgent data. */
    bool may = weft_poller_kind(weft_poller_current()) == WEFT_POLLER_EPOLL;
    EXPECT(weft_poller_read_dry(record_of(link.ours)), may);
    close_link(&link);
}

IO_TEST(a_short_read_of_anything_else_is_not) {
    (void)arg;
    int pair[2], ends[2];
    char data[8];
    open_pair(pair);
    open_pipe(ends);
    EXPECT(weft_write(pair[1], "x", 1, soon()), 1);
    EXPECT(weft_read(pair[0], data, sizeof(data), soon()), 1);
    EXPECT(weft_poller_read_dry(record_of(pair[0])), false);
    EXPECT(weft_write(ends[1], "x", 1, soon()), 1);
    EXPECT(weft_read(ends[0], data, sizeof(data), soon()), 1);
    EXPECT(weft_poller_read_dry(record_of(ends[0])), false);
    close_both(pair);
    close_both(ends);
}

IO_TEST(an_end_that_came_with_the_bytes_is_read) {
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        struct link link = open_link();
        say(&link, "bytes", 0);
        maybe_look(i / 2);
        EXPECT(shutdown(link.other, SHUT_WR), 0);
        maybe_look(i);
        expect_text(&link, "bytes");
        expect_text(&link, "");
        expect_text(&link, "");
        close_link(&link);
    }
}

IO_TEST(an_end_after_the_short_read_is_read) {
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        struct link link = open_link();
        say(&link, "bytes", 0);
        maybe_look(i);
        expect_text(&link, "bytes");
        EXPECT(shutdown(link.other, SHUT_WR), 0);
        maybe_look(i / 2);
        expect_text(&link, "");
        close_link(&link);
    }
}

IO_TEST(a_reset_after_the_short_read_is_seen) {
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        struct link link = open_link();
        const struct linger hard = {.l_onoff = 1};
        say(&link, "bytes", 0);
        maybe_look(i);
        expect_text(&link, "bytes");
        EXPECT(
            setsockopt(link.other, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)),
            0);
        EXPECT(close(link.other), 0);
        link.other = -1;
        maybe_look(i / 2);
        char data[8];
        EXPECT(weft_read(link.ours, data, sizeof(data), soon()), -ECONNRESET);
        close_link(&link);
    }
}

IO_TEST(our_own_shutdown_ends_the_next_read) {
    (void)arg;
    struct link link = open_link();
    say(&link, "bytes", 0);
    expect_text(&link, "bytes");
    EXPECT(weft_shutdown(link.ours, SHUT_RD), 0);
    expect_text(&link, "");
    close_link(&link);
}

IO_TEST(bytes_behind_urgent_data_are_read) {
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        struct link link = open_link();
        say(&link, "abc!", MSG_OOB);
        maybe_look(i / 2);
        say(&link, "def", 0);
        maybe_look(i);
        char data[64];
        size_t got = 0;
        while (got < 6) {
            ssize_t n =
                weft_read(link.ours, data + got, sizeof(data) - got, soon());
            WEFT_CHECK_OP((long)n, >, 0L);
            got += (size_t)n;
        }
        EXPECT(got, 6);
        EXPECT(memcmp(data, "abcdef", 6), 0);
        close_link(&link);
    }
}

IO_TEST(a_passed_deadline_still_gets_what_came_since) {
    (void)arg;
    struct link link = open_link();
    char data[8];
    for (int i = 0; i < TIMES; i++) {
        say(&link, "a", 0);
        expect_text(&link, "a");
        EXPECT(weft_read(link.ours, data, sizeof(data), 1), -ETIMEDOUT);
        say(&link, "b", 0);
        expect_text(&link, "b");
        say(&link, "c", 0);
        /* Loopback: it is there when send() has returned. */
        EXPECT(weft_read(link.ours, data, sizeof(data), i % 2), 1);
    }
    close_link(&link);
}

static void *read_cancelled(void *arg) {
    struct link *link = arg;
    char data[8];
    expect_text(link, "a");
    EXPECT(weft_read(link->ours, data, sizeof(data), soon()), -ECANCELED);
    say(link, "b", 0);
    EXPECT(weft_read(link->ours, data, sizeof(data), soon()), 1);
    EXPECT(weft_read(link->ours, data, sizeof(data), soon()), -ECANCELED);
    return NULL;
}

IO_TEST(a_cancelled_task_still_gets_what_came_since) {
    (void)arg;
    struct link link = open_link();
    say(&link, "a", 0);
    struct weft_task *task = start(read_cancelled, &link);
    let_them_wait();
    weft_cancel(task);
    finish(task);
    close_link(&link);
}

static _Atomic bool has_read;

static void *read_closed(void *arg) {
    struct link *link = arg;
    char data[8];
    expect_text(link, "a");
    atomic_store_explicit(&has_read, true, memory_order_relaxed);
    return (void *)(long)weft_read(link->ours, data, sizeof(data), soon());
}

IO_TEST(closing_wakes_who_waits_without_having_tried) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct link link = open_link();
        atomic_store_explicit(&has_read, false, memory_order_relaxed);
        say(&link, "a", 0);
        struct weft_task *task = start(read_closed, &link);
        while (!atomic_load_explicit(&has_read, memory_order_relaxed)) {
            weft_yield();
        }
        if (i % 2 != 0) {
            let_them_wait();
        }
        EXPECT(weft_close(link.ours), 0);
        EXPECT(finish(task), -EBADF);
        EXPECT(close(link.other), 0);
    }
}

/* Sends each byte at another moment of the reader's way from its read to its
 * wait; an OS thread, so that it runs beside it. */
static void *send_bytes(void *arg) {
    const struct link *link = arg;
    char echo;
    for (unsigned i = 0; i < 20 * TIMES; i++) {
        for (volatile unsigned spin = 0; spin < i * 7 % 600; spin++) {
        }
        if (send(link->other, "x", 1, 0) != 1 ||
            (i % 8 == 0 && recv(link->other, &echo, 1, 0) != 1)) {
            break;
        }
    }
    shutdown(link->other, SHUT_WR);
    return NULL;
}

IO_TEST(bytes_between_the_read_and_the_wait_are_not_lost) {
    (void)arg;
    struct link link = open_link();
    pthread_t sender;
    EXPECT(pthread_create(&sender, NULL, send_bytes, &link), 0);
    char data[64];
    unsigned got = 0;
    for (;;) {
        ssize_t n = weft_read(link.ours, data, sizeof(data), soon());
        WEFT_CHECK_OP((long)n, >=, 0L);
        if (n == 0) {
            break;
        }
        for (ssize_t k = 0; k < n; k++, got++) {
            if (got % 8 == 0) {
                EXPECT(weft_write(link.ours, "y", 1, soon()), 1);
            }
        }
    }
    EXPECT(got, 20 * TIMES);
    EXPECT(pthread_join(sender, NULL), 0);
    close_link(&link);
}

IO_TEST(waiting_to_read_takes_nothing) {
    (void)arg;
    struct link link = open_link();
    int ends[2];
    char data[8];
    open_pipe(ends);
    EXPECT(weft_wait_readable(ends[0], weft_now() + WEFT_MS), -ETIMEDOUT);
    EXPECT(weft_write(ends[1], "x", 1, soon()), 1);
    EXPECT(weft_wait_readable(ends[0], soon()), 0);
    EXPECT(weft_wait_readable(ends[0], 0), 0);
    EXPECT(weft_read(ends[0], data, sizeof(data), 0), 1);
    EXPECT(weft_wait_readable(ends[0], 0), -ETIMEDOUT);
    EXPECT(weft_wait_readable(link.ours, 0), -ETIMEDOUT);
    for (int i = 0; i < TIMES; i++) {
        say(&link, "bytes", 0);
        maybe_look(i);
        EXPECT(weft_wait_readable(link.ours, soon()), 0);
        maybe_look(i / 2);
        expect_text(&link, "bytes");
        /* Now it is dry: the deadline that has passed sees what comes. */
        say(&link, "more", 0);
        EXPECT(weft_wait_readable(link.ours, i % 2), 0);
        expect_text(&link, "more");
    }
    EXPECT(weft_wait_readable(link.ours, weft_now() + WEFT_MS), -ETIMEDOUT);
    EXPECT(shutdown(link.other, SHUT_WR), 0);
    EXPECT(weft_wait_readable(link.ours, soon()), 0);
    EXPECT(weft_wait_readable(link.ours, soon()), 0);
    expect_text(&link, "");
    close_both(ends);
    close_link(&link);
    EXPECT(weft_wait_readable(link.ours, soon()), -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_read_of_a_tcp_socket_is_remembered),
        cmocka_unit_test(a_short_read_of_anything_else_is_not),
        cmocka_unit_test(an_end_that_came_with_the_bytes_is_read),
        cmocka_unit_test(an_end_after_the_short_read_is_read),
        cmocka_unit_test(a_reset_after_the_short_read_is_seen),
        cmocka_unit_test(our_own_shutdown_ends_the_next_read),
        cmocka_unit_test(bytes_behind_urgent_data_are_read),
        cmocka_unit_test(a_passed_deadline_still_gets_what_came_since),
        cmocka_unit_test(a_cancelled_task_still_gets_what_came_since),
        cmocka_unit_test(closing_wakes_who_waits_without_having_tried),
        cmocka_unit_test(bytes_between_the_read_and_the_wait_are_not_lost),
        cmocka_unit_test(waiting_to_read_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
