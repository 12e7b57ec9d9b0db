/* SPDX-License-Identifier: MIT */
/* The poller on epoll: one of them, and an eventfd for kicks.
 *
 * Rejected: level-triggered (an epoll_ctl for each wait); skipping the
 * eventfd's write while a kick is on its way (the thread that set the flag may
 * have been stopped by the kernel just before its write); reading the eventfd
 * (edge-triggered, each write is an edge, and 2^64 of them take a while). */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "poller_backend.h"
#include "weft/base/check.h"
#include "weft/base/syscall.h"

/* After one of these a short read says nothing. */
#define ENDS (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

WEFT_TEXT static int control(struct weft_poller *poller, int what, int fd,
                             uint32_t events, uint64_t key) {
    struct epoll_event event = {.events = events, .data.u64 = key};
    return (int)weft_syscall(SYS_epoll_ctl, poller->fd, what, fd, (long)&event,
                             0, 0);
}

static int init(struct weft_poller *poller) {
    int error =
        (int)weft_syscall(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
    if (error < 0) {
        return error;
    }
    poller->fd = error;
    error = (int)weft_syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0,
                              0, 0);
    if (error >= 0) {
        poller->event_fd = error;
        error = control(poller, EPOLL_CTL_ADD, poller->event_fd,
                        EPOLLIN | EPOLLET, WEFT_POLLER_KICK);
        if (error == 0) {
            return 0;
        }
        weft_syscall(SYS_close, poller->event_fd, 0, 0, 0, 0, 0);
    }
    weft_syscall(SYS_close, poller->fd, 0, 0, 0, 0, 0);
    return error;
}

static void fini(struct weft_poller *poller) {
    weft_syscall(SYS_close, poller->event_fd, 0, 0, 0, 0, 0);
    weft_syscall(SYS_close, poller->fd, 0, 0, 0, 0, 0);
}

WEFT_TEXT static int add(struct weft_poller *poller, int fd, uint64_t key,
                         enum weft_descriptor_kind kind) {
    return control(poller, EPOLL_CTL_ADD, fd,
                   EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET |
                       (kind == WEFT_DESCRIPTOR_TCP ? EPOLLPRI : 0),
                   key);
}

/* Needed where the open file lives on under another number (dup, fork). */
WEFT_TEXT static void take_out(struct weft_poller *poller, int fd,
                               uint64_t key) {
    control(poller, EPOLL_CTL_DEL, fd, 0, key);
}

/* epoll_wait with a deadline. Returns the number of events, 0 for anything but
 * events. */
WEFT_TEXT static int wait_events(struct weft_poller *poller, uint64_t deadline,
                                 struct epoll_event *events, int room) {
    struct timespec limit = {0};
    uint64_t left = 0;
    if (deadline != 0 && deadline != WEFT_FOREVER) {
        uint64_t now = weft_clock_now();
        left = deadline > now ? deadline - now : 0;
        limit = weft_ns_timespec(left);
    }
    long count = -ENOSYS;
    if (WEFT_LIKELY(atomic_load_explicit(&poller->milliseconds_only,
                                         memory_order_relaxed) == 0)) {
        count = weft_syscall(SYS_epoll_pwait2, poller->fd, (long)events, room,
                             deadline == WEFT_FOREVER ? 0 : (long)&limit, 0, 0);
    }
    /* -EPERM is a container's, whose filter is older than the call. */
    if (WEFT_UNLIKELY(count == -ENOSYS || count == -EPERM)) {
        atomic_store_explicit(&poller->milliseconds_only, 1,
                              memory_order_relaxed);
        /* Rounded up: a deadline is never early. */
        uint64_t ms = left / WEFT_MS + (left % WEFT_MS != 0);
        long timeout = deadline == WEFT_FOREVER ? -1
                       : ms > INT_MAX           ? INT_MAX
                                                : (long)ms;
        count = weft_syscall(SYS_epoll_pwait, poller->fd, (long)events, room,
                             timeout, 0, 0);
    }
    WEFT_CHECK(count >= 0 || count == -EINTR);
    return count > 0 ? (int)count : 0;
}

WEFT_TEXT static int wait(struct weft_poller *poller, uint64_t deadline,
                          struct weft_poller_event *out, int room) {
    struct epoll_event events[WEFT_POLLER_EVENTS];
    int count = wait_events(poller, deadline, events, room);
    for (int i = 0; i < count; i++) {
        uint32_t is = events[i].events;
        uint32_t what = 0;
        if ((is & ENDS) != 0) {
            what |= WEFT_EVENT_ENDS | WEFT_EVENT_READ;
        }
        if ((is & EPOLLIN) != 0) {
            what |= WEFT_EVENT_READ;
        }
        if ((is & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
            what |= WEFT_EVENT_WRITE;
        }
        out[i].key = events[i].data.u64;
        out[i].what = what;
    }
    return count;
}

WEFT_TEXT static void kick(struct weft_poller *poller) {
    uint64_t one = 1;
    weft_syscall(SYS_write, poller->event_fd, (long)&one, sizeof(one), 0, 0, 0);
}

const struct weft_poller_backend weft_poller_epoll = {
    .kind = WEFT_POLLER_EPOLL,
    .tells_ends = true,
    .init = init,
    .fini = fini,
    .add = add,
    .remove = take_out,
    .wait = wait,
    .kick = kick,
};
