/* SPDX-License-Identifier: MIT */
/* A handler that writes the signal's number into a pipe, and tasks that read
 * it.
 *
 * Always true: a route's `to` is the writing end of a pipe that is open, or
 * none. The handler counts itself in before it looks at `to`, and out after its
 * write:
 *
 *     handler                      close
 *     1 inside++                   1 to = none
 *     2 load to; none: go to 4     2 wait until inside is 0
 *     3 write                      3 close the pipe
 *     4 inside--
 *
 * Both columns are a store and then a load of the other's word, all seq_cst:
 * either the handler sees none, or the closer sees it inside. The number of a
 * descriptor that was given away is never written to.
 *
 * `waiting` is set by the handler before it writes and cleared by the task that
 * has read: a signal is in the pipe at most once, which therefore never fills.
 * One that comes between the read and the clearing is one with that which is
 * being handed out.
 *
 * The handler runs with all signals blocked, so SIGURG never finds a task
 * inside it; on the signal stack where the thread has one, since a task's may
 * be small; and with SA_RESTART, since calls of the program know nothing of it.
 * A child that has forked and not executed has the parent's pipe and writes
 * nothing.
 *
 * Rejected: signalfd(2), which asks that the signal be blocked in all threads:
 * there are other people's, and what they execute inherits the mask. */
#include "weft/io/signal_channel.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/base/syscall.h"
#include "weft/io/io.h"
#include "weft/io/pipe.h"
#include "weft/io/signal_handler.h"
#include "weft/sched/park.h"

#define SIGNALS WEFT_SIGNALS

/* What else belongs to a route. */
struct route {
    int from;                /* under the lock: the reading end + 1; 0: none */
    struct sigaction before; /* under the lock */
};

static struct weft_lock lock;
static struct route routes[SIGNALS];

#if WEFT_TSAN
/* rt_sigaction(2)'s own structure, and its mask's size. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* The sanitizer's sigaction() has put its own handler there, which would delay
 * the signal until the thread next calls libc: an idle one never does. */
static void past_the_sanitizer(int number) {
    struct kernel_action action;
    weft_syscall(SYS_rt_sigaction, number, 0, (long)&action, sizeof(uint64_t),
                 0, 0);
    action.handler = weft_signal_handle;
    weft_syscall(SYS_rt_sigaction, number, (long)&action, 0, sizeof(uint64_t),
                 0, 0);
}
#else
static void past_the_sanitizer(int number) {
    (void)number;
}
#endif

static bool may_be_had(int number) {
    switch (number) {
        case SIGKILL:
        case SIGSTOP:
        case SIGURG:
        case SIGSEGV:
        case SIGBUS:
        case SIGFPE:
        case SIGILL:
        case SIGTRAP:
        case SIGSYS:
            return false;
        default:
            return true;
    }
}

/* Under the lock: 0 when all of `set` can be had. */
static int look_at(const sigset_t *set) {
    int count = 0;
    for (int i = 1; i < SIGNALS; i++) {
        if (sigismember(set, i) == 1) {
            if (!may_be_had(i)) {
                return -EINVAL;
            }
            if (routes[i].from != 0) {
                return -EBUSY;
            }
            count++;
        }
    }
    return count > 0 ? 0 : -EINVAL;
}

/* Under the lock: whatever comes to `from` goes where it went before. Returns
 * the writing end, or -1 when there was none. */
static int take_back(int from) {
    int to = -1;
    for (int i = 1; i < SIGNALS; i++) {
        if (routes[i].from == from + 1) {
            sigaction(i, &routes[i].before, NULL);
            struct weft_signal_route *r = &weft_signal_routes[i];
            to = atomic_load_explicit(&r->to, memory_order_relaxed) - 1;
            /* Pairs with the load in weft_signal_handle(). */
            atomic_store_explicit(&r->to, 0, memory_order_seq_cst);
            routes[i].from = 0;
        }
    }
    return to;
}

/* Waits until no handler uses what was taken back: they are short, and never
 * stop inside. */
static void await_handlers(void) {
    /* Pairs with the addition in weft_signal_handle(), and with the release at
     * its end.
     */
    while (atomic_load_explicit(&weft_signal_inside, memory_order_seq_cst) !=
           0) {
        sched_yield();
    }
}

/* Under the lock. */
static int give_all(const sigset_t *set, const int ends[2]) {
    struct sigaction action = {.sa_handler = weft_signal_handle,
                               .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (int i = 1; i < SIGNALS; i++) {
        if (sigismember(set, i) == 1) {
            struct weft_signal_route *r = &weft_signal_routes[i];
            /* Nothing rests on this order: no handler is there yet. */
            atomic_store_explicit(&r->waiting, 0, memory_order_relaxed);
            atomic_store_explicit(&r->to, ends[1] + 1, memory_order_relaxed);
            if (sigaction(i, &action, &routes[i].before) != 0) {
                atomic_store_explicit(&r->to, 0, memory_order_relaxed);
                return -EINVAL; /* one of libc's own */
            }
            routes[i].from = ends[0] + 1;
            past_the_sanitizer(i);
        }
    }
    return 0;
}

int weft_signals_open(const sigset_t *set) {
    int ends[2];
    int error = weft_pipe(ends);
    if (error != 0) {
        return error;
    }
    weft_runtime_enter();
    weft_lock_acquire(&lock);
    error = look_at(set);
    if (error == 0) {
        atomic_store_explicit(&weft_signal_owner,
                              (int)weft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
                              memory_order_relaxed);
        error = give_all(set, ends);
        if (error != 0) {
            take_back(ends[0]);
        }
    }
    weft_lock_release(&lock);
    weft_runtime_leave();
    if (error != 0) {
        await_handlers();
        weft_close(ends[0]);
        weft_close(ends[1]);
        return error;
    }
    return ends[0];
}

int weft_signal_wait(int fd, uint64_t deadline) {
    unsigned char number;
    ssize_t result = weft_read(fd, &number, 1, deadline);
    if (result <= 0 || number >= SIGNALS) {
        return result < 0 ? (int)result : -EBADF;
    }
    atomic_store_explicit(&weft_signal_routes[number].waiting, 0,
                          memory_order_relaxed);
    return number;
}

int weft_signals_close(int fd) {
    weft_runtime_enter();
    weft_lock_acquire(&lock);
    int to = fd < 0 ? -1 : take_back(fd);
    weft_lock_release(&lock);
    weft_runtime_leave();
    if (to < 0) {
        return -EBADF;
    }
    await_handlers();
    weft_close(fd);
    weft_close(to);
    return 0;
}
