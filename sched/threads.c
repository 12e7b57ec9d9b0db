/* SPDX-License-Identifier: MIT */
/* OS threads, made ahead of need by a thread that does nothing else: who needs
 * a spare is in a signal handler or the monitor and cannot create one.
 *
 * Always true: rt->workers[0 .. worker_count) are set and never change; a
 * worker that others can see has set itself up. */
#define _GNU_SOURCE /* names of threads, dl_iterate_phdr() */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <unistd.h>

#include "weft/arch/overflow.h"
#include "weft/base/futex.h"
#include "weft/base/print.h"
#include "weft/sched/core.h"
#include "weft/sched/nodes.h"
#include "weft/sched/reserve.h"

enum {
    NATIVE_STACK = WEFT_ASAN || WEFT_TSAN ? 1 << 20 : 128 << 10,
    RETRY_AFTER = 10 * 1000 * 1000, /* ns, when no thread could be had; twice
                                     * as long each time, up to */
    RETRY_MOST = 640 * 1000 * 1000, /* so many */
    LINGER = 500 * 1000 * 1000,     /* ns that a spare too many waits */
    MANY = 4,                       /* times the target is too many */
    LEAST = 2, /* workers; with one, a task that computes keeps out all others
                */
};

/* Spares beyond one for each idle processor, and the reserve. */
static uint32_t spare_target(const struct weft_runtime *rt) {
    return rt->processor_count > 2 ? rt->processor_count : 2;
}

/* What a thread has counted goes to those that ended before it. */
static void keep_counters(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    weft_lock_acquire(&rt->idle.lock);
    weft_thread_counters(&w->thread, &rt->past);
    weft_lock_release(&rt->idle.lock);
}

/* A value under this key is a worker's thread that has not come to its end. */
static pthread_key_t unfinished;
static pthread_once_t unfinished_made = PTHREAD_ONCE_INIT;
static bool unfinished_there; /* fixed once it is made: was there a key left? */

static void ended_too_soon(void *worker) {
    struct weft_task *t = weft_worker_task(worker);
    weft_fatal(
        "task \"%s\" ended its OS thread, by pthread_exit() or "
        "pthread_cancel(); return from the task's function instead",
        t == NULL ? "?" : weft_task_name(t));
}

static void make_unfinished(void) {
    unfinished_there = pthread_key_create(&unfinished, ended_too_soon) == 0;
}

/* Where the program has used up all keys, nobody notices. */
static void mark_unfinished(const struct weft_worker *w) {
    if (unfinished_there) {
        (void)pthread_setspecific(unfinished, w);
    }
}

static void *thread_main(void *worker) {
    struct weft_worker *w = worker;
    struct weft_runtime *rt = w->runtime;
    char path[64];
    weft_thread_enter(&w->thread);
    pthread_setname_np(pthread_self(), "weft-worker");
    w->patient = true;
    w->held = false;
    w->pinned = false;
    w->node = (uint16_t)weft_nodes_none(rt);
    weft_share_thread(w, false);
    weft_format(path, sizeof path, "/proc/self/task/%d/stat",
                (int)w->thread.tid);
    w->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
    pthread_sigmask(SIG_SETMASK, &rt->mask, NULL);
    (void)weft_overflow_thread_init();
    weft_migrate_thread_init(&w->own);
    weft_context_adopt(&w->native);
    /* May take memory, as the 32nd key of a thread. */
    pthread_once(&unfinished_made, make_unfinished);
    mark_unfinished(w);
    /* From here on it may be given a processor, and calls nothing of libc that
     * has a lock: an interrupted task might hold it, and wait for just this
     * processor. Release: pairs with the acquire in start_thread(). */
    atomic_store_explicit(&w->started, 1, memory_order_release);
    weft_futex_wake(&w->started, 1);
    weft_worker_main(w);
    mark_unfinished(NULL);
    weft_overflow_thread_fini();
    weft_thread_leave();
    keep_counters(w);
    atomic_fetch_add_explicit(&rt->threads_ended, 1, memory_order_relaxed);
    /* Release: pairs with the acquires in all_gone() and ended_worker(). */
    atomic_store_explicit(&w->ended, WEFT_ENDED_TO_JOIN, memory_order_release);
    return NULL;
}

/* A slot whose thread has ended, or NULL. The spawner alone asks. */
static struct weft_worker *ended_worker(struct weft_runtime *rt) {
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_relaxed);
    if (atomic_load_explicit(&rt->threads_ended, memory_order_relaxed) == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
        /* Acquire: pairs with the release in thread_main(). */
        if (atomic_load_explicit(&w->ended, memory_order_acquire) !=
            WEFT_ENDED_NOT) {
            return w;
        }
    }
    return NULL;
}

/* Frees what the ended thread of `w` had, so that another may have the slot. */
static void bury(struct weft_worker *w) {
    if (atomic_load_explicit(&w->ended, memory_order_relaxed) ==
        WEFT_ENDED_TO_JOIN) {
        pthread_join(w->pthread, NULL);
    }
    if (w->stat_fd >= 0) {
        close(w->stat_fd);
        w->stat_fd = -1;
    }
}

static struct weft_worker *new_worker(struct weft_runtime *rt, uint32_t index) {
    struct weft_worker *w;
    if (posix_memalign((void **)&w, WEFT_CACHE_LINE, sizeof *w) != 0) {
        return NULL;
    }
    *w = (struct weft_worker){.runtime = rt,
                              .index = index,
                              .random = 0x9e3779b9U + index * 0x85ebca6bU,
                              .stat_fd = -1};
    weft_handover_init(&w->handover);
    return w;
}

static int add_thread_locals(struct dl_phdr_info *info, size_t size,
                             void *sum) {
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            *(size_t *)sum +=
                info->dlpi_phdr[i].p_memsz + info->dlpi_phdr[i].p_align;
        }
    }
    return 0; /* go on with the next object */
}

/* The C library puts a thread's thread-locals into its stack, and a program may
 * have any number of them: room for those as well. Fixed before the first
 * thread: an interrupted task may hold the loader's lock. */
static size_t native_stack;

static void find_native_stack(void) {
    size_t thread_locals = 0;
    dl_iterate_phdr(add_thread_locals, &thread_locals);
    native_stack = NATIVE_STACK + thread_locals;
}

static int start_thread(struct weft_worker *w) {
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, native_stack);
    int error = pthread_create(&w->pthread, &attr, thread_main, w);
    pthread_attr_destroy(&attr);
    if (error != 0) {
        return -error;
    }
    /* Acquire: pairs with the release in thread_main(). */
    while (!atomic_load_explicit(&w->started, memory_order_acquire)) {
        weft_futex_wait(&w->started, 0, WEFT_FOREVER);
    }
    return 0;
}

static int start_worker(struct weft_runtime *rt) {
    uint32_t count =
        atomic_load_explicit(&rt->worker_count, memory_order_relaxed);
    struct weft_worker *w = ended_worker(rt);
    bool used = w != NULL;
    if (used) {
        bury(w);
        atomic_store_explicit(&w->started, 0, memory_order_relaxed);
        /* Release: pairs with the acquire in is_own() (dead.c): who sees it
         * does not see the `started` of the thread before. */
        atomic_store_explicit(&w->ended, WEFT_ENDED_NOT, memory_order_release);
        atomic_fetch_sub_explicit(&rt->threads_ended, 1, memory_order_relaxed);
    } else if ((w = new_worker(rt, count)) == NULL) {
        return -ENOMEM;
    }
    int error = start_thread(w);
    if (error != 0) {
        if (used) {
            atomic_store_explicit(&w->ended, WEFT_ENDED_JOINED,
                                  memory_order_relaxed);
            atomic_fetch_add_explicit(&rt->threads_ended, 1,
                                      memory_order_relaxed);
        } else {
            free(w);
        }
        return error;
    }
    if (!used) {
        /* Release: pairs with the acquires of who walks the workers:
         * weft_watch_strays(), is_own() (dead.c), add_workers() and
         * weft_dump() (metrics.c). */
        atomic_store_explicit(&rt->workers[count], w, memory_order_relaxed);
        atomic_store_explicit(&rt->worker_count, count + 1,
                              memory_order_release);
    }
    weft_reserve_add(w);
    return 0;
}

/* OS threads that run tasks or wait to. Any thread; a snapshot. */
WEFT_TEXT uint32_t weft_threads_count(struct weft_runtime *rt) {
    return atomic_load_explicit(&rt->worker_count, memory_order_relaxed) -
           atomic_load_explicit(&rt->threads_ended, memory_order_relaxed);
}

/* Until when a new spare waits for a processor: for ever, unless there are
 * many, as after a storm of blocking calls. */
WEFT_TEXT uint64_t weft_threads_linger(struct weft_runtime *rt) {
    uint32_t enough =
        atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) +
        MANY * spare_target(rt);
    return atomic_load_explicit(&rt->idle.spares, memory_order_relaxed) <=
                   enough
               ? WEFT_FOREVER
               : weft_clock_now() + LINGER;
}

static bool is_refused(struct weft_runtime *rt) {
    return atomic_load_explicit(&rt->no_more, memory_order_relaxed);
}

/* Are there fewer spares than there should be, and may there be more? Where the
 * kernel refuses it is asked until it gives one. */
static bool wants_more(struct weft_runtime *rt) {
    uint32_t idle =
        atomic_load_explicit(&rt->idle.processors, memory_order_relaxed);
    return (atomic_load_explicit(&rt->idle.spares, memory_order_relaxed) <
                idle + spare_target(rt) ||
            is_refused(rt)) &&
           (weft_threads_count(rt) < rt->config.max_threads ||
            atomic_load_explicit(&rt->reserve, memory_order_relaxed) != NULL) &&
           atomic_load_explicit(&rt->stopped, memory_order_relaxed) == 0;
}

/* One spare more. 0, or how the kernel refuses it. */
static int make_spare(struct weft_runtime *rt) {
    if (weft_threads_count(rt) >= rt->config.max_threads) {
        weft_reserve_open(rt);
        return 0;
    }
    int error = start_worker(rt);
    if (error == 0) {
        rt->retry_after = RETRY_AFTER;
    } else {
        weft_count(&rt->threads_refused);
        weft_reserve_refused(rt);
    }
    return error;
}

static uint64_t spawner_tick(void *runtime, uint64_t now) {
    struct weft_runtime *rt = runtime;
    int error = 0;
    (void)now;
    atomic_store_explicit(&rt->dead.spawner, weft_dead_thread(),
                          memory_order_relaxed);
    weft_reserve_print(rt);
    /* Acquire: pairs with the release in weft_threads_want(): who finds the 1
     * still there has taken its spare before the look below. */
    atomic_exchange_explicit(&rt->spares_wanted, 0, memory_order_acquire);
    while (error == 0 && wants_more(rt)) {
        error = make_spare(rt);
        weft_wake(rt);
    }
    /* Release: pairs with the acquire in weft_threads_start(). */
    atomic_store_explicit(&rt->threads_tried, 1, memory_order_release);
    weft_futex_wake(&rt->threads_tried, 1);
    if (error == 0) {
        return WEFT_FOREVER;
    }
    uint64_t after = rt->retry_after;
    rt->retry_after = weft_earlier(2 * after, RETRY_MOST);
    return weft_clock_now() + after;
}

/* Spares have become few: have some made, unless the kernel has just refused
 * one: the spawner asks for it in its own time. Any thread; a signal handler.
 * Release: pairs with the acquire in spawner_tick(). */
WEFT_TEXT void weft_threads_want(struct weft_runtime *rt) {
    if (WEFT_UNLIKELY(wants_more(rt)) && !is_refused(rt) &&
        atomic_exchange_explicit(&rt->spares_wanted, 1, memory_order_release) ==
            0) {
        weft_timer_kick(&rt->spawner);
    }
}

/* Starts the thread that makes the others, and waits for the first of them.
 * -EAGAIN: there are too few to do anything with. */
int weft_threads_start(struct weft_runtime *rt) {
    find_native_stack();
    rt->retry_after = RETRY_AFTER;
    int error = weft_timer_start(
        &rt->spawner,
        &(struct weft_timer_config){
            .tick = spawner_tick, .arg = rt, .name = "weft-spawner"});
    if (error != 0) {
        return error;
    }
    /* Acquire: pairs with the release in spawner_tick(). */
    while (!atomic_load_explicit(&rt->threads_tried, memory_order_acquire)) {
        weft_futex_wait(&rt->threads_tried, 0, WEFT_FOREVER);
    }
    return weft_threads_count(rt) >= LEAST ? 0 : -EAGAIN;
}

static bool all_gone(struct weft_runtime *rt) {
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
        /* Acquire: pairs with the release in thread_main(). */
        if (atomic_load_explicit(&w->ended, memory_order_acquire) ==
            WEFT_ENDED_NOT) {
            return false;
        }
    }
    return true;
}

/* Has every worker that can end do so, which all can when all tasks have ended:
 * then it waits for as long as the machine takes. True when all have; false
 * when some still run or sleep with a task, 1 s later. */
bool weft_threads_stop(struct weft_runtime *rt, bool no_tasks) {
    uint64_t deadline = no_tasks ? WEFT_FOREVER : weft_clock_now() + WEFT_S;
    /* Nothing rests on this order: the kick and the mailboxes below hand it to
     * those who sleep, the others see it when they next look. */
    atomic_store_explicit(&rt->stopped, 1, memory_order_seq_cst);
    weft_timer_stop(&rt->spawner);
    weft_reserve_print(rt); /* if it was asked to in this moment */
    weft_reserve_open(rt);
    do {
        struct weft_worker *w;
        weft_poller_kick(&rt->poller);
        while ((w = weft_spare_pop(rt, 0, NULL)) != NULL) {
            weft_handover_give(&w->handover, &weft_processor_stop);
        }
        if (all_gone(rt)) {
            break;
        }
        usleep(200);
    } while (weft_clock_now() < deadline);
    return all_gone(rt);
}

/* Joins the threads and frees the workers, all of which have ended. Nobody
 * looks at them any more. */
void weft_threads_free(struct weft_runtime *rt) {
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
        bury(w);
        free(w);
    }
}
