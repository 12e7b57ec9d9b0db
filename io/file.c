/* SPDX-License-Identifier: MIT */
/* One shape for all calls: what is asked is put into a structure, and a loop
 * makes the system call in weft_blocking() until all is done, so that the
 * processor is given up once for each call and not for each piece.
 *
 * Rejected: trying without waiting first (preadv2(2) with RWF_NOWAIT): not all
 * file systems have it, and a write has no such try. */
#include "weft/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/operation.h"
#include "weft/sched/task.h"

/* A piece of data to or from a file. */
struct transfer {
    long call; /* SYS_read and its like; those with a place take `offset` */
    int fd;
    char *data;
    size_t size;
    off_t offset;
    long result;
};

static void *transfer_all(void *arg) {
    struct transfer *t = arg;
    size_t done = 0;
    do {
        t->result =
            weft_syscall(t->call, t->fd, (long)(t->data + done),
                         (long)(t->size - done), t->offset + (off_t)done, 0, 0);
        if (t->result > 0) {
            done += (size_t)t->result;
        }
    } while (t->result == -EINTR || (t->result > 0 && done < t->size));
    if (t->result >= 0 || done > 0) {
        t->result = (long)done;
    }
    return NULL;
}

static ssize_t transfer(long call, int fd, void *data, size_t size,
                        off_t offset) {
    struct transfer t = {call, fd, data, size, offset, 0};
    weft_blocking(transfer_all, &t);
    return t.result;
}

/* A system call that is not about data. */
struct request {
    long call;
    long a, b, c, d;
    long result;
};

static void *make_request(void *arg) {
    struct request *r = arg;
    r->result = weft_syscall(r->call, r->a, r->b, r->c, r->d, 0, 0);
    return NULL;
}

static int request(struct request r) {
    weft_blocking(make_request, &r);
    return (int)r.result;
}

int weft_file_open(const char *path, int flags, mode_t mode) {
    int fd;
    do {
        fd = request((struct request){.call = SYS_openat,
                                      .a = AT_FDCWD,
                                      .b = (long)path,
                                      .c = flags | O_CLOEXEC,
                                      .d = (long)mode});
    } while (fd == -EINTR);
    return fd;
}

ssize_t weft_file_read(int fd, void *data, size_t size) {
    ssize_t result = transfer(SYS_read, fd, data, size, 0);
    if (result > 0) {
        weft_io_got(data, (size_t)result);
    }
    return result;
}

ssize_t weft_file_pread(int fd, void *data, size_t size, off_t offset) {
    ssize_t result = transfer(SYS_pread64, fd, data, size, offset);
    if (result > 0) {
        weft_io_got(data, (size_t)result);
    }
    return result;
}

ssize_t weft_file_write(int fd, const void *data, size_t size) {
    weft_io_gave(data, size);
    return transfer(SYS_write, fd, (void *)data, size, 0);
}

ssize_t weft_file_pwrite(int fd, const void *data, size_t size, off_t offset) {
    weft_io_gave(data, size);
    return transfer(SYS_pwrite64, fd, (void *)data, size, offset);
}

int weft_file_sync(int fd) {
    int error;
    do {
        error = request((struct request){.call = SYS_fsync, .a = fd});
    } while (error == -EINTR);
    return error;
}

int weft_file_close(int fd) {
    int error = request((struct request){.call = SYS_close, .a = fd});
    /* Linux has given the number back all the same: never twice. */
    return error == -EINTR ? 0 : error;
}
