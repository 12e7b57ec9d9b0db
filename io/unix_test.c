/* SPDX-License-Identifier: MIT */
/* Stream sockets with a name of their own, and the flags of accept. */
#include <stdlib.h>
#include <sys/stat.h>

#include "weft/io/address.h"
#include "weft/io/testing.h"

/* A name that no other run of this test has. */
static const char *name(const char *form) {
    static char text[WEFT_ADDRESS_TEXT];
    const char *folder = getenv("TEST_TMPDIR");
    if (form[0] == '@') {
        snprintf(text, sizeof(text), "unix:@weft-%s-%llx", form + 1,
                 a_number());
    } else {
        /* A test's own folder may have too long a name. */
        snprintf(text, sizeof(text), "unix:%s/%s-%llx",
                 folder != NULL && strlen(folder) < 70 ? folder : "/tmp", form,
                 a_number());
    }
    return text;
}

static void *echo_once(void *arg) {
    int fd = weft_accept(*(int *)arg, NULL, soon());
    char data[16];
    WEFT_CHECK_OP(fd, >=, 0);
    ssize_t count = weft_read(fd, data, sizeof(data), soon());
    EXPECT(weft_write(fd, data, (size_t)count, soon()), count);
    EXPECT(weft_close(fd), 0);
    return NULL;
}

static void talk_over(const char *address) {
    char data[16];
    int listener = weft_listen(address, 0);
    WEFT_CHECK_OP(listener, >=, 0);
    EXPECT(weft_listen(address, 0), -EADDRINUSE);
    struct weft_task *server = start(echo_once, &listener);
    int fd = weft_connect(address, soon());
    WEFT_CHECK_OP(fd, >=, 0);
    EXPECT(weft_write(fd, "hello", 5, soon()), 5);
    EXPECT(read_all(fd, data, sizeof(data)), 5);
    EXPECT(memcmp(data, "hello", 5), 0);
    EXPECT(finish(server), 0);
    EXPECT(weft_close(fd), 0);
    EXPECT(weft_close(listener), 0);
}

IO_TEST(a_socket_in_a_folder_carries_bytes) {
    const char *address = name("weft");
    talk_over(address);
    /* Its file is left, and is nobody's. */
    EXPECT(connect_after_close(address), -ECONNREFUSED);
    EXPECT(unlink(address + strlen("unix:")), 0);
    EXPECT(weft_connect(address, soon()), -ENOENT);
}

IO_TEST(an_abstract_socket_is_gone_when_it_is_closed) {
    const char *address = name("@abstract");
    talk_over(address);
    EXPECT(connect_after_close(address), -ECONNREFUSED);
    talk_over(address);
}

IO_TEST(who_connects_without_a_name_has_none) {
    const char *address = name("@nameless");
    int listener = weft_listen(address, 0);
    WEFT_CHECK_OP(listener, >=, 0);
    int client = weft_connect(address, soon());
    WEFT_CHECK_OP(client, >=, 0);
    struct sockaddr_storage peer;
    char text[WEFT_ADDRESS_TEXT];
    memset(&peer, 'x', sizeof(peer));
    int fd = weft_accept(listener, &peer, soon());
    WEFT_CHECK_OP(fd, >=, 0);
    weft_address_format(&peer, text, sizeof(text));
    EXPECT(strcmp(text, "unix:"), 0);
    EXPECT(weft_local_port(fd), -EAFNOSUPPORT);
    EXPECT(weft_close(fd), 0);
    EXPECT(weft_close(client), 0);
    EXPECT(weft_close(listener), 0);
}

static void *connect_there(void *arg) {
    return (void *)(long)weft_connect(arg, soon());
}

IO_TEST(a_full_backlog_makes_who_connects_wait) {
    char address[WEFT_ADDRESS_TEXT];
    strcpy(address, name("@full"));
    int listener = weft_listen(address, 1);
    WEFT_CHECK_OP(listener, >=, 0);
    int clients[8];
    int count = 0;
    while (count < 8 && (clients[count] = weft_connect(
                             address, weft_now() + 20 * WEFT_MS)) >= 0) {
        count++;
    }
    WEFT_CHECK_OP(count, <, 8);
    EXPECT(clients[count], -ETIMEDOUT);
    EXPECT(weft_connect(address, 0), -ETIMEDOUT);
    struct weft_task *cancelled = start(connect_there, address);
    struct weft_task *patient = start(connect_there, address);
    let_them_wait();
    EXPECT(weft_cancel(cancelled), 0);
    EXPECT(finish(cancelled), -ECANCELED);
    /* Room comes: the one that is left gets in. */
    int accepted = weft_accept(listener, NULL, soon());
    WEFT_CHECK_OP(accepted, >=, 0);
    long late = finish(patient);
    WEFT_CHECK_OP(late, >=, 0L);
    EXPECT(weft_close((int)late), 0);
    EXPECT(weft_close(accepted), 0);
    while (count > 0) {
        EXPECT(weft_close(clients[--count]), 0);
    }
    EXPECT(weft_close(listener), 0);
}

IO_TEST(flags_of_accept_are_kept) {
    static const int given[] = {0, SOCK_CLOEXEC, SOCK_NONBLOCK};
    const char *address = name("@flags");
    int listener = weft_listen(address, 0);
    WEFT_CHECK_OP(listener, >=, 0);
    EXPECT(weft_accept_flags(listener, NULL, 1, soon()), -EINVAL);
    EXPECT(weft_accept_flags(listener, NULL, 0, 0), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        int client = weft_connect(address, soon());
        WEFT_CHECK_OP(client, >=, 0);
        int fd = weft_accept_flags(listener, NULL, given[i], soon());
        WEFT_CHECK_OP(fd, >=, 0);
        EXPECT(fcntl(fd, F_GETFD), given[i] == SOCK_CLOEXEC ? FD_CLOEXEC : 0);
        EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        EXPECT(weft_close(fd), 0);
        EXPECT(weft_close(client), 0);
    }
    EXPECT(weft_close(listener), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_in_a_folder_carries_bytes),
        cmocka_unit_test(an_abstract_socket_is_gone_when_it_is_closed),
        cmocka_unit_test(who_connects_without_a_name_has_none),
        cmocka_unit_test(a_full_backlog_makes_who_connects_wait),
        cmocka_unit_test(flags_of_accept_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
