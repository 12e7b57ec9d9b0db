/* SPDX-License-Identifier: MIT */
/* A program whose tasks all wait for each other is told so.
 *
 * The runtime knows everything that can make a task go on but one: the threads
 * of the program that are not the runtime's, which may unpark whom they like.
 * So it speaks only when there are none, and when all processors are idle, and
 * no thread blocks or runs without one no task is in a queue, no timer armed,
 * no descriptor awaited every task waits The monitor looks, and only where it
 * would fall asleep for good otherwise, so none of this costs a program that
 * does something anything.
 *
 * That each of these was seen is not enough: they are read one after the other,
 * and a task that the poller gave back is, for a moment, in nobody's hands but
 * its worker's, which has no processor yet. Hence two looks:
 *
 *     first look                            second look, ms later
 *     1. nothing is under way?              1. who slept in the poller has been
 *     2. notes how many slices have begun      there and back
 *     3. kicks the poller                   2. no thread of the program's
 *                                           3. all tasks wait
 *                                           4. nothing is under way, and no
 *                                              slice has begun since the first
 *
 * Who wakes a task is one of these:
 *   a task              it runs, on a processor that was not idle at the first
 *                       look; or it had none (it comes back from a blocking
 *                       call), then it is running still, or has begun a slice
 *   the seat's worker   it goes to sleep again only with empty hands, and was
 *                       seen to do so after the first look; since no task ran,
 *                       nobody has armed anything
 *   the monitor         is here
 *   a thread outside    is not there any more: what it did comes before its
 * end, and so before 4: a task is in a queue, or has begun a slice
 *
 * Where that does not come out (the kernel has not let the worker run yet, a
 * worker's thread is just ending, a thread of the program sleeps), it looks
 * again after twice the time, and so on: a program that waits for a thread of
 * its own does not notice.
 *
 * Always true: the program is ended only where no task could have run ever
 * again. What cannot be read (no /proc, a debugger's or an emulator's threads)
 * counts as a thread outside.
 *
 * Rejected: counting calls from outside (a thread may come for the first time
 * later); a flag of each waiting primitive, as "this one may be woken from
 * outside", which costs each wait and is wrong where a primitive is shared. */
#define _GNU_SOURCE /* struct dirent64 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "weft/base/print.h"
#include "weft/base/syscall.h"
#include "weft/sched/core.h"

enum {
    FIRST_PAUSE = 2 * 1000 * 1000, /* ns; the pauses double */
    LONGEST_PAUSE = 60,            /* s */
    EXIT_STATUS = 2,               /* Go's, for the same */
};

int weft_dead_thread(void) {
    return (int)weft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

WEFT_TEXT void weft_dead_round(struct weft_dead *dead) {
    /* Release: pairs with the acquires in weft_dead_look(): what was done for
     * the tasks of the round before is seen there. */
    atomic_store_explicit(
        &dead->rounds,
        atomic_load_explicit(&dead->rounds, memory_order_relaxed) + 1,
        memory_order_release);
}

/* Does no thread run a task, no task wait for one, and nothing outside owe
 * anybody anything? A snapshot. */
static bool nothing_under_way(struct weft_runtime *rt) {
    /* Pairs with the fence in weft_wake(): work that was queued before that is
     * seen here, or its processor is not idle any more. */
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&rt->stopping, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) ==
               rt->processor_count &&
           atomic_load_explicit(&rt->idle.searching, memory_order_relaxed) ==
               0 &&
           atomic_load_explicit(&rt->strays, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&rt->bound, memory_order_relaxed) == 0 &&
           !weft_anything_waiting(rt) && weft_global_length(&rt->held) == 0 &&
           weft_poller_waiting(&rt->poller) == 0 &&
           weft_timers_next(rt) == WEFT_FOREVER;
}

struct census {
    uint32_t waiting, others;
};

static void count_task(void *census, void *task) {
    struct census *c = census;
    struct weft_task *t = task;
    switch (atomic_load_explicit(&t->state, memory_order_relaxed)) {
        case WEFT_TASK_WAITING:
            c->waiting++;
            break;
        case WEFT_TASK_RUNNABLE:
        case WEFT_TASK_RUNNING:
            c->others++;
            break;
        default: /* free, or ended and not joined yet */
            break;
    }
}

static bool is_own(struct weft_runtime *rt, int thread) {
    struct weft_dead *dead = &rt->dead;
    if (thread == weft_dead_thread() ||
        thread == atomic_load_explicit(&dead->caller, memory_order_relaxed) ||
        thread == atomic_load_explicit(&dead->spawner, memory_order_relaxed)) {
        return true;
    }
    /* Acquire: pairs with the release in start_worker(). */
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
        /* Acquire, both: pair with the releases in start_worker() and in
         * thread_main(): the number is that of the thread that runs. */
        if (atomic_load_explicit(&w->ended, memory_order_acquire) ==
                WEFT_ENDED_NOT &&
            atomic_load_explicit(&w->started, memory_order_acquire) != 0 &&
            w->thread.tid == thread) {
            return true;
        }
    }
    return false;
}

/* The number that `text` is, 0 for "." and "..". */
static int number(const char *text) {
    int n = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        n = 10 * n + (*text - '0');
    }
    return n;
}

/* Has the process only threads that are the runtime's? Its worker that is just
 * ending counts as another's. */
static bool is_alone(struct weft_runtime *rt) {
    _Alignas(struct dirent64) char buf[1024];
    long size = 0;
    bool alone = true;
    long fd = weft_syscall(SYS_openat, AT_FDCWD, (long)"/proc/self/task",
                           O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) {
        return false;
    }
    while (alone && (size = weft_syscall(SYS_getdents64, fd, (long)buf,
                                         sizeof buf, 0, 0, 0)) > 0) {
        long at = 0;
        while (alone && at < size) {
            const struct dirent64 *entry = (const void *)&buf[at];
            int thread = number(entry->d_name);
            alone = thread == 0 || is_own(rt, thread);
            at += entry->d_reclen;
        }
    }
    weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return alone && size == 0;
}

static void say(uint32_t tasks) {
    if (tasks == 1) {
        weft_print(2, "weft: the only task waits and nothing can wake it\n");
    } else {
        weft_print(2, "weft: all %u tasks wait and nothing can wake them\n",
                   tasks);
    }
    weft_dump(2);
    /* At once: what atexit() has may wait for a task. */
    weft_syscall(SYS_exit_group, EXIT_STATUS, 0, 0, 0, 0, 0);
}

/* The second look. */
static void judge(struct weft_runtime *rt) {
    struct weft_dead *dead = &rt->dead;
    struct census census = {0, 0};
    /* Acquire: pairs with the release in weft_dead_round(). */
    if (dead->polled &&
        atomic_load_explicit(&dead->rounds, memory_order_acquire) ==
            dead->rounds_seen) {
        return;
    }
    if (!is_alone(rt)) {
        return;
    }
    weft_record_each(rt, count_task, &census);
    if (census.waiting > 0 && census.others == 0 && nothing_under_way(rt) &&
        weft_count_slices(rt) == dead->slices_seen) {
        say(census.waiting);
    }
}

uint64_t weft_dead_look(struct weft_runtime *rt, uint64_t now) {
    struct weft_dead *dead = &rt->dead;
    if (rt->config.deadlock == WEFT_DEADLOCK_IGNORE || !nothing_under_way(rt)) {
        dead->suspected = false;
        return WEFT_FOREVER;
    }
    uint64_t slices = weft_count_slices(rt);
    if (!dead->suspected || slices != dead->slices_seen) {
        dead->suspected = true;
        dead->slices_seen = slices;
        dead->pause = FIRST_PAUSE;
        dead->next = now + dead->pause;
        /* Acquire: pairs with the release in weft_dead_round(). */
        dead->rounds_seen =
            atomic_load_explicit(&dead->rounds, memory_order_acquire);
        dead->polled =
            atomic_load_explicit(&rt->poll_seat, memory_order_relaxed) !=
            WEFT_SEAT_VACANT;
        if (dead->polled) {
            weft_poller_kick(&rt->poller);
        }
    } else if (now >= dead->next) {
        judge(rt);
        if (dead->pause < LONGEST_PAUSE * WEFT_S) {
            dead->pause *= 2;
        }
        dead->next = now + dead->pause;
    }
    return dead->next;
}
