/* SPDX-License-Identifier: MIT */
/* Other processes: fork and exec, posix_spawn, system, popen. The children say
 * their number by their exit status or on a pipe. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"

extern char **environ;

static void check_exit(pid_t child, int expected) {
    int status;
    pid_t gone;
    WEFT_CHECK_OP(child, >, 0);
    do {
        gone = waitpid(child, &status, 0);
    } while (gone == -1 && errno == EINTR);
    WEFT_CHECK_OP(gone, ==, child);
    WEFT_CHECK(WIFEXITED(status));
    WEFT_CHECK_OP(WEXITSTATUS(status), ==, expected);
}

static void write_command(struct storm_task *self, const char *format,
                          char text[32], int *number) {
    *number = 1 + (int)(self->index % 100);
    snprintf(text, 32, format, *number);
}

/* A child that is forked while other threads run may hang in an emulator. */
static bool may_fork(void) {
    return !storm_is_emulated();
}

static void fork_and_exec(struct storm_task *self) {
    char command[32];
    int number;
    write_command(self, "exit %d", command, &number);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    check_exit(child, number);
}

STORM_KIND(fork_exec, fork_and_exec, may_fork, NULL);

static void spawn(struct storm_task *self) {
    char command[32];
    int number;
    pid_t child;
    write_command(self, "exit %d", command, &number);
    char *const argv[] = {"sh", "-c", command, NULL};
    WEFT_CHECK_OP(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ), ==,
                  0);
    check_exit(child, number);
}

STORM_KIND(posix_spawn, spawn, may_fork, NULL);

static void call_shell(struct storm_task *self) {
    char command[32];
    int number, said = 0;
    if (self->rounds % 2 == 0) {
        write_command(self, "exit %d", command, &number);
        int status = system(command);
        WEFT_CHECK(WIFEXITED(status));
        WEFT_CHECK_OP(WEXITSTATUS(status), ==, number);
        return;
    }
    write_command(self, "echo %d", command, &number);
    FILE *pipe = popen(command, "r");
    WEFT_CHECK_OP(pipe, !=, NULL);
    WEFT_CHECK_OP(fscanf(pipe, "%d", &said), ==, 1);
    WEFT_CHECK_OP(said, ==, number);
    WEFT_CHECK_OP(pclose(pipe), ==, 0);
}

STORM_KIND(system_popen, call_shell, may_fork, NULL);
