/* SPDX-License-Identifier: MIT */
/* Readiness of descriptors: who waits for which, and whom the kernel has news
 * for. It knows no task; a waiter is a pointer that is handed in by the one who
 * waits and handed back, at most once, by weft_poller_wait(). How the kernel is
 * asked is a backend's (poller_backend.h): epoll or io_uring, chosen at start.
 *
 * Each descriptor is registered once, edge-triggered, for both directions, and
 * has a record that is found by its number without a lock. A record is never
 * unmapped while the poller lives, and says by a generation when the number has
 * been used again.
 *
 * Always true, and what callers must do for it: every operation tries its
 * system call first and arms only after -EAGAIN; then no edge is missed, and
 * an edge that comes for nothing costs one more try. A read that found less
 * than it had room for may stand for that -EAGAIN where
 * weft_poller_read_dry() says so.
 *
 *     weft_poller_enter(d, dir)                    -> reference and direction
 *     for (;;) {
 *         try the system call; not -EAGAIN: break
 *         switch (weft_poller_arm(d, dir, me)) {
 *         -EALREADY: continue                      an edge came since the try
 *         -EBADF: break                            somebody closes it
 *         0: wait until !weft_poller_armed(d, dir, me), or weft_poller_disarm()
 *         }
 *     }
 *     weft_poller_leave(d, dir)                    maybe the last: closes it
 *
 * Short reads. TCP hands over all it has, so a read that came back with less
 * than its room left nothing, and what arrives later makes a new edge: the next
 * read may arm first, which saves it a read(2) that says -EAGAIN. Three things
 * break that rule: an end (FIN), an error and urgent data, at which a read
 * stops short. They may share their edge with the bytes before them, so an
 * event that shows one of them (EPOLLRDHUP, HUP, ERR, PRI) sets `ended` for
 * good, and every later read of that descriptor tries first:
 *
 *     deliver                              the reader
 *     1 ended = 1                          1 takes an edge out of the slot
 *     2 a CAS on the slot, also when it    2 reads, and comes back short
 *       is READY and stays so              3 next time: ended? yes: try
 *                                            no: arm
 *
 * What ended before step 2 of the reader was either in an event that was
 * delivered before step 1, then the slot carries `ended` over; or is in one
 * that is delivered after it, then arming says -EALREADY or is answered by it.
 * Not for sockets whose reads stop elsewhere: AF_UNIX (at descriptors and at
 * another writer's credentials), datagrams, pipes in packet mode, terminals;
 * nor for any that was made elsewhere, since nobody knows what it is.
 *
 * Model: Go's internal/poll fdMutex and runtime/netpoll pollDesc; Tokio's
 * readiness for the short reads. */
#ifndef WEFT_SCHED_POLLER_H_
#define WEFT_SCHED_POLLER_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/sched/runtime.h" /* enum weft_poller_kind */

#ifdef __cplusplus
#error "the poller is the runtime's own: C only"
#endif

/* What an operation on a descriptor is. */
enum weft_direction {
    WEFT_READING,
    WEFT_WRITING,
    WEFT_DIRECTIONS,
    /* Neither: only a reference (shutdown, options); never armed. */
    WEFT_USING = WEFT_DIRECTIONS,
};

/* Bits of weft_descriptor.state. */
#define WEFT_DESCRIPTOR_REFERENCE   1ULL
#define WEFT_DESCRIPTOR_REFERENCES  0xffffffULL
#define WEFT_DESCRIPTOR_OPEN        (1ULL << 24)
#define WEFT_DESCRIPTOR_CLOSING     (1ULL << 25)
#define WEFT_DESCRIPTOR_BUSY(dir)   (1ULL << (26 + (dir)))
#define WEFT_DESCRIPTOR_QUEUED(dir) (1ULL << (28 + (dir)))
#define WEFT_DESCRIPTOR_GENERATION  (1ULL << 32)

/* What weft_descriptor.kind says, for the layer above. */
enum weft_descriptor_kind {
    WEFT_DESCRIPTOR_TCP,    /* a TCP socket that weft made itself */
    WEFT_DESCRIPTOR_SOCKET, /* any other; all from here up are sockets */
    WEFT_DESCRIPTOR_PIPE,   /* also a FIFO with a name */
    WEFT_DESCRIPTOR_OTHER,  /* terminal, eventfd, ... */
};

/* One descriptor number. One line, so that an operation touches only that. */
struct weft_descriptor {
    /* Any thread, atomic: references (24 bits), OPEN, CLOSING, BUSY for each
     * direction, QUEUED for each direction (set and cleared by the layer above
     * under its own lock: somebody waits for BUSY to go), generation. */
    _Alignas(WEFT_CACHE_LINE) _Atomic uint64_t state;
    /* Any thread, atomic: EMPTY, READY, CLOSED or a waiter. */
    _Atomic(void *) slot[WEFT_DIRECTIONS];
    /* Fixed while open. */
    struct weft_poller *poller;
    int fd;
    enum weft_descriptor_kind kind;
    /* Fixed while open: `ended` is set before a short read could mislead. */
    bool tells_ends;
    /* Who entered for WEFT_READING: the last read left nothing behind, and no
     * edge has been taken since. */
    bool dry;
    /* Any thread, atomic; set before the edge is handed over, cleared when
     * registered: an end, an error or urgent data came once. */
    _Atomic uint8_t ended;
};

/* A line of its own for each counter: armed waiters of some descriptors. */
struct weft_poller_shard {
    _Alignas(WEFT_CACHE_LINE) _Atomic uint32_t waiting;
};

#define WEFT_POLLER_SHARDS 8
#define WEFT_POLLER_CHUNK  1024  /* records in a chunk: 64 KiB */
#define WEFT_POLLER_CHUNKS 16384 /* so that 16 M descriptors fit */

struct weft_poller_backend;

struct weft_poller {
    /* Fixed after init, but for the child of a fork(). */
    const struct weft_poller_backend *backend;
    /* Fixed after init. */
    int fd;       /* the kernel's half: an epoll, an io_uring, a kqueue */
    int event_fd; /* epoll: what a kick writes to; io_uring: see there */
    void *own;    /* the backend's, or NULL */
    /* Fixed after init: WEFT_POLLER_CHUNKS pointers, each set once by CAS. */
    _Atomic(struct weft_descriptor *) *chunks;
    /* Any thread, atomic: set by a kick, cleared by who returns for it. */
    _Atomic uint32_t kicked;
    /* Any thread, atomic: the kernel has no epoll_pwait2 (before 5.11). */
    _Atomic uint32_t milliseconds_only;
    struct weft_poller_shard shards[WEFT_POLLER_SHARDS];
};

/* Makes the poller ready, on the backend that `kind` asks for, or the one that
 * stands for it where the kernel forbids that: weft_poller_kind() tells. The
 * first poller alive also becomes what weft_poller_current() returns. Returns
 * 0, -EMFILE, -ENFILE, -ENOMEM. Context: any thread; does not block. */
int weft_poller_init(struct weft_poller *poller, enum weft_poller_kind kind);

/* Which backend it has, never AUTO. Context: any thread. */
enum weft_poller_kind weft_poller_kind(const struct weft_poller *poller);

/* What to ask for where `asked` was asked for: AUTO becomes what WEFT_POLLER
 * says in the environment, else the best one, epoll. A value that is none is
 * reported on standard error and passed over. Context: any thread while nobody
 * changes the environment. */
enum weft_poller_kind weft_poller_choose(enum weft_poller_kind asked);

/* Frees it. Nobody waits in it and no record of it is in use; descriptors that
 * are still open stay open, but weft forgets them.
 * Context: any thread; does not block. */
void weft_poller_fini(struct weft_poller *poller);

/* It is nobody's any more, but stays: threads may still be inside. The next
 * poller that is made becomes the current one. Context: any thread. */
void weft_poller_retire(struct weft_poller *poller);

/* In the child of a fork(): what the kernel holds for `poller` is the parent's,
 * who would hear no more of a descriptor that the child takes out of it. From
 * now on nobody asks the kernel: weft_poller_add() says -EPERM, no event comes,
 * and a close just closes. Context: the child's only thread. */
void weft_poller_forked(struct weft_poller *poller);

/* The poller of the running scheduler, or NULL. Context: any thread. */
struct weft_poller *weft_poller_current(void);

/* --- for the scheduler --------------------------------------------------- */

/* Waits until a descriptor that somebody is armed for is ready, a kick comes,
 * or `deadline` has passed (0: just looks; WEFT_FOREVER: no limit), takes the
 * waiters out and puts them into `waiters` (room for `max`, 2 and more).
 * Returns their number; 0 also for a kick, a signal, or an edge that nobody
 * waited for: callers loop over their own condition.
 * Several threads may be inside at once, looking or blocked; each event and
 * each kick goes to one of them.
 * Context: any thread, gate closed; blocks the thread; no allocation, no
 * thread-local, no errno. */
int weft_poller_wait(struct weft_poller *poller, uint64_t deadline,
                     void **waiters, int max);

/* Makes one thread that is blocked in weft_poller_wait() return, or, when none
 * is, the next that would block there: a kick is never lost, and never spent on
 * a call that just looks. Kicks that nobody has seen yet count as one. What the
 * caller wrote before it is seen by the thread that returns.
 * Context: anywhere, signal handlers too; does not block. */
void weft_poller_kick(struct weft_poller *poller);

/* How many waiters are armed, a snapshot (each descriptor's count is exact for
 * the thread that armed it). 0: no need to look.
 * Context: any thread; WEFT_POLLER_SHARDS loads. */
uint32_t weft_poller_waiting(const struct weft_poller *poller);

/* --- for the layer that waits (io) ---------------------------------------- */

/* Registers the open, non-blocking descriptor `fd`. Returns 0, -EEXIST when it
 * is registered already, -EPERM when it cannot be polled (a regular file),
 * -EBADF, -EMFILE (a number past 16 M), -ENOMEM, -ENOSPC
 * (fs.epoll.max_user_watches). Context: any thread. */
int weft_poller_add(struct weft_poller *poller, int fd,
                    enum weft_descriptor_kind kind);

/* The record of `fd`, or NULL when there has never been one. It may be closed
 * or stand for a newer descriptor of that number: weft_poller_enter() tells.
 * Context: any thread. */
static inline struct weft_descriptor *weft_poller_find(
    const struct weft_poller *poller, int fd) {
    unsigned number = (unsigned)fd;
    if (WEFT_UNLIKELY(number >= WEFT_POLLER_CHUNK * WEFT_POLLER_CHUNKS)) {
        return NULL;
    }
    /* Acquire: pairs with the release in record_of(). */
    struct weft_descriptor *chunk = atomic_load_explicit(
        &poller->chunks[number / WEFT_POLLER_CHUNK], memory_order_acquire);
    return WEFT_LIKELY(chunk != NULL) ? &chunk[number % WEFT_POLLER_CHUNK]
                                      : NULL;
}

/* Takes a reference and the direction `dir`, in which one operation at a time
 * may be; WEFT_USING takes the reference only. Returns 0, -EBADF when it is
 * not open or being closed, -EBUSY when the direction is taken.
 * Context: any thread. */
int weft_poller_enter(struct weft_descriptor *d, enum weft_direction dir);

/* Gives both back. Returns false, and does nothing, when QUEUED is set and
 * the descriptor is not being closed: the caller then passes reference and
 * direction on, or clears QUEUED and comes again. The last to leave a
 * descriptor that is being closed closes it. Context: who entered. */
bool weft_poller_leave(struct weft_descriptor *d, enum weft_direction dir);

/* Sets `waiter` (not NULL, aligned to 4 bytes) to be handed back by
 * weft_poller_wait() at the next edge. Arming again with the same waiter is
 * allowed. Returns 0; -EALREADY: an edge has come since the last time, try
 * again; -EBADF: it is being closed. Context: who entered in `dir`. */
int weft_poller_arm(struct weft_descriptor *d, enum weft_direction dir,
                    void *waiter);

/* Is `waiter` still armed? When not, somebody has taken it out, and a wake-up
 * for it is on its way or has come. Context: any thread. */
bool weft_poller_armed(const struct weft_descriptor *d, enum weft_direction dir,
                       const void *waiter);

/* Takes `waiter` out again. False: it has been taken out already, a wake-up for
 * it is on its way or has come. Context: who armed it. */
bool weft_poller_disarm(struct weft_descriptor *d, enum weft_direction dir,
                        void *waiter);

/* Notes that a read left nothing behind (`dry`), or that this is not known.
 * Context: who entered for WEFT_READING. */
static inline void weft_poller_set_dry(struct weft_descriptor *d, bool dry) {
    d->dry = dry && d->tells_ends;
}

/* Whether a read would find nothing unless an edge comes, or has come, that
 * weft_poller_arm() tells of: arming may go first. See "Short reads"
 * above. Context: who entered for WEFT_READING. */
static inline bool weft_poller_read_dry(const struct weft_descriptor *d) {
    /* Relaxed: the edge that it came with was taken out of the slot with
     * acquire, by this reader or one before it. */
    return d->dry && atomic_load_explicit(&d->ended, memory_order_relaxed) == 0;
}

/* True when somebody closes the descriptor. Context: who entered. */
static inline bool weft_poller_closing(const struct weft_descriptor *d) {
    return (atomic_load_explicit(&d->state, memory_order_relaxed) &
            WEFT_DESCRIPTOR_CLOSING) != 0;
}

/* Begins to close: from now on enter and arm fail with -EBADF. The waiters that
 * were armed come back in `waiters` (NULL: none), the caller wakes them. Takes
 * a reference, which the caller gives back with weft_poller_leave(d,
 * WEFT_USING); close(2) is made by the last to leave. Returns 0, or -EBADF when
 * it is not open or already being closed. Context: any thread. */
int weft_poller_close(struct weft_descriptor *d,
                      void *waiters[WEFT_DIRECTIONS]);

#endif
