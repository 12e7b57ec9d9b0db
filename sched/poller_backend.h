/* SPDX-License-Identifier: MIT */
/* What the poller asks of a kernel, and who answers: poller_epoll.c,
 * poller_uring.c, poller_kqueue.c. The poller has the records, the waiters and
 * the protocol; a backend has one object of the kernel and no record.
 *
 * Always true: a descriptor that was added is watched for both directions until
 * it is removed, and each change of its readiness makes an event at or after
 * the change (edge-triggered; more of them than changes are allowed, fewer are
 * not). One that is ready when it is added makes one at once. */
#ifndef WEFT_SCHED_POLLER_BACKEND_H_
#define WEFT_SCHED_POLLER_BACKEND_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sched/poller.h"

/* The key of a kick's event; no descriptor has the number -1. */
#define WEFT_POLLER_KICK UINT64_MAX

/* Events that are asked for at once, at most. */
#define WEFT_POLLER_EVENTS 64

/* Bits of weft_poller_event.what. */
enum {
    WEFT_EVENT_READ = 1,  /* a read may find something, an end or an error */
    WEFT_EVENT_WRITE = 2, /* so may a write */
    WEFT_EVENT_ENDS = 4,  /* an end, an error or urgent data was among it */
    WEFT_EVENT_GONE = 8,  /* the kernel watches it no more: add it again */
};

struct weft_poller_event {
    uint64_t key; /* what it was added with, or WEFT_POLLER_KICK */
    uint32_t what;
};

/* Context of all but init and fini: any thread, several at once; in the
 * runtime's text, without libc. Errors are negative errno values. */
struct weft_poller_backend {
    enum weft_poller_kind kind;
    /* ENDS comes, also for urgent data, with or before the event of the bytes
     * that a read would stop short at. */
    bool tells_ends;
    /* Makes poller->fd and what else it needs. -ENOSYS, -EPERM, -EINVAL and the
     * like where the kernel will not; -EMFILE, -ENFILE, -ENOMEM are final. */
    int (*init)(struct weft_poller *poller);
    void (*fini)(struct weft_poller *poller);
    /* Errors as of weft_poller_add(). */
    int (*add)(struct weft_poller *poller, int fd, uint64_t key,
               enum weft_descriptor_kind kind);
    /* Before close(2); the kernel holds nothing of `fd` after it, or lets go
     * of it soon. Events of the key may still come. */
    void (*remove)(struct weft_poller *poller, int fd, uint64_t key);
    /* Fills `events` (room for `room`, 1 to WEFT_POLLER_EVENTS) and returns how
     * many; 0 for anything else. A deadline of 0 just looks. */
    int (*wait)(struct weft_poller *poller, uint64_t deadline,
                struct weft_poller_event *events, int room);
    /* Makes one event with the key WEFT_POLLER_KICK. Anywhere, signal handlers
     * too. */
    void (*kick)(struct weft_poller *poller);
};

/* Those that this system's headers know. */
#ifdef __linux__
extern const struct weft_poller_backend weft_poller_epoll;
extern const struct weft_poller_backend weft_poller_uring;
#else
extern const struct weft_poller_backend weft_poller_kqueue;
#endif

#endif
