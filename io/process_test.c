/* SPDX-License-Identifier: MIT */
/* Children that are started, waited for, ended and listened to. */
#include "weft/io/process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "weft/io/pipe.h"
#include "weft/io/testing.h"

/* A shell that does what `script` says. */
static int shell(const char *script,
                 const struct weft_process_options *options) {
    char *const words[] = {"sh", "-c", (char *)script, NULL};
    int fd = weft_process_spawn(words, options, NULL);
    WEFT_CHECK_OP(fd, >=, 0);
    return fd;
}

IO_TEST(what_it_returned_or_died_of_is_told) {
    int status = 1;
    int fd = shell("exit 42", NULL);
    EXPECT(weft_process_wait(fd, &status, soon()), 0);
    EXPECT(status, 42);
    EXPECT(weft_process_wait(fd, &status, soon()), -ECHILD);
    EXPECT(weft_process_kill(fd, SIGTERM), -ESRCH);
    EXPECT(weft_close(fd), 0);
    fd = shell("kill -9 $$", NULL);
    EXPECT(weft_process_wait(fd, &status, soon()), 0);
    EXPECT(status, -SIGKILL);
    EXPECT(weft_close(fd), 0);
    fd = shell("exit 0", NULL);
    EXPECT(weft_process_wait(fd, NULL, soon()), 0);
    EXPECT(weft_close(fd), 0);
}

static void *wait_for_it(void *arg) {
    return (void *)(long)weft_process_wait(*(int *)arg, NULL, soon());
}

IO_TEST(waiting_ends_by_deadline_cancel_and_close) {
    /* It ends when its standard input does. */
    int ends[2];
    EXPECT(weft_pipe(ends), 0);
    int fds[3] = {ends[0], -1, -1};
    struct weft_process_options options = {.fds = fds};
    char *const words[] = {"cat", NULL};
    pid_t id = 0;
    int fd = weft_process_spawn(words, &options, &id);
    WEFT_CHECK_OP(fd, >=, 0);
    WEFT_CHECK_OP(id, >, 1);
    EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT(weft_process_wait(fd, NULL, 0), -ETIMEDOUT);
    EXPECT(weft_process_wait(fd, NULL, weft_now() + 2 * WEFT_MS), -ETIMEDOUT);
    struct weft_task *task = start(wait_for_it, &fd);
    await_busy(fd, WEFT_READING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    /* A signal ends it, and who waits sees that. */
    task = start(wait_for_it, &fd);
    await_busy(fd, WEFT_READING);
    EXPECT(weft_process_kill(fd, SIGKILL), 0);
    EXPECT(finish(task), 0);
    EXPECT(weft_close(fd), 0);

    fd = shell("sleep 1000", NULL);
    task = start(wait_for_it, &fd);
    await_busy(fd, WEFT_READING);
    int other = dup(fd); /* to end it afterwards */
    EXPECT(weft_close(fd), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(weft_process_wait(fd, NULL, soon()), -EBADF);
    EXPECT(weft_process_kill(fd, SIGKILL), -EBADF);
    EXPECT(weft_open_fd(other), 0);
    EXPECT(weft_process_kill(other, SIGKILL), 0);
    EXPECT(weft_process_wait(other, NULL, soon()), 0);
    EXPECT(weft_close(other), 0);
    close_both(ends);
}

IO_TEST(what_it_says_and_hears_goes_through_pipes) {
    int in[2], out[2];
    char text[64];
    EXPECT(weft_pipe(in), 0);
    EXPECT(weft_pipe(out), 0);
    /* One place for what it says and for what it complains of. */
    int fds[3] = {in[0], out[1], out[1]};
    char *const environment[] = {"PATH=/usr/bin:/bin", "NAME=weft", NULL};
    struct weft_process_options options = {
        .fds = fds, .environment = environment, .directory = "/"};
    EXPECT(weft_write(in[1], "it\n", 3, soon()), 3);
    int fd = shell("read x; echo $x $NAME $(pwd); echo end >&2", &options);
    EXPECT(weft_close(out[1]), 0);
    EXPECT(read_all(out[0], text, sizeof(text)), 14);
    EXPECT(memcmp(text, "it weft /\nend\n", 14), 0);
    EXPECT(weft_process_wait(fd, NULL, soon()), 0);
    EXPECT(weft_close(fd), 0);
    EXPECT(weft_close(out[0]), 0);
    close_both(in);
}

/* `result` of a spawn is `error`. Or the child ends with 127, as POSIX allows:
 * so it is under an emulator that gives a child a copy of the memory where the
 * kernel gives it the memory. */
static void expect_refused(int result, int error) {
    int status;
    if (result < 0) {
        EXPECT(result, error);
        return;
    }
    EXPECT(weft_process_wait(result, &status, soon()), 0);
    EXPECT(status, 127);
    EXPECT(weft_close(result), 0);
}

IO_TEST(what_cannot_be_is_an_error_and_leaves_nothing) {
    int before = count_open();
    char *const nobody[] = {"/no such program", NULL};
    char *const nothing[] = {NULL};
    char *const yes[] = {"true", NULL};
    int fds[3] = {0, 1000000, -1};
    struct weft_process_options options = {.fds = fds};
    struct weft_process_options nowhere = {.directory = "/no such place"};
    expect_refused(weft_process_spawn(nobody, NULL, NULL), -ENOENT);
    EXPECT(weft_process_spawn(nothing, NULL, NULL), -EINVAL);
    expect_refused(weft_process_spawn(yes, &options, NULL), -EBADF);
    expect_refused(weft_process_spawn(yes, &nowhere, NULL), -ENOENT);
    int pair[2];
    open_pair(pair);
    EXPECT(weft_process_wait(pair[0], NULL, soon()), -EBADF);
    close_both(pair);
    EXPECT(count_open(), before);
    EXPECT(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void without_a_runtime_there_are_none(void **state) {
    char *const yes[] = {"true", NULL};
    assert_int_equal(weft_process_spawn(yes, NULL, NULL), -EPERM);
}

static void *run_one(void *arg) {
    char script[32];
    int status;
    snprintf(script, sizeof(script), "exit %d", (int)(intptr_t)arg);
    int fd = shell(script, NULL);
    EXPECT(weft_process_wait(fd, &status, soon()), 0);
    EXPECT(weft_close(fd), 0);
    return (void *)(long)status;
}

/* The slice of a process, in ns; its first thread's. */
static uint64_t slice_of(pid_t id) {
    uint64_t how[7] = {0}; /* sched_setattr(2): the fourth is the slice */
    EXPECT(syscall(SYS_sched_getattr, id, how, sizeof how, 0), 0);
    return how[3];
}

/* Those of the thread that called weft_run(), not of one that runs tasks. */
IO_TEST(it_has_the_slices_of_any_process) {
    int ends[2];
    EXPECT(weft_pipe(ends), 0);
    int fds[3] = {ends[0], -1, -1};
    struct weft_process_options options = {.fds = fds};
    char *const words[] = {"cat", NULL};
    pid_t id = 0;
    int fd = weft_process_spawn(words, &options, &id);
    WEFT_CHECK_OP(fd, >=, 0);
    EXPECT(slice_of(id), slice_of(getpid()));
    close_both(ends);
    EXPECT(weft_process_wait(fd, NULL, soon()), 0);
    EXPECT(weft_close(fd), 0);
}

IO_TEST(many_at_once_are_told_apart) {
    struct weft_task *tasks[20];
    for (long i = 0; i < 20; i++) {
        tasks[i] = start(run_one, (void *)i);
    }
    for (long i = 0; i < 20; i++) {
        EXPECT(finish(tasks[i]), i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_returned_or_died_of_is_told),
        cmocka_unit_test(waiting_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(what_it_says_and_hears_goes_through_pipes),
        cmocka_unit_test(what_cannot_be_is_an_error_and_leaves_nothing),
        cmocka_unit_test(without_a_runtime_there_are_none),
        cmocka_unit_test(it_has_the_slices_of_any_process),
        cmocka_unit_test(many_at_once_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
