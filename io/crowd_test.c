/* SPDX-License-Identifier: MIT */
/* Ten thousand connections at once, a task parked on each, and all of them
 * spoken to in the same moment, several times: more news than any queue between
 * the kernel and the poller has room for, each descriptor armed anew after
 * each.
 *
 * The clients are a process of its own, which knows nothing of weft: so each
 * side needs a descriptor for a connection, as a server does. It stops the
 * server while it speaks, so that nobody takes the news meanwhile. */
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "weft/base/compiler.h"
#include "weft/io/testing.h"

#if WEFT_ASAN || WEFT_TSAN || !defined(__x86_64__)
enum { MANY = 1000 };
#else
enum { MANY = 10000 };
#endif

enum { ROUNDS = 3, SPARE = 100 };

/* As many as there are descriptors for. */
static int connections(void) {
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur < MANY + SPARE ? (int)limit.rlim_cur - SPARE : MANY;
}

/* What goes wrong here the other side sees as an end of the stream. */
static void be_clients(pid_t server, int port, int count) {
    static int fds[MANY];
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    char byte;
    alarm(50);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (fds[i] < 0 || connect(fds[i], (const struct sockaddr *)&address,
                                  sizeof(address)) != 0) {
            _exit(1);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        bool sent = kill(server, SIGSTOP) == 0;
        for (int i = 0; i < count; i++) {
            byte = (char)(i + round);
            sent = write(fds[i], &byte, 1) == 1 && sent;
        }
        if (kill(server, SIGCONT) != 0 || !sent) {
            _exit(2);
        }
        for (int i = 0; i < count; i++) {
            if (read(fds[i], &byte, 1) != 1 || byte != (char)(i + round)) {
                _exit(3);
            }
        }
    }
    _exit(0);
}

static void *echo(void *arg) {
    int fd = (int)(intptr_t)arg;
    char byte;
    long rounds = 0;
    while (weft_read(fd, &byte, 1, WEFT_FOREVER) == 1) {
        EXPECT(weft_write(fd, &byte, 1, WEFT_FOREVER), 1);
        rounds++;
    }
    EXPECT(weft_close(fd), 0);
    return (void *)rounds;
}

IO_TEST(ten_thousand_connections_are_served_at_once) {
    static struct weft_task *tasks[MANY];
    int count = connections();
    int status;
    (void)arg;
    int listener = weft_listen("127.0.0.1:0", 0);
    WEFT_CHECK_OP(listener, >=, 0);
    int port = weft_local_port(listener);
    pid_t server = getpid();
    pid_t child = fork();
    WEFT_CHECK_OP(child, >=, 0);
    if (child == 0) {
        be_clients(server, port, count);
    }
    for (int i = 0; i < count; i++) {
        int fd = weft_accept(listener, NULL, WEFT_FOREVER);
        WEFT_CHECK_OP(fd, >=, 0);
        tasks[i] = start(echo, (void *)(intptr_t)fd);
    }
    for (int i = 0; i < count; i++) {
        EXPECT(finish(tasks[i]), ROUNDS);
    }
    EXPECT(weft_close(listener), 0);
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_connections_are_served_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
