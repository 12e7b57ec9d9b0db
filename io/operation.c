/* SPDX-License-Identifier: MIT */
#include "weft/io/operation.h"

#include <signal.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/turn.h"
#include "weft/sched/park.h"

int weft_io_begin(int fd, enum weft_direction dir, uint64_t deadline,
                  struct weft_descriptor **out) {
    struct weft_poller *poller = weft_poller_current();
    struct weft_descriptor *d =
        poller == NULL ? NULL : weft_poller_find(poller, fd);
    if (WEFT_UNLIKELY(d == NULL)) {
        return -EBADF;
    }
    *out = d;
    if (dir != WEFT_USING) {
        /* A task whose descriptors are always ready never waits: without
         * signals this is where its quantum ends. */
        weft_check();
    }
    int error = weft_poller_enter(d, dir);
    return WEFT_LIKELY(error != -EBUSY) ? error
                                        : weft_turn_take(d, dir, deadline);
}

void weft_io_end(struct weft_descriptor *d, enum weft_direction dir) {
    while (WEFT_UNLIKELY(!weft_poller_leave(d, dir))) {
        if (weft_turn_pass(d, dir)) {
            return;
        }
    }
}

int weft_io_wait_ready(struct weft_descriptor *d, enum weft_direction dir,
                       uint64_t deadline) {
    static const char *const why[] = {"a descriptor to read",
                                      "a descriptor to write"};
    struct weft_task *self = weft_self();
    if (self == NULL) {
        return -EPERM;
    }
    int error = weft_poller_arm(d, dir, self);
    if (error != 0 && error != -EALREADY) {
        return error;
    }
    if (error == -EALREADY) {
        if (dir == WEFT_READING) {
            weft_poller_set_dry(d, false);
        }
        return 0;
    }
    /* A token left over from an earlier wait is no reason to try again. */
    do {
        error = weft_park(deadline, why[dir]);
        if (error != 0 && weft_poller_disarm(d, dir, self)) {
            return error;
        }
    } while (weft_poller_armed(d, dir, self));
    if (dir == WEFT_READING) {
        weft_poller_set_dry(d, false);
    }
    /* Taken out by an edge or by a close, which may have come together with the
     * deadline: then what is there is still taken. */
    return weft_poller_closing(d) ? -EBADF : 0;
}

int weft_io_hand_out(int fd, enum weft_descriptor_kind kind) {
    struct weft_poller *poller = weft_poller_current();
    int error = poller == NULL ? -EPERM : weft_poller_add(poller, fd, kind);
    if (WEFT_UNLIKELY(error != 0)) {
        weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return error;
    }
    return fd;
}

int weft_io_hand_out_both(const int fds[2], enum weft_descriptor_kind kind,
                          int ends[2]) {
    int error = weft_io_hand_out(fds[0], kind);
    if (error < 0) {
        weft_syscall(SYS_close, fds[1], 0, 0, 0, 0, 0);
        return error;
    }
    error = weft_io_hand_out(fds[1], kind);
    if (error < 0) {
        weft_io_close(fds[0]);
        return error;
    }
    ends[0] = fds[0];
    ends[1] = fds[1];
    return 0;
}

int weft_io_close(int fd) {
    struct weft_poller *poller = weft_poller_current();
    struct weft_descriptor *d =
        poller == NULL ? NULL : weft_poller_find(poller, fd);
    void *waiters[WEFT_DIRECTIONS];
    if (d == NULL || weft_poller_close(d, waiters) != 0) {
        return -EBADF;
    }
    for (int dir = 0; dir < WEFT_DIRECTIONS; dir++) {
        if (waiters[dir] != NULL) {
            weft_unpark(waiters[dir]);
        }
    }
    weft_turn_send_away(d);
    weft_io_end(d, WEFT_USING);
    return 0;
}

/* The kernel's sigset_t, whatever libc's looks like. */
#define KERNEL_SIGSET_SIZE 8
#define PIPE_ONLY          (1ULL << (SIGPIPE - 1))

void weft_io_quiet_begin(struct weft_io_quiet *quiet) {
    uint64_t pipe_only = PIPE_ONLY;
    weft_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&pipe_only,
                 (long)&quiet->before, KERNEL_SIGSET_SIZE, 0, 0);
    weft_syscall(SYS_rt_sigpending, (long)&quiet->pending, KERNEL_SIGSET_SIZE,
                 0, 0, 0, 0);
}

void weft_io_quiet_end(const struct weft_io_quiet *quiet, long result) {
    uint64_t pipe_only = PIPE_ONLY;
    const struct timespec at_once = {0};
    if (result == -EPIPE && (quiet->pending & pipe_only) == 0) {
        weft_syscall(SYS_rt_sigtimedwait, (long)&pipe_only, 0, (long)&at_once,
                     KERNEL_SIGSET_SIZE, 0, 0);
    }
    weft_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&quiet->before, 0,
                 KERNEL_SIGSET_SIZE, 0, 0);
}

int weft_io_wait_news(struct weft_descriptor *d, uint64_t deadline) {
    /* Who does not want to wait, or cannot, has nothing but the try. */
    if (!weft_poller_read_dry(d) || deadline == 0 || weft_self() == NULL) {
        return 0;
    }
    return weft_io_wait_ready(d, WEFT_READING, deadline);
}

#if WEFT_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void __tsan_read_range(void *address, unsigned long size);
void __tsan_write_range(void *address, unsigned long size);

/* What was written before a write is seen after the read that got it. As in
 * TSan's own wrappers all sockets and pipes are one. */
static char through_the_kernel;

void weft_io_gave(const void *data, size_t size) {
    __tsan_read_range((void *)data, size);
    __tsan_release(&through_the_kernel);
}

void weft_io_got(void *data, size_t size) {
    __tsan_acquire(&through_the_kernel);
    __tsan_write_range(data, size);
}
#elif WEFT_ASAN
void *__asan_region_is_poisoned(void *address, size_t size);

/* Touches the first byte that must not be touched, which reports it. */
static void touch(const void *data, size_t size) {
    const volatile char *bad = __asan_region_is_poisoned((void *)data, size);
    if (bad != NULL) {
        (void)*bad;
    }
}

void weft_io_gave(const void *data, size_t size) {
    touch(data, size);
}

void weft_io_got(void *data, size_t size) {
    touch(data, size);
}
#endif
