/* SPDX-License-Identifier: MIT */
/* Memory that fails at the nth allocation, for all of io's calls: those that
 * make something, those that wait (here until their deadline, since nothing
 * comes: a timer is needed, and 0 stands for -ETIMEDOUT), and files, which are
 * never refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/trial.h"
#include "weft/base/check.h"
#include "weft/io/address.h"
#include "weft/io/transfers.h"
#include "weft/weft.h"

/* --- what makes something --------------------------------------------------
 */

static int ended(int fd) {
    return fd < 0 ? fd : weft_close(fd);
}

static int both_ended(int error, const int ends[2]) {
    if (error == 0) {
        WEFT_CHECK_OP(weft_close(ends[0]), ==, 0);
        WEFT_CHECK_OP(weft_close(ends[1]), ==, 0);
    }
    return error;
}

static int listen_there(void) {
    return ended(weft_listen("127.0.0.1:0", 0));
}

static int open_datagrams(void) {
    return ended(weft_udp_open("127.0.0.1:0"));
}

static int make_a_pipe(void) {
    int ends[2];
    return both_ended(weft_pipe(ends), ends);
}

static int make_a_pair(void) {
    int ends[2];
    return both_ended(weft_socketpair(SOCK_STREAM, ends), ends);
}

static int adopt(void) {
    int ends[2];
    WEFT_CHECK_OP(pipe(ends), ==, 0);
    close(ends[1]);
    int error = weft_open_fd(ends[0]);
    if (error != 0) {
        close(ends[0]);
        return error;
    }
    return weft_close(ends[0]);
}

/* Over loopback, which may take its time. */
static int connect_and_accept(void) {
    char address[32];
    uint64_t deadline = WEFT_FOREVER;
    int listener = weft_listen("127.0.0.1:0", 0);
    if (listener < 0) {
        return listener;
    }
    snprintf(address, sizeof address, "127.0.0.1:%d",
             weft_local_port(listener));
    int client = weft_connect(address, deadline);
    int server = client < 0 ? client : weft_accept(listener, NULL, deadline);
    if (client >= 0) {
        weft_close(client);
    }
    weft_close(listener);
    return ended(server);
}

static int pass_a_descriptor(void) {
    uint64_t deadline = weft_now() + 100 * WEFT_S;
    int ends[2];
    int came = -1;
    int count = 1;
    char byte;
    int error = weft_socketpair(SOCK_STREAM, ends);
    if (error != 0) {
        return error;
    }
    ssize_t n = weft_send_fds(ends[0], "c", 1, &ends[0], 1, deadline);
    n = n < 0 ? n : weft_recv_fds(ends[1], &byte, 1, &came, &count, deadline);
    both_ended(0, ends);
    if (n > 0) {
        close(came);
    }
    return n < 0 ? (int)n : 0;
}

static int listen_to_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    int fd = weft_signals_open(&set);
    return fd < 0 ? fd : weft_signals_close(fd);
}

static int resolve(void) {
    struct sockaddr_storage found;
    int n =
        weft_resolve("127.0.0.1", NULL, &found, 1, weft_now() + 100 * WEFT_S);
    return n < 0 ? n : 0;
}

static int run_a_program(void) {
    char *const words[] = {"true", NULL};
    int status = -1;
    int fd = weft_process_spawn(words, NULL, NULL);
    if (fd < 0) {
        return fd;
    }
    weft_clock_hold();
    int error = weft_process_wait(fd, &status, weft_now() + 1);
    weft_clock_release();
    if (error != 0) {
        WEFT_CHECK_OP(weft_process_wait(fd, &status, WEFT_FOREVER), ==, 0);
    }
    WEFT_CHECK_OP(status, ==, 0);
    weft_close(fd);
    return error;
}

static int dial(void) {
    char service[16];
    int listener = weft_listen("127.0.0.1:0", 0);
    if (listener < 0) {
        return listener;
    }
    snprintf(service, sizeof service, "%d", weft_local_port(listener));
    int client = weft_dial("127.0.0.1", service, weft_now() + 100 * WEFT_S);
    weft_close(listener);
    return ended(client);
}

static void descriptors_are_refused_or_open(void **state) {
    (void)state;
    trial_of("listen", listen_there, TRIAL_MUST);
    trial_of("udp_open", open_datagrams, TRIAL_MUST);
    trial_of("pipe", make_a_pipe, TRIAL_MUST);
    trial_of("socketpair", make_a_pair, TRIAL_MUST);
    trial_of("open_fd", adopt, TRIAL_MUST);
    trial_of("connect", connect_and_accept, TRIAL_MUST);
    trial_of("send_fds", pass_a_descriptor, TRIAL_MUST);
}

static void so_are_signals_names_and_programs(void **state) {
    (void)state;
    trial_of("signals_open", listen_to_signals, TRIAL_MUST);
    trial_of("resolve", resolve, TRIAL_MUST);
    trial_of("dial", dial, TRIAL_MUST);
    trial_of("process", run_a_program, TRIAL_MUST);
}

/* --- what waits --------------------------------------------------------------
 */

static int which; /* of the transfers */
static int wait_in_vain(void) {
    const struct io_transfer *transfer = &io_transfers[which];
    int ends[2];
    int error = weft_socketpair(transfer->type, ends);
    if (error != 0) {
        return error;
    }
    io_transfer_prepare(transfer, ends);
    ssize_t n = transfer->call(ends[0], weft_now() + WEFT_US);
    WEFT_CHECK_OP(n, <, (ssize_t)0);
    both_ended(0, ends);
    return n == -ETIMEDOUT ? 0 : (int)n;
}

static int accept_nobody(void) {
    int fd = weft_listen("127.0.0.1:0", 0);
    if (fd < 0) {
        return fd;
    }
    int error = weft_accept_flags(fd, NULL, 0, weft_now() + WEFT_US);
    weft_close(fd);
    return error == -ETIMEDOUT ? 0 : error;
}

/* Each try of a connection to a full backlog ends in a sleep. */
static int connect_in_vain(void) {
    char address[32];
    int client = 0;
    int clients[8];
    int count = 0;
    snprintf(address, sizeof address, "unix:@weft-memory-%d", (int)getpid());
    int listener = weft_listen(address, 1);
    if (listener < 0) {
        return listener;
    }
    while (count < 8 && client >= 0) {
        client = weft_connect(address, weft_now() + WEFT_MS);
        if (client >= 0) {
            clients[count++] = client;
        }
    }
    while (count > 0) {
        weft_close(clients[--count]);
    }
    weft_close(listener);
    WEFT_CHECK_OP(client, <, 0);
    return client == -ETIMEDOUT ? 0 : client;
}

static int await_a_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    int fd = weft_signals_open(&set);
    if (fd < 0) {
        return fd;
    }
    int error = weft_signal_wait(fd, weft_now() + WEFT_US);
    weft_signals_close(fd);
    return error == -ETIMEDOUT ? 0 : error;
}

static void who_waits_needs_a_timer(void **state) {
    (void)state;
    for (which = 0; which < io_transfer_count; which++) {
        trial_of(io_transfers[which].name, wait_in_vain, TRIAL_MUST);
    }
    trial_of("accept", accept_nobody, TRIAL_MUST);
    trial_of("full backlog", connect_in_vain, TRIAL_MUST);
    trial_of("signal_wait", await_a_signal, TRIAL_MUST);
}

/* --- what does not -----------------------------------------------------------
 */

static int move_bytes(void) {
    int ends[2];
    int error = weft_socketpair(SOCK_STREAM, ends);
    for (int i = 0; error == 0 && i < io_transfer_count; i++) {
        const struct io_transfer *transfer = &io_transfers[i];
        if (transfer->type == SOCK_STREAM && transfer->sends) {
            WEFT_CHECK_OP(transfer->call(ends[0], 0), >=, (ssize_t)0);
        }
    }
    return error == 0 ? both_ended(0, ends) : error;
}

static int use_a_file(void) {
    char path[64];
    char bytes[4];
    snprintf(path, sizeof path, "/tmp/weft-memory-%d", (int)getpid());
    int fd = weft_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    WEFT_CHECK_OP(fd, >=, 0);
    unlink(path);
    WEFT_CHECK_OP(weft_file_write(fd, "abc", 3), ==, 3);
    WEFT_CHECK_OP(weft_file_pwrite(fd, "d", 1, 3), ==, 1);
    WEFT_CHECK_OP(weft_file_sync(fd), ==, 0);
    WEFT_CHECK_OP(weft_file_pread(fd, bytes, 4, 0), ==, 4);
    WEFT_CHECK_OP(weft_file_read(fd, bytes, 4), ==, 1);
    return weft_file_close(fd);
}

/* What only looks, names or notes. */
static int ask(void) {
    struct weft_metrics metrics;
    struct sockaddr_storage address;
    char text[WEFT_ADDRESS_TEXT];
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    weft_metrics_read(&metrics);
    weft_dump(nowhere);
    close(nowhere);
    weft_set_name("asks");
    WEFT_CHECK_OP(weft_set_priority(WEFT_PRIORITY_HIGH), ==, 0);
    WEFT_CHECK(weft_address_parse("127.0.0.1:80", &address) > 0);
    WEFT_CHECK(weft_address_format(&address, text, sizeof text) > 0);
    weft_clock_hold();
    WEFT_CHECK_OP(weft_clock_advance(1), ==, 0);
    weft_clock_release();
    weft_preempt_disable();
    weft_preempt_enable();
    weft_yield();
    return 0;
}

static void what_needs_no_memory_is_never_refused(void **state) {
    (void)state;
    trial_of("bytes that have room", move_bytes, TRIAL_MUST);
    trial_of("files", use_a_file, TRIAL_NEVER);
    trial_of("questions", ask, TRIAL_NEVER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_refused_or_open),
        cmocka_unit_test(so_are_signals_names_and_programs),
        cmocka_unit_test(who_waits_needs_a_timer),
        cmocka_unit_test(what_needs_no_memory_is_never_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
