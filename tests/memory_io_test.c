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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/trial.h"
#include "weft/base/check.h"
#include "weft/io/address.h"
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
    trial_of("process", run_a_program, TRIAL_MUST);
}

/* --- what waits --------------------------------------------------------------
 */

static char bytes[64];

static ssize_t do_read(int fd, uint64_t deadline) {
    return weft_read(fd, bytes, sizeof bytes, deadline);
}

static ssize_t do_readv(int fd, uint64_t deadline) {
    struct iovec pieces[2] = {{bytes, 1}, {bytes + 1, 1}};
    return weft_readv(fd, pieces, 2, deadline);
}

static ssize_t do_wait_readable(int fd, uint64_t deadline) {
    return weft_wait_readable(fd, deadline);
}

static ssize_t do_recvmsg(int fd, uint64_t deadline) {
    struct iovec piece = {bytes, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    return weft_recvmsg(fd, &message, 0, deadline);
}

static ssize_t do_recv_fds(int fd, uint64_t deadline) {
    int came;
    int count = 1;
    return weft_recv_fds(fd, bytes, 1, &came, &count, deadline);
}

static ssize_t do_recvfrom(int fd, uint64_t deadline) {
    struct sockaddr_storage from;
    return weft_recvfrom(fd, bytes, 1, &from, deadline);
}

static ssize_t do_recvmmsg(int fd, uint64_t deadline) {
    struct iovec piece = {bytes, 1};
    struct mmsghdr messages[2] = {
        {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
        {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
    };
    return weft_recvmmsg(fd, messages, 2, deadline);
}

static ssize_t do_reader_read(int fd, uint64_t deadline) {
    struct weft_reader reader;
    char piece[8];
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_read(&reader, piece, sizeof piece, deadline);
}

static ssize_t do_reader_exact(int fd, uint64_t deadline) {
    struct weft_reader reader;
    char piece[8];
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_exact(&reader, piece, sizeof piece, deadline);
}

static ssize_t do_reader_until(int fd, uint64_t deadline) {
    struct weft_reader reader;
    char *piece;
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_until(&reader, ';', &piece, deadline);
}

static ssize_t do_reader_line(int fd, uint64_t deadline) {
    struct weft_reader reader;
    char *line;
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_line(&reader, &line, deadline);
}

static ssize_t do_write(int fd, uint64_t deadline) {
    return weft_write(fd, bytes, sizeof bytes, deadline);
}

static ssize_t do_write_some(int fd, uint64_t deadline) {
    return weft_write_some(fd, bytes, sizeof bytes, deadline);
}

static ssize_t do_writev(int fd, uint64_t deadline) {
    struct iovec pieces[2] = {{bytes, 1}, {bytes + 1, 1}};
    return weft_writev(fd, pieces, 2, deadline);
}

static ssize_t do_sendmsg(int fd, uint64_t deadline) {
    struct iovec piece = {bytes, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    return weft_sendmsg(fd, &message, 0, deadline);
}

static ssize_t do_send_fds(int fd, uint64_t deadline) {
    return weft_send_fds(fd, bytes, 1, &fd, 1, deadline);
}

static ssize_t do_sendto(int fd, uint64_t deadline) {
    return weft_sendto(fd, bytes, 1, NULL, deadline);
}

static ssize_t do_sendmmsg(int fd, uint64_t deadline) {
    struct iovec piece = {bytes, 1};
    struct mmsghdr messages[2] = {
        {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
        {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
    };
    return weft_sendmmsg(fd, messages, 2, deadline);
}

static ssize_t do_sendfile(int fd, uint64_t deadline) {
    off_t offset = 0;
    int file = memfd_create("bytes", MFD_CLOEXEC);
    WEFT_CHECK_OP(file, >=, 0);
    WEFT_CHECK_OP(ftruncate(file, 100), ==, 0);
    ssize_t n = weft_sendfile(fd, file, &offset, 100, deadline);
    close(file);
    return n;
}

static ssize_t do_writer_flush(int fd, uint64_t deadline) {
    struct weft_writer writer;
    weft_writer_init(&writer, fd, bytes, sizeof bytes);
    WEFT_CHECK_OP(weft_writer_write(&writer, "x", 1, NULL, deadline), ==, 1);
    return weft_writer_flush(&writer, deadline);
}

static ssize_t do_writer_write(int fd, uint64_t deadline) {
    struct weft_writer writer;
    char many[100] = "";
    weft_writer_init(&writer, fd, bytes, sizeof bytes);
    return weft_writer_write(&writer, many, sizeof many, NULL, deadline);
}

static const struct {
    const char *name;
    ssize_t (*wait)(int fd, uint64_t deadline);
    int type;   /* of the sockets */
    bool sends; /* so they are filled before */
} all[] = {
    {"read", do_read, SOCK_STREAM, false},
    {"readv", do_readv, SOCK_STREAM, false},
    {"wait_readable", do_wait_readable, SOCK_STREAM, false},
    {"recvmsg", do_recvmsg, SOCK_STREAM, false},
    {"recv_fds", do_recv_fds, SOCK_STREAM, false},
    {"recvfrom", do_recvfrom, SOCK_DGRAM, false},
    {"recvmmsg", do_recvmmsg, SOCK_DGRAM, false},
    {"reader_read", do_reader_read, SOCK_STREAM, false},
    {"reader_exact", do_reader_exact, SOCK_STREAM, false},
    {"reader_until", do_reader_until, SOCK_STREAM, false},
    {"reader_line", do_reader_line, SOCK_STREAM, false},
    {"write", do_write, SOCK_STREAM, true},
    {"write_some", do_write_some, SOCK_STREAM, true},
    {"writev", do_writev, SOCK_STREAM, true},
    {"sendmsg", do_sendmsg, SOCK_STREAM, true},
    {"send_fds", do_send_fds, SOCK_STREAM, true},
    {"sendto", do_sendto, SOCK_DGRAM, true},
    {"sendmmsg", do_sendmmsg, SOCK_DGRAM, true},
    {"sendfile", do_sendfile, SOCK_STREAM, true},
    {"writer_flush", do_writer_flush, SOCK_STREAM, true},
    {"writer_write", do_writer_write, SOCK_STREAM, true},
};

enum { ALL = sizeof all / sizeof all[0] };

static int which; /* of them */

static int wait_in_vain(void) {
    int ends[2];
    int error = weft_socketpair(all[which].type, ends);
    if (error != 0) {
        return error;
    }
    while (all[which].sends && weft_write_some(ends[0], bytes, 64, 0) > 0) {
    }
    ssize_t n = all[which].wait(ends[0], weft_now() + WEFT_US);
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
    for (which = 0; which < ALL; which++) {
        trial_of(all[which].name, wait_in_vain, TRIAL_MUST);
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
    for (int i = 0; error == 0 && i < ALL; i++) {
        if (all[i].type == SOCK_STREAM && all[i].sends) {
            ssize_t n = all[i].wait(ends[0], 0);
            WEFT_CHECK_OP(n, >=, (ssize_t)0);
        }
    }
    return error == 0 ? both_ended(0, ends) : error;
}

static int use_a_file(void) {
    char path[64];
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
