/* SPDX-License-Identifier: MIT */
/* Datagrams on the loopback and over socket pairs. */
#include "weft/io/udp.h"

#include "weft/io/address.h"
#include "weft/io/testing.h"

/* A socket on a free port of the loopback, and where that is. */
static int open_somewhere(char address[64]) {
    int fd = weft_udp_open("127.0.0.1:0");
    WEFT_CHECK_OP(fd, >=, 0);
    snprintf(address, 64, "127.0.0.1:%d", weft_local_port(fd));
    return fd;
}

static void *answer(void *arg) {
    int fd = *(int *)arg;
    char data[64];
    struct sockaddr_storage from;
    for (int i = 0; i < 20; i++) {
        ssize_t size = weft_recvfrom(fd, data, sizeof(data), &from, soon());
        WEFT_CHECK_OP(size, >=, (ssize_t)0);
        EXPECT(weft_sendto(fd, data, (size_t)size, &from, soon()), size);
    }
    return NULL;
}

IO_TEST(an_answer_finds_its_way_by_the_address_that_came) {
    char there[64];
    char here[64];
    int server = open_somewhere(there);
    int client = open_somewhere(here);
    struct weft_task *task = start(answer, &server);
    struct sockaddr_storage to;
    struct sockaddr_storage from;
    WEFT_CHECK(weft_address_parse(there, &to) > 0);
    for (size_t i = 0; i < 20; i++) {
        char sent[64], got[64], text[WEFT_ADDRESS_TEXT];
        memset(sent, (int)i, sizeof(sent));
        EXPECT(weft_sendto(client, sent, i, &to, soon()), i);
        EXPECT(weft_recvfrom(client, got, sizeof(got), &from, soon()), i);
        EXPECT(memcmp(sent, got, i), 0);
        weft_address_format(&from, text, sizeof(text));
        EXPECT(strcmp(text, there), 0);
    }
    EXPECT(finish(task), 0);
    EXPECT(weft_close(server), 0);
    EXPECT(weft_close(client), 0);
}

IO_TEST(what_is_too_long_is_cut_and_told) {
    char there[64];
    char data[4] = "....";
    int fd = open_somewhere(there);
    EXPECT(weft_udp_connect(fd, there), 0); /* to itself */
    EXPECT(weft_sendto(fd, "longer", 6, NULL, soon()), 6);
    EXPECT(weft_sendto(fd, "next", 4, NULL, soon()), 4);
    EXPECT(weft_recvfrom(fd, data, 3, NULL, soon()), 6);
    EXPECT(memcmp(data, "lon.", 4), 0);
    EXPECT(weft_recvfrom(fd, data, 4, NULL, soon()), 4);
    EXPECT(memcmp(data, "next", 4), 0);
    EXPECT(weft_close(fd), 0);
}

IO_TEST(a_fixed_side_that_is_not_there_is_an_error) {
    char there[64];
    int gone = open_somewhere(there);
    EXPECT(weft_close(gone), 0);
    int fd = weft_udp_open("127.0.0.1:0");
    char byte = 'x';
    EXPECT(weft_udp_connect(fd, there), 0);
    EXPECT(weft_sendto(fd, &byte, 1, NULL, soon()), 1);
    EXPECT(weft_recvfrom(fd, &byte, 1, NULL, soon()), -ECONNREFUSED);
    EXPECT(weft_close(fd), 0);
}

static void *receive(void *arg) {
    char byte;
    return (void *)weft_recvfrom(*(int *)arg, &byte, 1, NULL, soon());
}

IO_TEST(receiving_ends_by_deadline_cancel_and_close) {
    char here[64];
    char byte;
    int fd = open_somewhere(here);
    EXPECT(weft_recvfrom(fd, &byte, 1, NULL, 0), -ETIMEDOUT);
    EXPECT(weft_recvfrom(fd, &byte, 1, NULL, weft_now() + 2 * WEFT_MS),
           -ETIMEDOUT);
    struct weft_task *task = start(receive, &fd);
    await_busy(fd, WEFT_READING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    task = start(receive, &fd);
    await_busy(fd, WEFT_READING);
    EXPECT(weft_close(fd), 0);
    EXPECT(finish(task), -EBADF);
}

/* Until an error comes. */
static void *send_all_the_time(void *arg) {
    static const char data[1000];
    for (;;) {
        ssize_t result =
            weft_sendto(*(int *)arg, data, sizeof(data), NULL, soon());
        if (result < 0) {
            return (void *)result;
        }
        EXPECT(result, sizeof(data));
    }
}

/* Loopback UDP drops what does not fit; a Unix pair makes the sender wait. */
IO_TEST(sending_waits_and_ends_by_deadline_cancel_and_close) {
    static const char data[1000];
    int pair[2];
    EXPECT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT(weft_open_fd(pair[0]), 0);
    EXPECT(weft_open_fd(pair[1]), 0);
    ssize_t result;
    int count = 0;
    while ((result = weft_sendto(pair[0], data, sizeof(data), NULL,
                                 weft_now() + 2 * WEFT_MS)) >= 0) {
        count++;
    }
    EXPECT(result, -ETIMEDOUT);
    WEFT_CHECK_OP(count, >, 0);
    struct weft_task *task = start(send_all_the_time, &pair[0]);
    await_busy(pair[0], WEFT_WRITING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    /* Room comes, and who waits goes on. */
    task = start(send_all_the_time, &pair[0]);
    await_busy(pair[0], WEFT_WRITING);
    for (int i = 0; i < count + 10; i++) {
        char got[1000];
        EXPECT(weft_recvfrom(pair[1], got, sizeof(got), NULL, soon()), 1000);
    }
    EXPECT(weft_close(pair[0]), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(weft_close(pair[1]), 0);
}

IO_TEST(what_cannot_be_is_an_error) {
    struct sockaddr_storage unknown = {.ss_family = AF_NETLINK};
    char here[64];
    int fd = open_somewhere(here);
    EXPECT(weft_udp_open("nowhere"), -EINVAL);
    EXPECT(weft_udp_open("unix:@name"), -EINVAL);
    EXPECT(weft_udp_open("192.0.2.1:0"), -EADDRNOTAVAIL);
    EXPECT(weft_udp_open(here), -EADDRINUSE);
    EXPECT(weft_udp_connect(fd, "nowhere"), -EINVAL);
    EXPECT(weft_udp_connect(-1, here), -EBADF);
    EXPECT(weft_sendto(fd, "x", 1, NULL, soon()), -EDESTADDRREQ);
    EXPECT(weft_sendto(fd, "x", 1, &unknown, soon()), -EAFNOSUPPORT);
    EXPECT(weft_sendto(-1, "x", 1, NULL, soon()), -EBADF);
    EXPECT(weft_udp_connect(fd, here), 0);
    static const char large[70000];
    EXPECT(weft_sendto(fd, large, sizeof(large), NULL, soon()), -EMSGSIZE);
    EXPECT(weft_close(fd), 0);
    EXPECT(weft_recvfrom(fd, here, 1, NULL, 0), -EBADF);
}

static void without_a_runtime_there_are_none(void **state) {
    assert_int_equal(weft_udp_open("127.0.0.1:0"), -EPERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_finds_its_way_by_the_address_that_came),
        cmocka_unit_test(what_is_too_long_is_cut_and_told),
        cmocka_unit_test(a_fixed_side_that_is_not_there_is_an_error),
        cmocka_unit_test(receiving_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(sending_waits_and_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(what_cannot_be_is_an_error),
        cmocka_unit_test(without_a_runtime_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
