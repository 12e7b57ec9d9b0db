/* SPDX-License-Identifier: MIT */
/* A kernel in the checker: see kernel.h. The compiler's hooks are not in this
 * file: what is between two steps happens at once. */
#include "kernel.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "inside.h"
#include "sched/poller_backend.h"

static struct socket {
    bool open, ended;
    uint32_t readable, room; /* bytes */
    bool watched, edge;      /* registered; has news */
    uint64_t key;
    volatile uint32_t opened; /* how often */
} sockets[KERNEL_NUMBERS];

int kernel_lets_go;
bool kernel_is_loose;
static uint32_t socket_locks[KERNEL_NUMBERS], poller_lock;
static bool kick_edge;
static uint32_t changes; /* who waits for events sleeps while it is the same */

void kernel_reset(void) {
    memset(sockets, 0, sizeof(sockets));
    memset(socket_locks, 0, sizeof(socket_locks));
    poller_lock = changes = 0;
    kernel_lets_go = 0;
    kick_edge = false;
    model_label(sockets, sizeof(sockets), "a socket");
    model_label(socket_locks, sizeof(socket_locks), "a socket's lock");
    model_label(&poller_lock, sizeof(poller_lock), "the poller's lock");
    model_label(&changes, sizeof(changes), "the poller");
}

static uint64_t sum(uint64_t a, uint64_t b) {
    return a + b;
}

/* Takes a lock and lets go of it; what follows is done in between. Others may
 * do what they like before. */
static void step(uint32_t *lock, int order) {
    if (model_self() >= 0) {
        model_rmw(lock, sizeof(*lock), order, sum, 1);
    }
}

static int order(void) {
    return kernel_is_loose ? memory_order_relaxed : memory_order_acq_rel;
}

static void lock_socket(int fd) {
    step(&socket_locks[fd], order());
}

static void lock_poller(void) {
    step(&poller_lock, order());
}

static void trace(const char *what, int fd, long answer) {
    if (model_tracing) {
        model_trace("kernel: %s %d: %ld", what, fd, answer);
    }
}

static struct socket *use(int fd) {
    if (fd < 0 || fd >= KERNEL_NUMBERS || !sockets[fd].open) {
        model_fail("a system call on %d, which was given back", fd);
    }
    return &sockets[fd];
}

/* --- the poller's half -------------------------------------------------------
 */

static uint32_t what_is(const struct socket *s) {
    return (s->ended ? WEFT_EVENT_ENDS | WEFT_EVENT_READ : 0) |
           (s->readable > 0 ? WEFT_EVENT_READ : 0) |
           (s->room > 0 ? WEFT_EVENT_WRITE : 0);
}

static void wake_one(void) {
    changes++;
    model_futex_wake(&changes, 1);
}

static void has_changed(struct socket *s) {
    lock_poller();
    s->edge = s->watched;
    if (s->edge) {
        wake_one();
    }
}

static int init(struct weft_poller *poller) {
    (void)poller;
    return 0;
}

static void fini(struct weft_poller *poller) {
    (void)poller;
}

static int add(struct weft_poller *poller, int fd, uint64_t key,
               enum weft_descriptor_kind kind) {
    (void)poller, (void)kind;
    lock_poller();
    struct socket *s = use(fd);
    trace("add", fd, 0);
    if (s->watched) {
        model_fail("%d is watched already", fd);
    }
    s->watched = true;
    s->key = key;
    if (what_is(s) != 0) {
        has_changed(s);
    }
    return 0;
}

static void take_out(struct weft_poller *poller, int fd, uint64_t key) {
    (void)poller, (void)key;
    lock_poller();
    trace("remove", fd, 0);
    struct socket *s = use(fd);
    s->watched = s->edge = false;
}

/* What there is, at once. */
static int fetch(struct weft_poller_event *events, int room) {
    int count = 0;
    if (kick_edge) {
        kick_edge = false;
        events[count++].key = WEFT_POLLER_KICK;
    }
    for (int fd = 0; fd < KERNEL_NUMBERS && count < room; fd++) {
        struct socket *s = &sockets[fd];
        uint32_t what = what_is(s);
        if (!s->edge || what == 0) {
            s->edge = false;
            continue;
        }
        s->edge = false;
        if (kernel_lets_go > 0) {
            kernel_lets_go--;
            what |= WEFT_EVENT_GONE;
            s->watched = false;
        }
        trace("event", fd, what);
        events[count++] = (struct weft_poller_event){s->key, what};
    }
    return count;
}

static int wait(struct weft_poller *poller, uint64_t deadline,
                struct weft_poller_event *events, int room) {
    (void)poller;
    int count = 0;
    for (;;) {
        lock_poller();
        count = fetch(events, room);
        if (count != 0 || deadline == 0 ||
            model_futex_wait(&changes, changes, deadline != WEFT_FOREVER) ==
                -ETIMEDOUT) {
            return count;
        }
    }
}

static void kick(struct weft_poller *poller) {
    (void)poller;
    step(&poller_lock, memory_order_relaxed);
    trace("kick", -1, 0);
    kick_edge = true;
    wake_one();
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
const struct weft_poller_backend weft_poller_uring;

/* --- system calls ------------------------------------------------------------
 */

static uint32_t least(long a, uint32_t b) {
    return (uint32_t)a < b ? (uint32_t)a : b;
}

static long receive(int fd, long size) {
    struct socket *s = use(fd);
    uint32_t got = least(size, s->readable);
    s->readable -= got;
    return got == 0 && !s->ended ? -EAGAIN : (long)got;
}

static long send(int fd, long size) {
    struct socket *s = use(fd);
    uint32_t sent = least(size, s->room);
    s->room -= sent;
    return sent == 0 ? -EAGAIN : (long)sent;
}

long model_syscall(long nr, long a, long b, long c, long d, long e, long f);
long model_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    long answer;
    int fd = (int)a;
    (void)b, (void)d, (void)e, (void)f;
    if (nr == SYS_sched_yield) {
        model_spin();
        return 0;
    }
    use(fd);
    lock_socket(fd);
    switch (nr) {
        case SYS_recvfrom:
            answer = receive(fd, c);
            trace("receive", fd, answer);
            return answer;
        case SYS_sendto:
            answer = send(fd, c);
            trace("send", fd, answer);
            return answer;
        case SYS_close:
            use(fd)->open = false;
            trace("close", fd, 0);
            return 0;
        default:
            model_fail("system call %ld", nr);
    }
}

/* --- the peer ----------------------------------------------------------------
 */

bool kernel_open(int fd, uint32_t room) {
    lock_socket(fd);
    if (sockets[fd].open) {
        return false;
    }
    uint32_t opened = sockets[fd].opened + 1;
    sockets[fd] = (struct socket){.open = true, .room = room, .opened = opened};
    trace("open", fd, opened);
    return true;
}

bool kernel_is_open(int fd) {
    return sockets[fd].open;
}

const volatile uint32_t *kernel_opened(int fd) {
    return &sockets[fd].opened;
}

void kernel_put(int fd) {
    lock_socket(fd);
    if (sockets[fd].open) {
        trace("byte for", fd, ++sockets[fd].readable);
        has_changed(&sockets[fd]);
    }
}

void kernel_end(int fd) {
    lock_socket(fd);
    if (sockets[fd].open) {
        trace("end for", fd, 0);
        sockets[fd].ended = true;
        has_changed(&sockets[fd]);
    }
}

void kernel_take(int fd) {
    lock_socket(fd);
    if (sockets[fd].open) {
        trace("room for", fd, ++sockets[fd].room);
        has_changed(&sockets[fd]);
    }
}
