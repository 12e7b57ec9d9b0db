/* SPDX-License-Identifier: MIT */
/* The poller on io_uring: a multishot poll for each descriptor, one ring for
 * all threads, by three system calls and two mappings. For programs that
 * measure a gain; docs/scheduler.md has what was measured here, and why it is
 * not the default.
 *
 * Always true: the entries for the kernel are written under `lock`, one at a
 * time, and handed over at once; a holder is in the runtime's text, so it is
 * not preempted. Answers are taken without a lock: a thread copies some, then
 * moves the head past them by a compare-and-swap; what it copied is good if the
 * head had not moved, since the kernel writes to no entry between head and
 * tail.
 *
 * Three things differ from epoll:
 *   whose    The kernel makes the answer on the thread that added the
 *            descriptor: it interrupts a computation and wakes a sleeper for
 *            it. It takes the poll back when that thread ends; the descriptor
 *            is then added again (GONE), by who reads of it.
 *   how many Each wake of a descriptor is an answer, whether anybody looks or
 *            not. When the ring is full the poll ends, GONE as well, and the
 *            kernel keeps what did not fit until it is asked.
 *   urgent   The kernel says "data or urgent data" of any data, so urgent data
 *            is not asked for, and tells_ends is false: a read after a short
 *            one tries before it waits.
 * A poll holds the open file, so close(2) alone would end nothing: remove()
 * takes the poll back first. Where another thread added it, the kernel lets go
 * of the file when that thread has been there.
 *
 * A kick puts an answer into the ring from outside (SEND_MSG_RING, Linux 6.13),
 * which takes no entry, no lock and no descriptor: it may come from a signal
 * handler. Older kernels get epoll.
 *
 * Rejected: liburing (a dependency for three calls); a read of an eventfd as
 * the kick (its answer, too, would be made on the thread that asked for it,
 * which may compute or sleep elsewhere); DEFER_TASKRUN and a ring for each
 * worker (a worker that is blocked or preempted would keep the news from all
 * others); COOP_TASKRUN (no interruption: news waits until the thread that
 * computes enters the kernel by itself, a scheduler's tick later); SQPOLL (a
 * kernel thread that spins on a CPU). */
#include <errno.h>
#include <linux/io_uring.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "poller_backend.h"
#include "weft/base/check.h"
#include "weft/base/lock.h"
#include "weft/base/syscall.h"

/* Newer than Debian 12's headers, which are of Linux 6.1. */
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif
#ifndef IORING_ENTER_ABS_TIMER
#define IORING_ENTER_ABS_TIMER (1U << 5)
#endif
#define REGISTER_SEND_MSG_RING 31

#ifndef WEFT_URING_SETUP
#define WEFT_URING_SETUP 0
#endif

#define ENTRIES 8 /* one is used at a time */
#define ANSWERS 4096

struct ring {
    struct weft_lock lock;        /* of the next two */
    _Atomic uint32_t *sq_tail;    /* under lock; the kernel reads it */
    struct io_uring_sqe *entries; /* under lock */
    /* Any thread, atomic, the kernel too. */
    _Atomic uint32_t *sq_flags;
    _Atomic uint32_t *cq_head, *cq_tail;
    const struct io_uring_cqe *answers; /* the kernel writes: see above */
    /* Fixed after init. */
    uint32_t sq_mask, cq_mask;
    void *map;
    size_t map_size, entries_size;
};

WEFT_TEXT static long enter(struct weft_poller *poller, unsigned submit,
                            unsigned least, unsigned flags,
                            struct io_uring_getevents_arg *arg) {
    return weft_syscall(SYS_io_uring_enter, poller->fd, submit, least, flags,
                        (long)arg, arg != NULL ? sizeof(*arg) : 0);
}

WEFT_TEXT static long call_register(int fd, unsigned what, void *arg) {
    return weft_syscall(SYS_io_uring_register, fd, what, (long)arg, 1, 0, 0);
}

WEFT_TEXT static uint32_t meaning_of(const struct io_uring_cqe *answer) {
    uint32_t what =
        (answer->flags & IORING_CQE_F_MORE) == 0 ? WEFT_EVENT_GONE : 0;
    if (answer->res == -ECANCELED) {
        return what;
    }
    if (answer->res < 0) {
        /* It cannot be polled after all: who tries learns why. */
        return WEFT_EVENT_READ | WEFT_EVENT_WRITE | WEFT_EVENT_ENDS;
    }
    uint32_t is = (uint32_t)answer->res;
    if ((is & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        what |= WEFT_EVENT_ENDS | WEFT_EVENT_READ;
    }
    if ((is & EPOLLIN) != 0) {
        what |= WEFT_EVENT_READ;
    }
    if ((is & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        what |= WEFT_EVENT_WRITE;
    }
    return what;
}

/* Takes answers that are there. */
WEFT_TEXT static int take(struct ring *r, struct weft_poller_event *events,
                          int room) {
    /* Acquire: pairs with the release in take(), below: a tail that is older
     * than the head of another thread would make a count of what is gone. */
    uint32_t head = atomic_load_explicit(r->cq_head, memory_order_acquire);
    uint32_t count;
    do {
        /* Acquire: pairs with the kernel's release, after it wrote them. */
        uint32_t tail = atomic_load_explicit(r->cq_tail, memory_order_acquire);
        count = tail - head;
        count = count < (uint32_t)room ? count : (uint32_t)room;
        if (count == 0) {
            return 0;
        }
        for (uint32_t i = 0; i < count; i++) {
            const struct io_uring_cqe *a = &r->answers[(head + i) & r->cq_mask];
            events[i].key = a->user_data;
            events[i].what = meaning_of(a);
        }
        /* Release: pairs with the kernel's acquire, before it writes there
         * again, and with the acquire in take(), above. Acquire on failure: as
         * the first load. */
    } while (!atomic_compare_exchange_weak_explicit(
        r->cq_head, &head, head + count, memory_order_release,
        memory_order_acquire));
    return (int)count;
}

WEFT_TEXT static int wait(struct weft_poller *poller, uint64_t deadline,
                          struct weft_poller_event *events, int room) {
    struct ring *r = poller->own;
    int count = take(r, events, room);
    if (count > 0) {
        return count;
    }
    long result;
    if (deadline == 0) {
        if ((atomic_load_explicit(r->sq_flags, memory_order_relaxed) &
             (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) == 0) {
            return 0;
        }
        result = enter(poller, 0, 0, IORING_ENTER_GETEVENTS, NULL);
    } else {
        struct timespec limit = weft_ns_timespec(deadline);
        struct __kernel_timespec until = {limit.tv_sec, limit.tv_nsec};
        struct io_uring_getevents_arg arg = {
            .ts = deadline == WEFT_FOREVER ? 0 : (uintptr_t)&until,
        };
        result = enter(poller, 0, 1,
                       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG |
                           IORING_ENTER_ABS_TIMER,
                       &arg);
    }
    WEFT_CHECK(result >= 0 || result == -EINTR || result == -ETIME);
    return take(r, events, room);
}

WEFT_TEXT static void kick(struct weft_poller *poller) {
    struct io_uring_sqe message = {
        .opcode = IORING_OP_MSG_RING,
        .fd = poller->fd,
        .off = WEFT_POLLER_KICK, /* what the answer carries */
    };
    while (call_register(-1, REGISTER_SEND_MSG_RING, &message) == -EINTR) {
    }
}

/* Can it be polled at all? The kernel answers for epoll, and says the same. */
WEFT_TEXT static int probe(struct weft_poller *poller, int fd) {
    struct epoll_event nothing = {0};
    int error = (int)weft_syscall(SYS_epoll_ctl, poller->event_fd,
                                  EPOLL_CTL_ADD, fd, (long)&nothing, 0, 0);
    if (error == 0) {
        weft_syscall(SYS_epoll_ctl, poller->event_fd, EPOLL_CTL_DEL, fd, 0, 0,
                     0);
    }
    return error;
}

WEFT_TEXT static int add(struct weft_poller *poller, int fd, uint64_t key,
                         enum weft_descriptor_kind kind) {
    struct ring *r = poller->own;
    int error = kind == WEFT_DESCRIPTOR_OTHER ? probe(poller, fd) : 0;
    if (error != 0) {
        return error;
    }
    weft_lock_acquire(&r->lock);
    uint32_t tail = atomic_load_explicit(r->sq_tail, memory_order_relaxed);
    struct io_uring_sqe *entry = &r->entries[tail & r->sq_mask];
    /* Its other fields are 0 and stay so. */
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = fd;
    entry->len = IORING_POLL_ADD_MULTI;
    entry->poll32_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    entry->user_data = key;
    /* Release: pairs with the kernel's acquire. */
    atomic_store_explicit(r->sq_tail, tail + 1, memory_order_release);
    long result;
    do {
        result = enter(poller, 1, 0, 0, NULL);
    } while (result == -EINTR);
    if (result != 1) {
        /* The kernel has not taken it. Relaxed: nobody reads it. */
        atomic_store_explicit(r->sq_tail, tail, memory_order_relaxed);
    }
    weft_lock_release(&r->lock);
    return result == 1                        ? 0
           : result == 0 || result == -EAGAIN ? -ENOMEM
                                              : (int)result;
}

WEFT_TEXT static void cancel(struct weft_poller *poller, uint64_t key,
                             unsigned flags) {
    struct io_uring_sync_cancel_reg what = {
        .addr = key,
        .fd = -1,
        .flags = flags,
        .timeout = {-1, -1},
    };
    /* -ENOENT: it has ended by itself. */
    while (call_register(poller->fd, IORING_REGISTER_SYNC_CANCEL, &what) ==
           -EINTR) {
    }
}

WEFT_TEXT static void take_back(struct weft_poller *poller, int fd,
                                uint64_t key) {
    (void)fd;
    cancel(poller, key, 0);
}

/* Maps what `p` says the kernel has made. */
static int map_ring(struct weft_poller *poller, struct ring *r,
                    const struct io_uring_params *p) {
    int access = PROT_READ | PROT_WRITE;
    r->entries_size = p->sq_entries * sizeof(struct io_uring_sqe);
    r->map_size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    char *map = mmap(NULL, r->map_size, access, MAP_SHARED | MAP_POPULATE,
                     poller->fd, IORING_OFF_SQ_RING);
    if (map == MAP_FAILED) {
        return -ENOMEM;
    }
    void *entries =
        mmap(NULL, r->entries_size, access, MAP_SHARED | MAP_POPULATE,
             poller->fd, IORING_OFF_SQES);
    if (entries == MAP_FAILED) {
        munmap(map, r->map_size);
        return -ENOMEM;
    }
    r->map = map;
    r->entries = entries;
    r->sq_tail = (_Atomic uint32_t *)(map + p->sq_off.tail);
    r->sq_flags = (_Atomic uint32_t *)(map + p->sq_off.flags);
    r->cq_head = (_Atomic uint32_t *)(map + p->cq_off.head);
    r->cq_tail = (_Atomic uint32_t *)(map + p->cq_off.tail);
    r->answers = (struct io_uring_cqe *)(map + p->cq_off.cqes);
    r->sq_mask = p->sq_entries - 1;
    r->cq_mask = p->cq_entries - 1;
    return 0;
}

static void unmap_ring(struct ring *r) {
    munmap(r->entries, r->entries_size);
    munmap(r->map, r->map_size);
}

static void fini(struct weft_poller *poller) {
    struct ring *r = poller->own;
    /* Descriptors that stay open are nobody's but their owner's. */
    cancel(poller, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    unmap_ring(r);
    munmap(r, sizeof(*r));
    weft_syscall(SYS_close, poller->event_fd, 0, 0, 0, 0, 0);
    weft_syscall(SYS_close, poller->fd, 0, 0, 0, 0, 0);
}

static int init(struct weft_poller *poller) {
    struct ring *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED) {
        return -ENOMEM;
    }
    poller->own = r;
    struct io_uring_params p = {
        .flags =
            IORING_SETUP_NO_SQARRAY | IORING_SETUP_CQSIZE | WEFT_URING_SETUP,
        .cq_entries = ANSWERS,
    };
    int error =
        (int)weft_syscall(SYS_io_uring_setup, ENTRIES, (long)&p, 0, 0, 0, 0);
    if (error < 0) {
        goto unmap;
    }
    poller->fd = error;
    error = (int)weft_syscall(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
    if (error < 0) {
        goto close_ring;
    }
    poller->event_fd = error;
    error = map_ring(poller, r, &p);
    if (error < 0) {
        goto close_probe;
    }
    /* Does this kernel know how to kick? */
    struct weft_poller_event event = {0};
    kick(poller);
    if (take(r, &event, 1) == 1 && event.key == WEFT_POLLER_KICK) {
        return 0;
    }
    error = -ENOSYS;
    unmap_ring(r);
close_probe:
    weft_syscall(SYS_close, poller->event_fd, 0, 0, 0, 0, 0);
close_ring:
    weft_syscall(SYS_close, poller->fd, 0, 0, 0, 0, 0);
unmap:
    munmap(r, sizeof(*r));
    poller->own = NULL;
    poller->fd = poller->event_fd = -1;
    return error;
}

const struct weft_poller_backend weft_poller_uring = {
    .kind = WEFT_POLLER_URING,
    .tells_ends = false,
    .init = init,
    .fini = fini,
    .add = add,
    .remove = take_back,
    .wait = wait,
    .kick = kick,
};
