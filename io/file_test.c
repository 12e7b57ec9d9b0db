/* SPDX-License-Identifier: MIT */
/* Files: what was written is read, from the places that were named. */
#include "weft/io/file.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "weft/io/testing.h"
#include "weft/sched/runtime.h"

/* A name that no other run of this test has. */
static const char *name(void) {
    static char text[256];
    const char *folder = getenv("TEST_TMPDIR");
    snprintf(text, sizeof(text), "%s/weft-file-%d",
             folder != NULL ? folder : "/tmp", getpid());
    return text;
}

IO_TEST(what_was_written_is_read) {
    char data[16] = "";
    int fd = weft_file_open(name(), O_RDWR | O_CREAT | O_EXCL, 0600);
    WEFT_CHECK_OP(fd, >=, 0);
    EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT(weft_file_write(fd, "hello ", 6), 6);
    EXPECT(weft_file_write(fd, "there", 5), 5);
    EXPECT(weft_file_pwrite(fd, "J", 1, 0), 1);
    EXPECT(weft_file_sync(fd), 0);
    EXPECT(weft_file_read(fd, data, 4), 0); /* at the end */
    EXPECT(weft_file_pread(fd, data, sizeof(data), 0), 11);
    EXPECT(memcmp(data, "Jello there", 11), 0);
    EXPECT(weft_file_pread(fd, data, 3, 6), 3);
    EXPECT(memcmp(data, "the", 3), 0);
    EXPECT(weft_file_pread(fd, data, 3, 100), 0);
    EXPECT(weft_file_close(fd), 0);
    EXPECT(weft_file_close(fd), -EBADF);

    fd = weft_file_open(name(), O_RDONLY, 0);
    WEFT_CHECK_OP(fd, >=, 0);
    EXPECT(weft_file_read(fd, data, 6), 6);
    EXPECT(weft_file_read(fd, data, 16), 5);
    EXPECT(memcmp(data, "there", 5), 0);
    EXPECT(weft_file_write(fd, "x", 1), -EBADF);
    EXPECT(weft_file_close(fd), 0);
    EXPECT(weft_file_open(name(), O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
    EXPECT(unlink(name()), 0);
    EXPECT(weft_file_open(name(), O_RDONLY, 0), -ENOENT);
}

IO_TEST(what_cannot_be_is_an_error) {
    char byte;
    EXPECT(weft_file_read(-1, &byte, 1), -EBADF);
    EXPECT(weft_file_pwrite(-1, &byte, 1, 0), -EBADF);
    EXPECT(weft_file_sync(-1), -EBADF);
    int folder = weft_file_open("/", O_RDONLY | O_DIRECTORY, 0);
    WEFT_CHECK_OP(folder, >=, 0);
    EXPECT(weft_file_read(folder, &byte, 1), -EISDIR);
    EXPECT(weft_file_close(folder), 0);
    int zero = weft_file_open("/dev/zero", O_RDONLY, 0);
    EXPECT(weft_file_pread(zero, &byte, 1, -1), -EINVAL);
    EXPECT(weft_file_close(zero), 0);
    int full = weft_file_open("/dev/full", O_WRONLY, 0);
    EXPECT(weft_file_write(full, "x", 1), -ENOSPC);
    EXPECT(weft_file_close(full), 0);
}

IO_TEST(a_cancelled_task_still_gets_its_data) {
    char data[100] = "x";
    int zero = weft_file_open("/dev/zero", O_RDONLY, 0);
    EXPECT(weft_cancel(weft_self()), 0);
    EXPECT(weft_file_read(zero, data, sizeof(data)), 100);
    EXPECT(data[0], 0);
    EXPECT(weft_file_close(zero), 0);
}

static void *answer(void *arg) {
    int fd = *(int *)arg;
    EXPECT(weft_write(fd, "xy", 2, soon()), 2);
    return NULL;
}

/* The other end is written to by a task that must have the one processor. */
static void read_what_another_task_writes(void *arg) {
    int pair[2];
    char data[2];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT(weft_open_fd(pair[1]), 0);
    struct weft_task *task = start(answer, &pair[1]);
    EXPECT(weft_file_read(pair[0], data, 2), 2); /* blocks its thread */
    EXPECT(memcmp(data, "xy", 2), 0);
    EXPECT(finish(task), 0);
    EXPECT(weft_close(pair[1]), 0);
    EXPECT(weft_file_close(pair[0]), 0);
}

static void others_run_while_a_file_takes_its_time(void **state) {
    /* Nobody would take the processor away. */
    static const struct weft_config config = {.workers = 1,
                                              .preempt = WEFT_PREEMPT_OFF};
    assert_int_equal(weft_run(&config, read_what_another_task_writes, NULL), 0);
}

static void it_works_on_any_thread(void **state) {
    char data[4];
    int zero = weft_file_open("/dev/zero", O_RDONLY, 0);
    assert_true(zero >= 0);
    assert_int_equal(weft_file_read(zero, data, 4), 4);
    assert_int_equal(weft_file_close(zero), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_cannot_be_is_an_error),
        cmocka_unit_test(a_cancelled_task_still_gets_its_data),
        cmocka_unit_test(others_run_while_a_file_takes_its_time),
        cmocka_unit_test(it_works_on_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
