/* SPDX-License-Identifier: MIT */
/* Sockets of Unix, whose room is counted in whole messages: what has no room is
 * not taken in part. */
#include "weft/io/transfers.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "weft/base/check.h"
#include "weft/io/io.h"
#include "weft/io/message.h"
#include "weft/io/reader.h"
#include "weft/io/sendfile.h"
#include "weft/io/udp.h"
#include "weft/io/writer.h"

enum { SIZE = 64 };

static ssize_t do_read(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    return weft_read(fd, bytes, sizeof bytes, deadline);
}

static ssize_t do_readv(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct iovec pieces[2] = {{bytes, 1}, {bytes + 1, 1}};
    return weft_readv(fd, pieces, 2, deadline);
}

static ssize_t do_wait_readable(int fd, uint64_t deadline) {
    return weft_wait_readable(fd, deadline);
}

static ssize_t do_recvmsg(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct iovec piece = {bytes, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    return weft_recvmsg(fd, &message, 0, deadline);
}

static ssize_t do_recv_fds(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    int came;
    int count = 1;
    return weft_recv_fds(fd, bytes, 1, &came, &count, deadline);
}

static ssize_t do_recvfrom(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct sockaddr_storage from;
    return weft_recvfrom(fd, bytes, 1, &from, deadline);
}

static ssize_t do_recvmmsg(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct iovec piece = {bytes, 1};
    struct mmsghdr messages[2] = {
        {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
        {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
    };
    return weft_recvmmsg(fd, messages, 2, deadline);
}

static ssize_t do_reader_read(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct weft_reader reader;
    char piece[8];
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_read(&reader, piece, sizeof piece, deadline);
}

static ssize_t do_reader_exact(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct weft_reader reader;
    char piece[8];
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_exact(&reader, piece, sizeof piece, deadline);
}

static ssize_t do_reader_until(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct weft_reader reader;
    char *piece;
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_until(&reader, ';', &piece, deadline);
}

static ssize_t do_reader_line(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct weft_reader reader;
    char *line;
    weft_reader_init(&reader, fd, bytes, sizeof bytes);
    return weft_reader_line(&reader, &line, deadline);
}

static ssize_t do_write(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    return weft_write(fd, bytes, sizeof bytes, deadline);
}

static ssize_t do_write_some(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    return weft_write_some(fd, bytes, sizeof bytes, deadline);
}

static ssize_t do_writev(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct iovec pieces[2] = {{bytes, 1}, {bytes + 1, 1}};
    return weft_writev(fd, pieces, 2, deadline);
}

static ssize_t do_sendmsg(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct iovec piece = {bytes, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    return weft_sendmsg(fd, &message, 0, deadline);
}

static ssize_t do_send_fds(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    return weft_send_fds(fd, bytes, 1, &fd, 1, deadline);
}

static ssize_t do_sendto(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    return weft_sendto(fd, bytes, 1, NULL, deadline);
}

static ssize_t do_sendmmsg(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
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
    char bytes[SIZE] = "";
    struct weft_writer writer;
    weft_writer_init(&writer, fd, bytes, sizeof bytes);
    WEFT_CHECK_OP(weft_writer_write(&writer, "x", 1, NULL, deadline), ==, 1);
    return weft_writer_flush(&writer, deadline);
}

static ssize_t do_writer_write(int fd, uint64_t deadline) {
    char bytes[SIZE] = "";
    struct weft_writer writer;
    char many[100] = "";
    weft_writer_init(&writer, fd, bytes, sizeof bytes);
    return weft_writer_write(&writer, many, sizeof many, NULL, deadline);
}

const struct io_transfer io_transfers[] = {
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

const int io_transfer_count = sizeof io_transfers / sizeof io_transfers[0];

void io_transfer_fill(int fd) {
    char bytes[SIZE] = "";
    while (weft_write_some(fd, bytes, sizeof bytes, 0) > 0) {
    }
}

void io_transfer_drain(int fd) {
    char bytes[SIZE];
    while (weft_read(fd, bytes, sizeof bytes, 0) > 0) {
    }
}

void io_transfer_prepare(const struct io_transfer *transfer,
                         const int ends[2]) {
    if (transfer->sends) {
        io_transfer_fill(ends[0]);
    } else {
        io_transfer_drain(ends[0]);
    }
}

void io_transfer_let_go(const struct io_transfer *transfer, const int ends[2]) {
    if (transfer->sends) {
        io_transfer_drain(ends[1]);
    } else {
        WEFT_CHECK_OP(weft_write(ends[1], "abcd;e\r\n", 8, WEFT_FOREVER), ==,
                      8);
    }
}
