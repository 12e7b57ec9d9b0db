/* SPDX-License-Identifier: MIT */
/* Pipes that weft makes, and reading into several pieces. */
#include "weft/io/pipe.h"

#include <sys/resource.h>

#include "weft/io/testing.h"

IO_TEST(both_ends_are_fit_for_use) {
    int ends[2];
    char byte = 0;
    EXPECT(weft_pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT(fcntl(ends[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        EXPECT(fcntl(ends[i], F_GETFD), FD_CLOEXEC);
        EXPECT(weft_open_fd(ends[i]), -EEXIST);
    }
    EXPECT(weft_read(ends[0], &byte, 1, weft_now() + WEFT_MS), -ETIMEDOUT);
    EXPECT(weft_write(ends[1], "x", 1, soon()), 1);
    EXPECT(weft_close(ends[1]), 0);
    EXPECT(weft_read(ends[0], &byte, 1, soon()), 1);
    EXPECT(byte, 'x');
    EXPECT(weft_read(ends[0], &byte, 1, soon()), 0);
    EXPECT(weft_close(ends[0]), 0);
}

IO_TEST(a_pipe_that_cannot_be_leaves_nothing_open) {
    int before = count_open();
    struct rlimit limit;
    int ends[2] = {-1, -1};
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    /* Room for one more descriptor, or for none. */
    int next = dup(0);
    WEFT_CHECK_OP(next, >=, 0);
    close(next);
    for (rlim_t room = 0; room < 2; room++) {
        struct rlimit few = {(rlim_t)next + room, limit.rlim_max};
        EXPECT(setrlimit(RLIMIT_NOFILE, &few), 0);
        EXPECT(weft_pipe(ends), -EMFILE);
        EXPECT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    EXPECT(ends[0], -1);
    EXPECT(count_open(), before);
}

static void without_a_runtime_there_are_none(void **state) {
    int ends[2];
    int before = count_open();
    assert_int_equal(weft_pipe(ends), -EPERM);
    assert_int_equal(count_open(), before);
}

IO_TEST(pieces_are_filled_one_after_the_other) {
    int ends[2];
    char a[3], b[4] = "....", c[2] = "..";
    struct iovec pieces[] = {{a, 3}, {NULL, 0}, {b, 4}, {c, 2}};
    EXPECT(weft_pipe(ends), 0);
    EXPECT(weft_write(ends[1], "abcde", 5, soon()), 5);
    EXPECT(weft_readv(ends[0], pieces, 4, soon()), 5);
    EXPECT(memcmp(a, "abc", 3), 0);
    EXPECT(memcmp(b, "de..", 4), 0);
    EXPECT(memcmp(c, "..", 2), 0);
    EXPECT(weft_readv(ends[0], pieces, -1, soon()), -EINVAL);
    EXPECT(weft_readv(ends[0], pieces, 4, weft_now() + WEFT_MS), -ETIMEDOUT);
    close_both(ends);
    EXPECT(weft_readv(ends[0], pieces, 4, soon()), -EBADF);
}

IO_TEST(more_pieces_than_the_kernel_takes_are_filled_in_part) {
    enum { MANY = 1500 };
    static char data[MANY], got[MANY];
    static struct iovec pieces[MANY];
    int ends[2];
    EXPECT(weft_pipe(ends), 0);
    for (int i = 0; i < MANY; i++) {
        data[i] = (char)i;
        pieces[i] = (struct iovec){&got[i], 1};
    }
    EXPECT(weft_write(ends[1], data, MANY, soon()), MANY);
    ssize_t first = weft_readv(ends[0], pieces, MANY, soon());
    EXPECT(first, 1024);
    EXPECT(weft_readv(ends[0], pieces + first, MANY - (int)first, soon()),
           MANY - first);
    EXPECT(memcmp(data, got, MANY), 0);
    close_both(ends);
}

static void *read_pieces(void *arg) {
    char byte;
    struct iovec piece = {&byte, 1};
    return (void *)weft_readv(*(int *)arg, &piece, 1, soon());
}

IO_TEST(who_waits_for_pieces_may_be_cancelled_or_closed) {
    int ends[2];
    EXPECT(weft_pipe(ends), 0);
    struct weft_task *task = start(read_pieces, &ends[0]);
    await_busy(ends[0], WEFT_READING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    task = start(read_pieces, &ends[0]);
    await_busy(ends[0], WEFT_READING);
    EXPECT(weft_close(ends[0]), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(weft_close(ends[1]), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_are_fit_for_use),
        cmocka_unit_test(a_pipe_that_cannot_be_leaves_nothing_open),
        cmocka_unit_test(without_a_runtime_there_are_none),
        cmocka_unit_test(pieces_are_filled_one_after_the_other),
        cmocka_unit_test(more_pieces_than_the_kernel_takes_are_filled_in_part),
        cmocka_unit_test(who_waits_for_pieces_may_be_cancelled_or_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
