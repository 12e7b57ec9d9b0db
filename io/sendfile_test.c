/* SPDX-License-Identifier: MIT */
/* Files into sockets and pipes: all bytes, once, whatever the receiver does. */
#define _GNU_SOURCE
#include "weft/io/sendfile.h"

#include <signal.h>
#include <sys/mman.h>

#include "weft/io/pipe.h"
#include "weft/io/testing.h"

#define SIZE (1 << 20)

static char content[SIZE];

/* A file without a name that holds `content`. */
static int open_content(void) {
    int fd = memfd_create("content", MFD_CLOEXEC);
    WEFT_CHECK_OP(fd, >=, 0);
    for (int i = 0; i < SIZE; i++) {
        content[i] = (char)(i * 7 + i / 251);
    }
    EXPECT(write(fd, content, SIZE), SIZE);
    return fd;
}

struct receiver {
    int fd;
    size_t size;
    char *data;
};

static void *receive(void *arg) {
    struct receiver *r = arg;
    return (void *)read_all(r->fd, r->data, r->size);
}

IO_TEST(a_file_arrives_whole_and_from_any_place) {
    static char got[SIZE];
    int file = open_content();
    for (int kind = 0; kind < 2; kind++) {
        int ends[2];
        if (kind == 0) {
            open_pair(ends);
        } else {
            EXPECT(weft_pipe(ends), 0);
        }
        off_t offset = 1000;
        struct receiver r = {ends[0], SIZE - 1000, got};
        struct weft_task *task = start(receive, &r);
        /* More than there is: the file's end ends it. */
        EXPECT(weft_sendfile(ends[1], file, &offset, 2 * SIZE, soon()),
               SIZE - 1000);
        EXPECT(offset, SIZE);
        EXPECT(finish(task), SIZE - 1000);
        EXPECT(memcmp(got, content + 1000, SIZE - 1000), 0);
        EXPECT(weft_sendfile(ends[1], file, &offset, 1, soon()), 0);
        offset = 0;
        EXPECT(weft_sendfile(ends[1], file, &offset, 0, soon()), 0);
        EXPECT(offset, 0);
        EXPECT(lseek(file, 0, SEEK_CUR), SIZE); /* not touched */
        close_both(ends);
    }
    close(file);
}

struct sender {
    int to;
    int from;
    off_t offset;
};

static void *send_all(void *arg) {
    struct sender *s = arg;
    return (void *)weft_sendfile(s->to, s->from, &s->offset, SIZE, soon());
}

IO_TEST(sending_ends_by_deadline_cancel_and_close) {
    static char got[SIZE];
    int file = open_content();
    int ends[2];
    EXPECT(weft_pipe(ends), 0);
    off_t offset = 0;
    EXPECT(weft_sendfile(ends[1], file, &offset, SIZE, weft_now() + WEFT_MS),
           -ETIMEDOUT);
    /* Where it stopped is told, and the receiver has just that much. */
    WEFT_CHECK(offset > 0 && offset < SIZE);
    EXPECT(read_all(ends[0], got, (size_t)offset), offset);
    EXPECT(memcmp(got, content, (size_t)offset), 0);
    EXPECT(weft_read(ends[0], got, 1, 0), -ETIMEDOUT);

    struct sender s = {ends[1], file, offset};
    struct weft_task *task = start(send_all, &s);
    await_busy(ends[1], WEFT_WRITING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    task = start(send_all, &s);
    await_busy(ends[1], WEFT_WRITING);
    EXPECT(weft_close(ends[1]), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(weft_close(ends[0]), 0);
    close(file);
}

IO_TEST(a_receiver_that_is_gone_is_an_error_and_no_signal) {
    int file = open_content();
    for (int kind = 0; kind < 2; kind++) {
        int ends[2];
        off_t offset = 5;
        sigset_t pending;
        if (kind == 0) {
            open_pair(ends);
        } else {
            EXPECT(weft_pipe(ends), 0);
        }
        EXPECT(weft_close(ends[0]), 0);
        EXPECT(weft_sendfile(ends[1], file, &offset, 10, soon()), -EPIPE);
        EXPECT(offset, 5);
        sigpending(&pending);
        EXPECT(sigismember(&pending, SIGPIPE), 0);
        EXPECT(weft_close(ends[1]), 0);
    }
    close(file);
}

IO_TEST(what_cannot_be_sent_is_an_error) {
    int ends[2];
    off_t offset = -1;
    EXPECT(weft_pipe(ends), 0);
    int file = open_content();
    EXPECT(weft_sendfile(ends[1], file, &offset, 1, soon()), -EINVAL);
    offset = 0;
    EXPECT(weft_sendfile(ends[1], -1, &offset, 1, soon()), -EBADF);
    EXPECT(weft_sendfile(-1, file, &offset, 1, soon()), -EBADF);
    EXPECT(weft_sendfile(ends[1], ends[0], &offset, 1, soon()), -ESPIPE);
    close(file);
    close_both(ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_arrives_whole_and_from_any_place),
        cmocka_unit_test(sending_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(a_receiver_that_is_gone_is_an_error_and_no_signal),
        cmocka_unit_test(what_cannot_be_sent_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
