/* SPDX-License-Identifier: MIT */
/* posix_spawn(3) and a pidfd in the poller. A pidfd is readable, once and for
 * all, when the process has ended, so waiting is an operation as operation.h
 * describes it: try waitid(2) without waiting, else wait for an edge.
 *
 * Always true: between the start and the pidfd nobody waits for the child but
 * this thread, so its number is its own (unless the program waits for any child
 * at all, or ignores SIGCHLD: then pidfd_open(2) may say -ESRCH).
 *
 * Rejected: fork(2) and exec by hand: between them only a few calls are allowed
 * in a process of many threads, and posix_spawn() makes no copy of the page
 * tables. Waiting in weft_blocking(): it holds a thread, and cannot be ended.
 */
#define _GNU_SOURCE
#include "weft/io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/base/slice.h"
#include "weft/base/syscall.h"
#include "weft/io/operation.h"
#include "weft/sched/task.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* waitid(2): the process that a descriptor stands for. */
#define BY_DESCRIPTOR 3

/* How a process is started. */
struct start {
    char *const *words;
    const struct weft_process_options *options;
    int copies[3]; /* what it shall have as 0 to 2; -1: as it is */
    pid_t id;
    int result; /* the pidfd, or the error */
};

/* Copies the descriptors out of the way of 0 to 2, so that they may be
 * exchanged; few programs expect one that is non-blocking. Returns 0 or an
 * errno value. */
static int copy_descriptors(struct start *s) {
    const int *fds = s->options->fds;
    for (int i = 0; i < 3 && fds != NULL; i++) {
        if (fds[i] >= 0) {
            s->copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
            if (s->copies[i] < 0) {
                return errno;
            }
            int flags = fcntl(s->copies[i], F_GETFL);
            if ((flags & O_NONBLOCK) != 0) {
                fcntl(s->copies[i], F_SETFL, flags & ~O_NONBLOCK);
            }
        }
    }
    return 0;
}

/* Returns 0 or an errno value, with `s->id`. The child would inherit the slices
 * of a thread that runs tasks, the shortest there are. */
static int spawn(struct start *s) {
    posix_spawn_file_actions_t actions;
    const struct weft_process_options *options = s->options;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    for (int i = 0; i < 3 && error == 0; i++) {
        if (s->copies[i] >= 0) {
            error = posix_spawn_file_actions_adddup2(&actions, s->copies[i], i);
        }
    }
    if (error == 0 && options->directory != NULL) {
        error =
            posix_spawn_file_actions_addchdir_np(&actions, options->directory);
    }
    if (error == 0) {
        uint64_t slice = weft_thread_slice_is();
        weft_thread_slice(0);
        error = posix_spawnp(
            &s->id, s->words[0], &actions, NULL, s->words,
            options->environment != NULL ? options->environment : environ);
        weft_thread_slice(slice);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Ends a process that nobody will ever know of. */
static void *undo(void *arg) {
    struct start *s = arg;
    kill(s->id, SIGKILL);
    while (waitpid(s->id, NULL, 0) < 0 && errno == EINTR) {
    }
    return NULL;
}

static void *start(void *arg) {
    struct start *s = arg;
    int error = copy_descriptors(s);
    if (error == 0) {
        error = spawn(s);
    }
    for (int i = 0; i < 3; i++) {
        if (s->copies[i] >= 0) {
            close(s->copies[i]);
        }
    }
    if (error != 0) {
        s->result = -error;
        return NULL;
    }
    s->result = (int)weft_syscall(SYS_pidfd_open, s->id, 0, 0, 0, 0, 0);
    if (s->result == -ESRCH) {
        s->result = -ECHILD; /* gone; its number may be another's */
    } else if (s->result < 0) {
        undo(s);
    }
    return NULL;
}

int weft_process_spawn(char *const *words,
                       const struct weft_process_options *options, pid_t *id) {
    static const struct weft_process_options none;
    struct start s = {.words = words,
                      .options = options != NULL ? options : &none,
                      .copies = {-1, -1, -1}};
    if (words == NULL || words[0] == NULL) {
        return -EINVAL;
    }
    if (weft_poller_current() == NULL) {
        return -EPERM;
    }
    weft_blocking(start, &s);
    if (s.result < 0) {
        return s.result;
    }
    int fd = weft_io_hand_out(s.result, WEFT_DESCRIPTOR_OTHER);
    if (fd < 0) {
        weft_blocking(undo, &s);
    } else if (id != NULL) {
        *id = s.id;
    }
    return fd;
}

int weft_process_wait(int fd, int *status, uint64_t deadline) {
    struct weft_descriptor *d;
    siginfo_t info;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (result != 0) {
        return (int)result;
    }
    do {
        memset(&info, 0, sizeof(info));
        result = weft_syscall(SYS_waitid, BY_DESCRIPTOR, fd, (long)&info,
                              WEXITED | WNOHANG, 0, 0);
        if (result == 0 && info.si_pid == 0) {
            result = -EAGAIN; /* it runs */
        }
    } while (weft_io_again(d, WEFT_READING, deadline, &result));
    weft_io_end(d, WEFT_READING);
    if (result == 0 && status != NULL) {
        *status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    }
    return (int)result;
}

int weft_process_kill(int fd, int number) {
    struct weft_descriptor *d;
    int error = weft_io_begin(fd, WEFT_USING, 0, &d);
    if (error == 0) {
        error =
            (int)weft_syscall(SYS_pidfd_send_signal, fd, number, 0, 0, 0, 0);
        weft_io_end(d, WEFT_USING);
    }
    return error;
}
