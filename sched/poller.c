/* SPDX-License-Identifier: MIT */
/* The poller: the records, and what an event does to them. Where events come
 * from is poller_backend.h's.
 *
 * A slot (one for each direction of a descriptor) goes through
 *
 *     EMPTY  --edge--> READY                  (wait)   news for the next to arm
 *     READY  --------> EMPTY                  (arm)    "try again"
 *     EMPTY  --------> waiter                 (arm)
 *     waiter --edge--> EMPTY, handed back     (wait)
 *     waiter --------> EMPTY                  (disarm)
 *     any    --------> CLOSED, handed back    (close)
 *     CLOSED --------> EMPTY                  (the last to leave)
 *
 * and each arrow is one compare-and-swap, so a waiter is handed back by exactly
 * one of wait, close and disarm. An edge that hands a waiter back leaves EMPTY
 * and not READY: whoever comes next in that direction tries its system call
 * before it arms, and sees what the edge told of.
 *
 * Closing has the same word of each descriptor decide everything: enter counts
 * up only while OPEN and not CLOSING; the thread that counts down to nothing
 * while CLOSING takes the number out of the backend, sets the record back, and
 * only then gives the number to the kernel, since another thread may be given
 * it in the same instant.
 *
 * An event carries number and generation. One that was fetched before a close
 * and is looked at after it differs in the generation and is dropped; one that
 * slips between that look and the compare-and-swap is an edge for nothing.
 *
 * Nothing here takes a lock, so any function may be interrupted anywhere.
 *
 * Rejected: READY after handing a waiter back, as Go has it (one useless read
 * for each wait). */
#include "weft/sched/poller.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poller_backend.h"
#include "weft/base/check.h"
#include "weft/base/syscall.h"

#define EMPTY  ((void *)0)
#define READY  ((void *)1)
#define CLOSED ((void *)2)

static _Atomic(struct weft_poller *) current;

WEFT_TEXT static bool is_waiter(const void *value) {
    return (uintptr_t)value > (uintptr_t)CLOSED;
}

/* What an event carries: the number below, the generation above. */
WEFT_TEXT static uint64_t key_of(int fd, uint64_t state) {
    return (uint64_t)(uint32_t)fd | (state & ~(uint64_t)UINT32_MAX);
}

/* Counts armed waiters of `fd`. Relaxed: the count publishes nothing, and a
 * thread sees its own changes. */
WEFT_TEXT static void count_waiter(struct weft_poller *poller, int fd,
                                   uint32_t change) {
    atomic_fetch_add_explicit(
        &poller->shards[(unsigned)fd % WEFT_POLLER_SHARDS].waiting, change,
        memory_order_relaxed);
}

/* The backend for `kind`, ready in `poller`; another one where the kernel does
 * not let us have that. */
static int init_backend(struct weft_poller *poller,
                        enum weft_poller_kind kind) {
#ifdef __linux__
    if (kind == WEFT_POLLER_URING) {
        poller->backend = &weft_poller_uring;
        int error = poller->backend->init(poller);
        if (error == 0 || error == -EMFILE || error == -ENFILE) {
            return error;
        }
    }
    poller->backend = &weft_poller_epoll;
#else
    (void)kind;
    poller->backend = &weft_poller_kqueue;
#endif
    return poller->backend->init(poller);
}

WEFT_TEXT int weft_poller_init(struct weft_poller *poller,
                               enum weft_poller_kind kind) {
    *poller = (struct weft_poller){.fd = -1, .event_fd = -1};
    void *chunks =
        mmap(NULL, WEFT_POLLER_CHUNKS * sizeof(poller->chunks[0]),
             PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunks == MAP_FAILED) {
        return -ENOMEM;
    }
    poller->chunks = chunks;
    int error = init_backend(poller, kind);
    if (error != 0) {
        munmap(chunks, WEFT_POLLER_CHUNKS * sizeof(poller->chunks[0]));
        return error;
    }
    struct weft_poller *none = NULL;
    /* Release: pairs with the acquire in weft_poller_current(). */
    atomic_compare_exchange_strong_explicit(
        &current, &none, poller, memory_order_release, memory_order_relaxed);
    return 0;
}

WEFT_TEXT enum weft_poller_kind weft_poller_kind(
    const struct weft_poller *poller) {
    return poller->backend->kind;
}

WEFT_TEXT void weft_poller_retire(struct weft_poller *poller) {
    struct weft_poller *self = poller;
    atomic_compare_exchange_strong_explicit(
        &current, &self, NULL, memory_order_relaxed, memory_order_relaxed);
}

WEFT_TEXT void weft_poller_fini(struct weft_poller *poller) {
    weft_poller_retire(poller);
    poller->backend->fini(poller);
    for (unsigned i = 0; i < WEFT_POLLER_CHUNKS; i++) {
        struct weft_descriptor *chunk =
            atomic_load_explicit(&poller->chunks[i], memory_order_relaxed);
        if (chunk != NULL) {
            munmap(chunk, WEFT_POLLER_CHUNK * sizeof(*chunk));
        }
    }
    munmap((void *)poller->chunks,
           WEFT_POLLER_CHUNKS * sizeof(poller->chunks[0]));
}

WEFT_TEXT struct weft_poller *weft_poller_current(void) {
    /* Acquire: pairs with the release in weft_poller_init(). */
    return atomic_load_explicit(&current, memory_order_acquire);
}

/* Finds the record of `fd` and makes its chunk where there is none. NULL: no
 * memory. */
WEFT_TEXT static struct weft_descriptor *record_of(struct weft_poller *poller,
                                                   int fd) {
    struct weft_descriptor *d = weft_poller_find(poller, fd);
    if (WEFT_LIKELY(d != NULL)) {
        return d;
    }
    size_t size = WEFT_POLLER_CHUNK * sizeof(*d);
    void *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) {
        return NULL;
    }
    struct weft_descriptor *none = NULL;
    /* Release: pairs with the acquire in weft_poller_find(), so that the
     * mapping is seen with its zeros. Relaxed on failure: looked up again. */
    if (!atomic_compare_exchange_strong_explicit(
            &poller->chunks[(unsigned)fd / WEFT_POLLER_CHUNK], &none, fresh,
            memory_order_release, memory_order_relaxed)) {
        munmap(fresh, size);
    }
    return weft_poller_find(poller, fd);
}

WEFT_TEXT int weft_poller_add(struct weft_poller *poller, int fd,
                              enum weft_descriptor_kind kind) {
    if (fd < 0) {
        return -EBADF;
    }
    if (fd >= WEFT_POLLER_CHUNK * WEFT_POLLER_CHUNKS) {
        return -EMFILE;
    }
    struct weft_descriptor *d = record_of(poller, fd);
    if (d == NULL) {
        return -ENOMEM;
    }
    uint64_t state = atomic_load_explicit(&d->state, memory_order_relaxed);
    /* CLOSING without OPEN claims the record: nobody else adds, nobody enters.
     * Acquire: pairs with the release in finish(); the fields are ours. */
    if ((uint32_t)state != 0 ||
        !atomic_compare_exchange_strong_explicit(
            &d->state, &state, state | WEFT_DESCRIPTOR_CLOSING,
            memory_order_acquire, memory_order_relaxed)) {
        return -EEXIST;
    }
    d->poller = poller;
    d->fd = fd;
    d->kind = kind;
    d->tells_ends = kind == WEFT_DESCRIPTOR_TCP && poller->backend->tells_ends;
    d->dry = false;
    /* Relaxed: an event of this registration comes after it; a late one of the
     * last costs a try for each read. */
    atomic_store_explicit(&d->ended, 0, memory_order_relaxed);
    /* Events may come from here on, before the record is open: deliver() looks
     * at nothing but generation and slots. */
    int error = poller->backend->add(poller, fd, key_of(fd, state), kind);
    /* Release: pairs with the acquires in weft_poller_enter() and
     * weft_poller_close(). */
    atomic_store_explicit(&d->state,
                          error == 0 ? state | WEFT_DESCRIPTOR_OPEN : state,
                          memory_order_release);
    return error;
}

/* The last one has left a descriptor that is being closed. */
WEFT_TEXT static void finish(struct weft_descriptor *d, uint64_t state) {
    int fd = d->fd;
    for (int dir = 0; dir < WEFT_DIRECTIONS; dir++) {
        void *slot = atomic_exchange_explicit(&d->slot[dir], EMPTY,
                                              memory_order_relaxed);
        WEFT_CHECK(!is_waiter(slot));
    }
    d->poller->backend->remove(d->poller, fd, key_of(fd, state));
    /* Release: pairs with the acquire in weft_poller_add(). Before close(2):
     * the kernel may give the number to another thread at once. */
    atomic_store_explicit(&d->state,
                          (state & ~(WEFT_DESCRIPTOR_GENERATION - 1)) +
                              WEFT_DESCRIPTOR_GENERATION,
                          memory_order_release);
    /* Linux frees the number whatever close(2) answers. */
#if WEFT_TSAN
    /* TSan keeps a record of each number too, and must hear of its end. */
    int saved = errno;
    close(fd);
    errno = saved;
#else
    weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
#endif
}

WEFT_TEXT int weft_poller_enter(struct weft_descriptor *d,
                                enum weft_direction dir) {
    uint64_t busy = dir == WEFT_USING ? 0 : WEFT_DESCRIPTOR_BUSY(dir);
    uint64_t state = atomic_load_explicit(&d->state, memory_order_relaxed);
    for (;;) {
        if (WEFT_UNLIKELY(
                (state & (WEFT_DESCRIPTOR_OPEN | WEFT_DESCRIPTOR_CLOSING)) !=
                WEFT_DESCRIPTOR_OPEN)) {
            return -EBADF;
        }
        if (WEFT_UNLIKELY((state & busy) != 0)) {
            return -EBUSY;
        }
        /* Acquire: pairs with the release in weft_poller_add() for the fields,
         * and in weft_poller_leave() for what the last one here did. */
        if (WEFT_LIKELY(atomic_compare_exchange_weak_explicit(
                &d->state, &state, (state + WEFT_DESCRIPTOR_REFERENCE) | busy,
                memory_order_acquire, memory_order_relaxed))) {
            WEFT_CHECK((state & WEFT_DESCRIPTOR_REFERENCES) !=
                       WEFT_DESCRIPTOR_REFERENCES);
            return 0;
        }
    }
}

WEFT_TEXT bool weft_poller_leave(struct weft_descriptor *d,
                                 enum weft_direction dir) {
    uint64_t busy = dir == WEFT_USING ? 0 : WEFT_DESCRIPTOR_BUSY(dir);
    uint64_t queued = dir == WEFT_USING ? 0 : WEFT_DESCRIPTOR_QUEUED(dir);
    uint64_t state = atomic_load_explicit(&d->state, memory_order_relaxed);
    uint64_t left;
    do {
        if (WEFT_UNLIKELY((state & queued) != 0 &&
                          (state & WEFT_DESCRIPTOR_CLOSING) == 0)) {
            return false;
        }
        left = (state & ~busy) - WEFT_DESCRIPTOR_REFERENCE;
        /* Release: pairs with the acquire in weft_poller_enter(), and with that
         * of the last one here, who closes after all have left. */
    } while (WEFT_UNLIKELY(!atomic_compare_exchange_weak_explicit(
        &d->state, &state, left, memory_order_acq_rel, memory_order_relaxed)));
    if (WEFT_UNLIKELY(
            (left & (WEFT_DESCRIPTOR_CLOSING | WEFT_DESCRIPTOR_REFERENCES)) ==
            WEFT_DESCRIPTOR_CLOSING)) {
        finish(d, left);
    }
    return true;
}

WEFT_TEXT int weft_poller_arm(struct weft_descriptor *d,
                              enum weft_direction dir, void *waiter) {
    WEFT_CHECK(is_waiter(waiter));
    /* Before the waiter can be taken out and counted down. */
    count_waiter(d->poller, d->fd, 1);
    int result;
    void *slot = atomic_load_explicit(&d->slot[dir], memory_order_relaxed);
    for (;;) {
        if (slot == CLOSED || slot == waiter) {
            result = slot == waiter ? 0 : -EBADF;
            break;
        }
        /* Two of them in one direction: somebody did not enter. */
        WEFT_CHECK_OP(is_waiter(slot), ==, false);
        /* Release: pairs with the acquires in deliver() and
         * weft_poller_close(): who takes the waiter out sees what it wrote.
         * Acquire: pairs with the release in deliver(). */
        if (atomic_compare_exchange_weak_explicit(
                &d->slot[dir], &slot, slot == READY ? EMPTY : waiter,
                memory_order_acq_rel, memory_order_relaxed)) {
            if (slot == EMPTY) {
                return 0;
            }
            result = -EALREADY;
            break;
        }
    }
    count_waiter(d->poller, d->fd, -1U);
    return result;
}

WEFT_TEXT bool weft_poller_armed(const struct weft_descriptor *d,
                                 enum weft_direction dir, const void *waiter) {
    /* Acquire: pairs with the releases in deliver() and weft_poller_close(). */
    return atomic_load_explicit(&d->slot[dir], memory_order_acquire) == waiter;
}

WEFT_TEXT bool weft_poller_disarm(struct weft_descriptor *d,
                                  enum weft_direction dir, void *waiter) {
    void *slot = waiter;
    /* Acquire: pairs with the releases in deliver() and weft_poller_close(),
     * for the case that it fails. */
    if (!atomic_compare_exchange_strong_explicit(&d->slot[dir], &slot, EMPTY,
                                                 memory_order_acquire,
                                                 memory_order_acquire)) {
        return false;
    }
    count_waiter(d->poller, d->fd, -1U);
    return true;
}

WEFT_TEXT int weft_poller_close(struct weft_descriptor *d,
                                void *waiters[WEFT_DIRECTIONS]) {
    uint64_t state = atomic_load_explicit(&d->state, memory_order_relaxed);
    do {
        if ((state & (WEFT_DESCRIPTOR_OPEN | WEFT_DESCRIPTOR_CLOSING)) !=
            WEFT_DESCRIPTOR_OPEN) {
            return -EBADF;
        }
        /* Acquire: pairs with the release in weft_poller_add(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &d->state, &state,
        (state + WEFT_DESCRIPTOR_REFERENCE) | WEFT_DESCRIPTOR_CLOSING,
        memory_order_acquire, memory_order_relaxed));
    for (int dir = 0; dir < WEFT_DIRECTIONS; dir++) {
        /* CLOSED stays, so an operation that arms after this learns of it.
         * Acquire and release: pair with weft_poller_arm() and _armed(). */
        void *slot = atomic_exchange_explicit(&d->slot[dir], CLOSED,
                                              memory_order_acq_rel);
        waiters[dir] = is_waiter(slot) ? slot : NULL;
        if (is_waiter(slot)) {
            count_waiter(d->poller, d->fd, -1U);
        }
    }
    return 0;
}

/* An edge: returns the waiter it is for, NULL when nobody is armed. With
 * `carries` even a slot that is READY is written, so that who takes the edge
 * out sees what the caller wrote before. */
WEFT_TEXT static void *deliver(struct weft_poller *poller, int fd,
                               struct weft_descriptor *d,
                               enum weft_direction dir, bool carries) {
    /* Relaxed: READY is not one that the reader has taken since. What it then
     * tried in vain comes before this edge: the kernel's locks order them. */
    void *slot = atomic_load_explicit(&d->slot[dir], memory_order_relaxed);
    for (;;) {
        if ((slot == READY && !carries) || slot == CLOSED) {
            return NULL;
        }
        /* Acquire and release: pair with weft_poller_arm() and _armed(). */
        if (atomic_compare_exchange_weak_explicit(
                &d->slot[dir], &slot, is_waiter(slot) ? EMPTY : READY,
                memory_order_acq_rel, memory_order_relaxed)) {
            break;
        }
    }
    if (!is_waiter(slot)) {
        return NULL;
    }
    count_waiter(poller, fd, -1U);
    return slot;
}

/* The kernel has let go of a registration: it gets another one, unless the
 * descriptor is being closed, or was. A reference keeps it from being closed
 * meanwhile, so that nothing is registered after its removal. */
WEFT_TEXT static void add_again(struct weft_poller *poller, int fd,
                                struct weft_descriptor *d, uint64_t key) {
    uint64_t state;
    /* While weft_poller_add() is in the backend. */
    while (state = atomic_load_explicit(&d->state, memory_order_relaxed),
           key_of(fd, state) == key &&
               (state & (WEFT_DESCRIPTOR_OPEN | WEFT_DESCRIPTOR_CLOSING)) ==
                   WEFT_DESCRIPTOR_CLOSING) {
        weft_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
    if (weft_poller_enter(d, WEFT_USING) != 0) {
        return;
    }
    state = atomic_load_explicit(&d->state, memory_order_relaxed);
    if (key_of(fd, state) == key) {
        /* Not asked again whether it can be polled, which may be refused. */
        enum weft_descriptor_kind kind = WEFT_DESCRIPTOR_SOCKET;
        int error = poller->backend->add(poller, fd, key, kind);
        WEFT_CHECK_OP(error, ==, 0);
    }
    weft_poller_leave(d, WEFT_USING);
}

WEFT_TEXT static void take_kick(struct weft_poller *poller, uint64_t deadline) {
    if (deadline == 0) {
        /* Meant for one that is blocked: put it back. */
        weft_poller_kick(poller);
    } else {
        /* Acquire: pairs with the release in weft_poller_kick(). */
        atomic_exchange_explicit(&poller->kicked, 0, memory_order_acquire);
    }
}

/* What `event` tells: puts those that it is for into `waiters`, and returns
 * their number. */
WEFT_TEXT static int pass_on(struct weft_poller *poller,
                             const struct weft_poller_event *event,
                             void **waiters) {
    int ready = 0;
    int fd = (int)(uint32_t)event->key;
    struct weft_descriptor *d = weft_poller_find(poller, fd);
    /* Relaxed: a record of that number was there before the event. */
    if (key_of(fd, atomic_load_explicit(&d->state, memory_order_relaxed)) !=
        event->key) {
        return 0;
    }
    bool ends = (event->what & WEFT_EVENT_ENDS) != 0;
    if (ends) {
        /* Relaxed: deliver() releases it. */
        atomic_store_explicit(&d->ended, 1, memory_order_relaxed);
    }
    if ((event->what & WEFT_EVENT_READ) != 0) {
        void *waiter = deliver(poller, fd, d, WEFT_READING, ends);
        if (waiter != NULL) {
            waiters[ready++] = waiter;
        }
    }
    if ((event->what & WEFT_EVENT_WRITE) != 0) {
        void *waiter = deliver(poller, fd, d, WEFT_WRITING, false);
        if (waiter != NULL) {
            waiters[ready++] = waiter;
        }
    }
    if (WEFT_UNLIKELY((event->what & WEFT_EVENT_GONE) != 0)) {
        add_again(poller, fd, d, event->key);
    }
    return ready;
}

WEFT_TEXT int weft_poller_wait(struct weft_poller *poller, uint64_t deadline,
                               void **waiters, int max) {
    WEFT_CHECK_OP(max, >=, WEFT_DIRECTIONS);
    struct weft_poller_event events[WEFT_POLLER_EVENTS];
    int room = max / WEFT_DIRECTIONS;
    int count = poller->backend->wait(
        poller, deadline, events,
        room < WEFT_POLLER_EVENTS ? room : WEFT_POLLER_EVENTS);
    int ready = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].key == WEFT_POLLER_KICK) {
            take_kick(poller, deadline);
        } else {
            ready += pass_on(poller, &events[i], waiters + ready);
        }
    }
    return ready;
}

WEFT_TEXT void weft_poller_kick(struct weft_poller *poller) {
    /* Release: pairs with the acquire in take_kick(). Not an exchange, of which
     * clang makes a store: who puts a kick back goes on with its release. */
    atomic_fetch_or_explicit(&poller->kicked, 1, memory_order_release);
    poller->backend->kick(poller);
}

WEFT_TEXT uint32_t weft_poller_waiting(const struct weft_poller *poller) {
    uint32_t sum = 0;
    for (int i = 0; i < WEFT_POLLER_SHARDS; i++) {
        sum += atomic_load_explicit(&poller->shards[i].waiting,
                                    memory_order_relaxed);
    }
    return sum;
}
