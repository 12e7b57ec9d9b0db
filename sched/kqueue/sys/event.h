/* SPDX-License-Identifier: MIT */
/* A stand-in for <sys/event.h> where there is none: what poller_kqueue.c uses
 * of kevent(2), as the manual pages of FreeBSD and macOS have it. For
 * poller_kqueue_test.c, which is the kernel; the numbers are its own. */
#ifndef WEFT_SCHED_KQUEUE_SYS_EVENT_H_
#define WEFT_SCHED_KQUEUE_SYS_EVENT_H_

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    intptr_t data;
    void *udata;
};

#define EV_SET(kev, a, b, c, d, e, f)                  \
    (*(kev) = (struct kevent){.ident = (uintptr_t)(a), \
                              .filter = (int16_t)(b),  \
                              .flags = (uint16_t)(c),  \
                              .fflags = (uint32_t)(d), \
                              .data = (intptr_t)(e),   \
                              .udata = (f)})

enum {
    EVFILT_READ = -1,
    EVFILT_WRITE = -2,
    EVFILT_USER = -10,

    EV_ADD = 0x1,
    EV_DELETE = 0x2,
    EV_CLEAR = 0x20,
    EV_RECEIPT = 0x40,
    EV_ERROR = 0x4000,
    EV_EOF = 0x8000,

    NOTE_TRIGGER = 0x1000000,
};

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int change_count,
           struct kevent *events, int room, const struct timespec *limit);

#endif
