/* SPDX-License-Identifier: MIT */
/* The poller on kqueue, for macOS and the BSDs: two filters for each
 * descriptor, edge-triggered (EV_CLEAR), and a user event for kicks.
 *
 * UNVERIFIED: weft has not run on such a system. Here it is compiled, and its
 * conversation with the kernel checked, against a stand-in for kevent(2)
 * (poller_kqueue_test.c).
 *
 * There is no stable way round libc on macOS, so this uses its wrappers and
 * puts errno back as it found it. Urgent data has no event here (EVFILT_EXCEPT
 * is macOS's alone), so tells_ends is false. */
#if !defined(__linux__) || defined(WEFT_POLLER_KQUEUE_TEST)
#include <errno.h>
#include <stddef.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "poller_backend.h"
#include "weft/base/check.h"

/* kevent(2) with the negative errno as its answer. */
static int call(struct weft_poller *poller, const struct kevent *changes,
                int change_count, struct kevent *events, int room,
                const struct timespec *limit) {
    int saved = errno;
    int count = kevent(poller->fd, changes, change_count, events, room, limit);
    int result = count < 0 ? -errno : count;
    errno = saved;
    return result;
}

static int init(struct weft_poller *poller) {
    int saved = errno;
    poller->fd = kqueue();
    int error = poller->fd < 0 ? -errno : 0;
    errno = saved;
    if (error != 0) {
        return error;
    }
    struct kevent change;
    EV_SET(&change, 0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0,
           (void *)(uintptr_t)WEFT_POLLER_KICK);
    error = call(poller, &change, 1, NULL, 0, NULL);
    if (error < 0) {
        close(poller->fd);
        return error;
    }
    return 0;
}

static void fini(struct weft_poller *poller) {
    close(poller->fd);
}

/* A regular file would always be ready: it is refused, as epoll does. */
static int refuses(int fd) {
    struct stat status;
    int saved = errno;
    int error = fstat(fd, &status) != 0                              ? -errno
                : S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM
                                                                     : 0;
    errno = saved;
    return error;
}

static int add(struct weft_poller *poller, int fd, uint64_t key,
               enum weft_descriptor_kind kind) {
    struct kevent changes[2], answers[2];
    void *udata = (void *)(uintptr_t)key;
    int error = kind == WEFT_DESCRIPTOR_OTHER ? refuses(fd) : 0;
    if (error != 0) {
        return error;
    }
    /* EV_RECEIPT: each change is answered, and no event is taken. */
    EV_SET(&changes[0], (uintptr_t)fd, EVFILT_READ,
           EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, udata);
    EV_SET(&changes[1], (uintptr_t)fd, EVFILT_WRITE,
           EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, udata);
    int count = call(poller, changes, 2, answers, 2, NULL);
    if (count < 0) {
        return count;
    }
    /* One end of a pipe has only one of them. */
    error = -EBADF;
    for (int i = 0; i < count; i++) {
        if (answers[i].data == 0) {
            return 0;
        }
        error = -(int)answers[i].data;
    }
    return error;
}

/* close(2) does it too, unless the open file lives on (dup, fork). */
static void take_out(struct weft_poller *poller, int fd, uint64_t key) {
    struct kevent changes[2], answers[2];
    void *udata = (void *)(uintptr_t)key;
    EV_SET(&changes[0], (uintptr_t)fd, EVFILT_READ, EV_DELETE | EV_RECEIPT, 0,
           0, udata);
    EV_SET(&changes[1], (uintptr_t)fd, EVFILT_WRITE, EV_DELETE | EV_RECEIPT, 0,
           0, udata);
    (void)call(poller, changes, 2, answers, 2, NULL);
}

static uint32_t meaning_of(const struct kevent *event) {
    uint32_t what =
        event->filter == EVFILT_WRITE ? WEFT_EVENT_WRITE : WEFT_EVENT_READ;
    if ((event->flags & (EV_EOF | EV_ERROR)) != 0) {
        what |= WEFT_EVENT_READ | WEFT_EVENT_ENDS;
    }
    return what;
}

static int wait(struct weft_poller *poller, uint64_t deadline,
                struct weft_poller_event *out, int room) {
    struct kevent events[WEFT_POLLER_EVENTS];
    struct timespec limit = {0};
    if (deadline != 0 && deadline != WEFT_FOREVER) {
        uint64_t now = weft_clock_now();
        limit = weft_ns_timespec(deadline > now ? deadline - now : 0);
    }
    int count = call(poller, NULL, 0, events, room,
                     deadline == WEFT_FOREVER ? NULL : &limit);
    WEFT_CHECK(count >= 0 || count == -EINTR);
    for (int i = 0; i < count; i++) {
        out[i].key = (uint64_t)(uintptr_t)events[i].udata;
        out[i].what = meaning_of(&events[i]);
    }
    return count > 0 ? count : 0;
}

static void kick(struct weft_poller *poller) {
    struct kevent change;
    EV_SET(&change, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0,
           (void *)(uintptr_t)WEFT_POLLER_KICK);
    while (call(poller, &change, 1, NULL, 0, NULL) == -EINTR) {
    }
}

const struct weft_poller_backend weft_poller_kqueue = {
    .kind = WEFT_POLLER_KQUEUE,
    .tells_ends = false,
    .init = init,
    .fini = fini,
    .add = add,
    .remove = take_out,
    .wait = wait,
    .kick = kick,
};
#endif
