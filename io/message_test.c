/* SPDX-License-Identifier: MIT */
/* Descriptors that go over Unix sockets, and several datagrams at once. */
#define _GNU_SOURCE /* struct mmsghdr, SO_PASSCRED */
#include "weft/io/message.h"

#include <sys/stat.h>

#include "weft/io/address.h"
#include "weft/io/pipe.h"
#include "weft/io/testing.h"
#include "weft/io/udp.h"

enum { MANY = 30 };

/* Do both numbers stand for one open file? */
static bool same_file(int a, int b) {
    struct stat one, other;
    EXPECT(fstat(a, &one), 0);
    EXPECT(fstat(b, &other), 0);
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

IO_TEST(descriptors_arrive_as_the_same_files) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        int pair[2], ends[2], came[MANY];
        int count = MANY;
        char text[8] = "";
        EXPECT(weft_socketpair(types[i], pair), 0);
        EXPECT(weft_pipe(ends), 0);
        EXPECT(weft_send_fds(pair[0], "two", 3, ends, 2, soon()), 3);
        EXPECT(weft_recv_fds(pair[1], text, sizeof text, came, &count, soon()),
               3);
        EXPECT(strcmp(text, "two"), 0);
        EXPECT(count, 2);
        WEFT_CHECK(same_file(came[0], ends[0]));
        WEFT_CHECK(same_file(came[1], ends[1]));
        EXPECT(fcntl(came[0], F_GETFD), FD_CLOEXEC);
        /* What was written into the one end comes out of the other's copy. */
        EXPECT(weft_open_fd(came[0]), 0);
        EXPECT(weft_write(ends[1], "x", 1, soon()), 1);
        EXPECT(weft_read(came[0], text, 1, soon()), 1);
        EXPECT(weft_close(came[0]), 0);
        EXPECT(close(came[1]), 0);
        close_both(ends);
        close_both(pair);
    }
}

IO_TEST(without_descriptors_they_are_reads_and_writes) {
    int pair[2], came[1];
    int count = 0;
    char text[8];
    EXPECT(weft_socketpair(SOCK_STREAM, pair), 0);
    EXPECT(weft_send_fds(pair[0], "bytes", 5, NULL, 0, soon()), 5);
    EXPECT(weft_recv_fds(pair[1], text, 3, NULL, &count, soon()), 3);
    EXPECT(count, 0);
    count = 1;
    EXPECT(weft_recv_fds(pair[1], text, 8, came, &count, soon()), 2);
    EXPECT(count, 0);
    EXPECT(weft_recv_fds(pair[1], text, 8, came, &count, 0), -ETIMEDOUT);
    EXPECT(weft_shutdown(pair[0], SHUT_WR), 0);
    EXPECT(weft_recv_fds(pair[1], text, 8, came, &count, soon()), 0);
    EXPECT(weft_close(pair[1]), 0);
    EXPECT(weft_send_fds(pair[0], "gone", 4, NULL, 0, soon()), -EPIPE);
    EXPECT(weft_close(pair[0]), 0);
    EXPECT(weft_send_fds(pair[0], "gone", 4, NULL, 0, soon()), -EBADF);
}

static void *send_a_lot(void *fd) {
    static char data[1 << 20];
    int ends[2];
    open_pipe(ends);
    memset(data, 'a', sizeof data);
    EXPECT(weft_send_fds((int)(intptr_t)fd, data, sizeof data, ends, 2, soon()),
           sizeof data);
    close_both(ends);
    return NULL;
}

IO_TEST(they_come_once_with_the_first_of_many_bytes) {
    static char data[1 << 16];
    int pair[2], came[4];
    size_t sum = 0;
    int fds = 0;
    EXPECT(weft_socketpair(SOCK_STREAM, pair), 0);
    struct weft_task *sender = start(send_a_lot, (void *)(intptr_t)pair[0]);
    while (sum < 1 << 20) {
        int count = 4;
        ssize_t n =
            weft_recv_fds(pair[1], data, sizeof data, came, &count, soon());
        WEFT_CHECK_OP((long)n, >, 0L);
        WEFT_CHECK(count == (sum == 0 ? 2 : 0));
        sum += (size_t)n;
        fds += count;
        while (count > 0) {
            EXPECT(close(came[--count]), 0);
        }
    }
    EXPECT(sum, 1 << 20);
    EXPECT(fds, 2);
    EXPECT(finish(sender), 0);
    close_both(pair);
}

IO_TEST(those_for_which_there_is_no_room_are_not_left_open) {
    int pair[2], ends[2], came[MANY], many[MANY];
    char text[8];
    EXPECT(weft_socketpair(SOCK_SEQPACKET, pair), 0);
    EXPECT(weft_pipe(ends), 0);
    for (int i = 0; i < MANY; i++) {
        many[i] = ends[i % 2];
    }
    int before = count_open();
    for (int room = 0; room < MANY; room++) {
        int count = room;
        came[room] = -7; /* past what may be written */
        EXPECT(weft_send_fds(pair[0], "m", 1, many, MANY, soon()), 1);
        EXPECT(weft_recv_fds(pair[1], text, 8, came, &count, soon()),
               -EMSGSIZE);
        EXPECT(count, 0);
        EXPECT(came[room], -7);
        EXPECT(count_open(), before);
    }
    /* One that nobody takes is closed with its message. */
    EXPECT(weft_send_fds(pair[0], "m", 1, many, MANY, soon()), 1);
    close_both(pair);
    EXPECT(count_open(), before - 2);
    close_both(ends);
}

/* The sender's credentials come first, and take some of the room. */
IO_TEST(they_are_found_behind_what_else_is_passed_along) {
    int pair[2], ends[2], came[MANY];
    int one = 1;
    char text[8];
    EXPECT(weft_socketpair(SOCK_STREAM, pair), 0);
    EXPECT(weft_pipe(ends), 0);
    EXPECT(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one), 0);
    int before = count_open();
    for (int room = 0; room < MANY; room++) {
        int count = room;
        EXPECT(weft_send_fds(pair[0], "m", 1, ends, 2, soon()), 1);
        ssize_t result = weft_recv_fds(pair[1], text, 8, came, &count, soon());
        EXPECT(count, result == 1 ? 2 : 0);
        WEFT_CHECK(result == 1 || (result == -EMSGSIZE && room < 16));
        while (count > 0) {
            EXPECT(close(came[--count]), 0);
        }
        EXPECT(count_open(), before);
    }
    close_both(pair);
    close_both(ends);
}

IO_TEST(what_cannot_be_sent_is_an_error) {
    int pair[2], too_many[WEFT_FDS_MAX + 1] = {0};
    int closed = 100000;
    int count = WEFT_FDS_MAX + 1;
    char byte = 'b';
    EXPECT(weft_socketpair(SOCK_RAW, pair), -EINVAL);
    EXPECT(weft_socketpair(SOCK_STREAM, pair), 0);
    EXPECT(weft_send_fds(pair[0], &byte, 0, too_many, 1, soon()), -EINVAL);
    EXPECT(weft_send_fds(pair[0], &byte, 1, too_many, -1, soon()), -EINVAL);
    EXPECT(weft_send_fds(pair[0], &byte, 1, too_many, WEFT_FDS_MAX + 1, soon()),
           -EINVAL);
    EXPECT(weft_send_fds(pair[0], &byte, 1, &closed, 1, soon()), -EBADF);
    EXPECT(weft_recv_fds(pair[1], &byte, 1, too_many, &count, soon()), -EINVAL);
    count = -1;
    EXPECT(weft_recv_fds(pair[1], &byte, 1, too_many, &count, soon()), -EINVAL);
    EXPECT(weft_send_fds(pair[0], &byte, 1, too_many, WEFT_FDS_MAX, soon()), 1);
    count = WEFT_FDS_MAX;
    EXPECT(weft_recv_fds(pair[1], &byte, 1, too_many, &count, soon()), 1);
    EXPECT(count, WEFT_FDS_MAX);
    while (count > 0) {
        EXPECT(close(too_many[--count]), 0);
    }
    close_both(pair);
}

static void *wait_for_one(void *fd) {
    int came;
    int count = 1;
    char byte;
    return (void *)(intptr_t)weft_recv_fds((int)(intptr_t)fd, &byte, 1, &came,
                                           &count, WEFT_FOREVER);
}

IO_TEST(a_wait_for_a_message_can_be_cancelled_and_closed) {
    int pair[2];
    EXPECT(weft_socketpair(SOCK_DGRAM, pair), 0);
    struct weft_task *task = start(wait_for_one, (void *)(intptr_t)pair[0]);
    await_busy(pair[0], WEFT_READING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    task = start(wait_for_one, (void *)(intptr_t)pair[0]);
    await_busy(pair[0], WEFT_READING);
    EXPECT(weft_close(pair[0]), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(weft_close(pair[1]), 0);
}

IO_TEST(a_message_tells_who_sent_it) {
    int pair[2];
    int one = 1;
    char byte = 'c';
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec piece = {&byte, 1};
    struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};
    struct ucred who;
    EXPECT(weft_socketpair(SOCK_STREAM, pair), 0);
    EXPECT(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one), 0);
    EXPECT(weft_sendmsg(pair[0], &m, 0, soon()), 1);
    byte = 0;
    m.msg_control = &control;
    m.msg_controllen = sizeof control;
    EXPECT(weft_recvmsg(pair[1], &m, MSG_PEEK, soon()), 1);
    m.msg_controllen = sizeof control;
    EXPECT(weft_recvmsg(pair[1], &m, 0, soon()), 1);
    EXPECT(byte, 'c');
    EXPECT(control.first.cmsg_type, SCM_CREDENTIALS);
    memcpy(&who, CMSG_DATA(&control.first), sizeof who);
    EXPECT(who.pid, getpid());
    EXPECT(weft_recvmsg(pair[1], &m, 0, weft_now() + WEFT_MS), -ETIMEDOUT);
    close_both(pair);
}

enum { BURST = 10 };

struct burst {
    char data[BURST][4];
    struct iovec pieces[BURST];
    struct mmsghdr messages[BURST];
};

static void prepare(struct burst *b) {
    memset(b, 0, sizeof *b);
    for (int i = 0; i < BURST; i++) {
        b->data[i][0] = (char)i;
        b->pieces[i] = (struct iovec){b->data[i], sizeof b->data[i]};
        b->messages[i].msg_hdr.msg_iov = &b->pieces[i];
        b->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

static void *send_bursts(void *fd) {
    struct burst b;
    int left = 100 * BURST;
    prepare(&b);
    while (left > 0) {
        int first = (100 * BURST - left) % BURST;
        int n = weft_sendmmsg((int)(intptr_t)fd, &b.messages[first],
                              (unsigned)(BURST - first), soon());
        WEFT_CHECK_OP(n, >, 0);
        EXPECT(b.messages[first].msg_len, 4);
        left -= n;
    }
    return NULL;
}

IO_TEST(datagrams_come_and_go_in_bursts_and_in_order) {
    struct burst b;
    int pair[2];
    int came = 0;
    /* A queue of ten or so: the sender waits for room in between. */
    EXPECT(weft_socketpair(SOCK_DGRAM, pair), 0);
    struct weft_task *sender = start(send_bursts, (void *)(intptr_t)pair[0]);
    while (came < 100 * BURST) {
        prepare(&b);
        int n = weft_recvmmsg(pair[1], b.messages, BURST, soon());
        WEFT_CHECK(n > 0 && n <= BURST);
        for (int i = 0; i < n; i++) {
            EXPECT(b.messages[i].msg_len, 4);
            EXPECT(b.data[i][0], came++ % BURST);
        }
    }
    EXPECT(finish(sender), 0);
    EXPECT(weft_recvmmsg(pair[1], b.messages, BURST, weft_now() + WEFT_MS),
           -ETIMEDOUT);
    EXPECT(weft_recvmmsg(pair[1], b.messages, 0, soon()), -EINVAL);
    EXPECT(weft_sendmmsg(pair[1], b.messages, 0, soon()), -EINVAL);
    close_both(pair);
}

IO_TEST(so_do_those_of_udp) {
    struct burst b;
    char there[64];
    int fd = weft_udp_open("127.0.0.1:0");
    WEFT_CHECK_OP(fd, >=, 0);
    snprintf(there, sizeof there, "127.0.0.1:%d", weft_local_port(fd));
    EXPECT(weft_udp_connect(fd, there), 0); /* to itself */
    prepare(&b);
    EXPECT(weft_sendmmsg(fd, b.messages, BURST, soon()), BURST);
    for (int came = 0; came < BURST;) {
        int n = weft_recvmmsg(fd, b.messages, BURST, soon());
        WEFT_CHECK_OP(n, >, 0);
        EXPECT(b.data[0][0], came);
        came += n;
    }
    EXPECT(weft_close(fd), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_arrive_as_the_same_files),
        cmocka_unit_test(without_descriptors_they_are_reads_and_writes),
        cmocka_unit_test(they_come_once_with_the_first_of_many_bytes),
        cmocka_unit_test(those_for_which_there_is_no_room_are_not_left_open),
        cmocka_unit_test(they_are_found_behind_what_else_is_passed_along),
        cmocka_unit_test(what_cannot_be_sent_is_an_error),
        cmocka_unit_test(a_wait_for_a_message_can_be_cancelled_and_closed),
        cmocka_unit_test(a_message_tells_who_sent_it),
        cmocka_unit_test(datagrams_come_and_go_in_bursts_and_in_order),
        cmocka_unit_test(so_do_those_of_udp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
