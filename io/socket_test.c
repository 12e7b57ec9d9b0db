/* SPDX-License-Identifier: MIT */
/* Listening, accepting and connecting on the loopback. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "weft/io/address.h"
#include "weft/io/testing.h"

/* Where OS threads play the tasks, fewer of them. */
#ifndef CONNECTIONS
#define CONNECTIONS 1000
#endif
#define MESSAGES 3

static void *echo(void *arg) {
    int fd = (int)(intptr_t)arg;
    char data[512];
    ssize_t count;
    while ((count = weft_read(fd, data, sizeof(data), soon())) > 0) {
        EXPECT(weft_write(fd, data, (size_t)count, soon()), count);
    }
    EXPECT(count, 0);
    EXPECT(weft_close(fd), 0);
    return NULL;
}

static void *serve(void *arg) {
    static struct weft_task *tasks[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = weft_accept(*(int *)arg, NULL, soon());
        WEFT_CHECK_OP(fd, >=, 0);
        tasks[i] = start(echo, (void *)(intptr_t)fd);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        EXPECT(finish(tasks[i]), 0);
    }
    return NULL;
}

struct client {
    const char *address;
    unsigned number;
};

static void *talk(void *arg) {
    struct client *client = arg;
    int fd = weft_connect(client->address, soon());
    WEFT_CHECK_OP(fd, >=, 0);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char sent[700];
        char got[700];
        size_t size = 1 + (client->number * 31 + i * 211) % sizeof(sent);
        memset(sent, (int)(client->number + i), size);
        EXPECT(weft_write(fd, sent, size, soon()), size);
        EXPECT(read_all(fd, got, size), size);
        EXPECT(memcmp(sent, got, size), 0);
    }
    EXPECT(weft_close(fd), 0);
    return NULL;
}

IO_TEST(a_thousand_connections_get_their_own_answers) {
    static struct client clients[CONNECTIONS];
    static struct weft_task *tasks[CONNECTIONS];
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    char address[64];
    int listener = listen_somewhere(address);
    struct weft_task *server = start(serve, &listener);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        clients[i] = (struct client){address, i};
        tasks[i] = start(talk, &clients[i]);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        EXPECT(finish(tasks[i]), 0);
    }
    EXPECT(finish(server), 0);
    EXPECT(weft_close(listener), 0);
}

static void *accept_one(void *arg) {
    return (void *)(long)weft_accept(*(int *)arg, NULL, soon());
}

IO_TEST(an_accepted_socket_is_fit_for_use) {
    char address[64];
    int listener = listen_somewhere(address);
    int client = weft_connect(address, soon());
    WEFT_CHECK_OP(client, >=, 0);
    struct sockaddr_storage peer = {0};
    int fd = weft_accept(listener, &peer, soon());
    WEFT_CHECK_OP(fd, >=, 0);
    EXPECT(peer.ss_family, AF_INET);
    EXPECT(ntohs(((struct sockaddr_in *)&peer)->sin_port),
           weft_local_port(client));
    int both[] = {fd, client};
    for (int i = 0; i < 2; i++) {
        int value = 0;
        socklen_t size = sizeof(value);
        EXPECT(getsockopt(both[i], IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
        EXPECT(value != 0, 1);
        EXPECT(fcntl(both[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        EXPECT(fcntl(both[i], F_GETFD), FD_CLOEXEC);
    }
    close_both(both);
    EXPECT(weft_close(listener), 0);
}

IO_TEST(several_tasks_may_accept) {
    char address[64];
    int listener = listen_somewhere(address);
    struct weft_task *tasks[5];
    for (int i = 0; i < 5; i++) {
        tasks[i] = start(accept_one, &listener);
    }
    int clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = weft_connect(address, soon());
        WEFT_CHECK_OP(clients[i], >=, 0);
    }
    /* Until three have accepted: the others are behind them. */
    for (int i = 0; i < 3; i++) {
        char byte;
        EXPECT(weft_read(clients[i], &byte, 1, weft_now() + WEFT_MS),
               -ETIMEDOUT);
    }
    let_them_wait();
    EXPECT(weft_close(listener), 0);
    int accepted = 0;
    for (int i = 0; i < 5; i++) {
        long fd = finish(tasks[i]);
        if (fd >= 0) {
            accepted++;
            EXPECT(weft_close((int)fd), 0);
        } else {
            EXPECT(fd, -EBADF);
        }
    }
    WEFT_CHECK_OP(accepted, <=, 3);
    for (int i = 0; i < 3; i++) {
        EXPECT(weft_close(clients[i]), 0);
    }
}

IO_TEST(accepting_ends_by_deadline_cancel_and_close) {
    char address[64];
    int listener = listen_somewhere(address);
    EXPECT(weft_accept(listener, NULL, weft_now() + 2 * WEFT_MS), -ETIMEDOUT);
    struct weft_task *task = start(accept_one, &listener);
    await_busy(listener, WEFT_READING);
    weft_cancel(task);
    EXPECT(finish(task), -ECANCELED);
    task = start(accept_one, &listener);
    await_busy(listener, WEFT_READING);
    EXPECT(weft_close(listener), 0);
    EXPECT(finish(task), -EBADF);
    /* The port is free again. */
    EXPECT(connect_after_close(address), -ECONNREFUSED);
    listener = weft_listen(address, 1);
    WEFT_CHECK_OP(listener, >=, 0);
    EXPECT(weft_close(listener), 0);
}

IO_TEST(a_full_table_comes_back_from_accept_and_passes) {
    char address[64];
    int listener = listen_somewhere(address);
    int client = weft_connect(address, soon());
    WEFT_CHECK_OP(client, >=, 0);
    struct rlimit before;
    EXPECT(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {0, before.rlim_max};
    EXPECT(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 3; i++) {
        EXPECT(weft_accept(listener, NULL, soon()), -EMFILE);
    }
    EXPECT(weft_connect(address, soon()), -EMFILE);
    EXPECT(weft_listen("127.0.0.1:0", 0), -EMFILE);
    EXPECT(setrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = weft_accept(listener, NULL, soon());
    WEFT_CHECK_OP(fd, >=, 0);
    int all[] = {fd, client};
    close_both(all);
    EXPECT(weft_close(listener), 0);
}

static int count_sockets(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        struct stat status;
        count += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    }
    return count;
}

IO_TEST(what_cannot_be_is_an_error_and_leaks_nothing) {
    int before = count_sockets();
    EXPECT(weft_listen("nowhere", 0), -EINVAL);
    EXPECT(weft_listen("127.0.0.1:0", -1), -EINVAL);
    EXPECT(weft_connect("127.0.0.1", soon()), -EINVAL);
    /* 192.0.2.0/24 belongs to nobody. */
    EXPECT(weft_listen("192.0.2.1:0", 0), -EADDRNOTAVAIL);
    char address[64];
    int listener = listen_somewhere(address);
    EXPECT(weft_listen(address, 0), -EADDRINUSE);
    EXPECT(weft_close(listener), 0);
    EXPECT(weft_connect(address, soon()), -ECONNREFUSED);
    int pair[2];
    open_pair(pair);
    EXPECT(weft_accept(pair[0], NULL, 0), -EINVAL);
    EXPECT(weft_local_port(pair[0]), -EAFNOSUPPORT);
    close_both(pair);
    EXPECT(weft_local_port(-1), -EBADF);
    EXPECT(count_sockets(), before);
}

IO_TEST(ipv6_is_spoken_where_there_is_any) {
    int listener = weft_listen("[::1]:0", 0);
    if (listener == -EADDRNOTAVAIL || listener == -EAFNOSUPPORT) {
        return;
    }
    char address[64];
    snprintf(address, sizeof(address), "[::1]:%d", weft_local_port(listener));
    int client = weft_connect(address, soon());
    WEFT_CHECK_OP(client, >=, 0);
    struct sockaddr_storage peer;
    int fd = weft_accept(listener, &peer, soon());
    WEFT_CHECK_OP(fd, >=, 0);
    EXPECT(peer.ss_family, AF_INET6);
    int all[] = {fd, client};
    close_both(all);
    EXPECT(weft_close(listener), 0);
}

IO_TEST(a_reset_connection_is_an_error_to_its_user_alone) {
    char address[64];
    int listener = listen_somewhere(address);
    int client = weft_connect(address, soon());
    int fd = weft_accept(listener, NULL, soon());
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    EXPECT(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
           0);
    EXPECT(weft_close(client), 0);
    char byte = 0;
    EXPECT(weft_read(fd, &byte, 1, soon()), -ECONNRESET);
    EXPECT(weft_write(fd, &byte, 1, soon()), -EPIPE);
    EXPECT(weft_close(fd), 0);
    EXPECT(weft_close(listener), 0);
}

static void *connect_there(void *arg) {
    return (void *)(long)weft_connect(arg, soon());
}

IO_TEST(connecting_ends_by_deadline_and_cancel) {
    /* A listener that accepts nothing and whose short queue is full leaves the
     * next one waiting. */
    char address[64];
    int listener = weft_listen("127.0.0.1:0", 1);
    WEFT_CHECK_OP(listener, >=, 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d",
             weft_local_port(listener));
    int clients[8];
    int count = 0;
    while (count < 8 && (clients[count] = weft_connect(
                             address, weft_now() + 50 * WEFT_MS)) >= 0) {
        count++;
    }
    WEFT_CHECK_OP(count, <, 8);
    EXPECT(clients[count], -ETIMEDOUT);
    struct weft_task *task = start(connect_there, address);
    let_them_wait();
    weft_cancel(task);
    EXPECT(finish(task), -ECANCELED);
    while (count > 0) {
        EXPECT(weft_close(clients[--count]), 0);
    }
    EXPECT(weft_close(listener), 0);
}

/* A thread that weft knows nothing of. */
static void *stranger(void *arg) {
    int fd = *(int *)arg;
    char byte;
    EXPECT(weft_read(fd, &byte, 1, soon()), -EPERM);
    EXPECT(weft_write(fd, "x", 1, soon()), 1);
    EXPECT(weft_close(fd), 0);
    return NULL;
}

IO_TEST(a_strange_thread_may_do_all_but_wait) {
    int pair[2];
    open_pair(pair);
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, stranger, &pair[0]), 0);
    char bytes[2];
    EXPECT(read_all(pair[1], bytes, 2), 1);
    EXPECT(pthread_join(thread, NULL), 0);
    EXPECT(weft_close(pair[1]), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_connections_get_their_own_answers),
        cmocka_unit_test(an_accepted_socket_is_fit_for_use),
        cmocka_unit_test(several_tasks_may_accept),
        cmocka_unit_test(accepting_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(a_full_table_comes_back_from_accept_and_passes),
        cmocka_unit_test(what_cannot_be_is_an_error_and_leaks_nothing),
        cmocka_unit_test(ipv6_is_spoken_where_there_is_any),
        cmocka_unit_test(a_reset_connection_is_an_error_to_its_user_alone),
        cmocka_unit_test(connecting_ends_by_deadline_and_cancel),
        cmocka_unit_test(a_strange_thread_may_do_all_but_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
