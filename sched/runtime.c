/* SPDX-License-Identifier: MIT */
/* The runtime's start and end.
 *
 * Start: stacks, poller, processors, signals, threads; processor 0 goes to a
 * worker with the first task, the others are idle until there is work.
 *
 * End, when the first task has returned:
 *   1. every task is cancelled; those that wait see -ECANCELED, new ones are
 *      born cancelled
 *   2. until all have ended or the grace time is over, the workers go on
 *   3. workers end as they come to their loop; one that sleeps or runs with a
 *      task that did not end cannot: threads and stacks are then left as they
 *      are, since their frames may hold locks of libc
 *
 * Always true: `current` is set from before the first task runs until all
 * threads have gone. */
#define _GNU_SOURCE /* CPU sets */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/arch/overflow.h"
#include "weft/base/futex.h"
#include "weft/base/print.h"
#include "weft/sched/core.h"
#include "weft/sched/nodes.h"
#include "weft/sched/park_inside.h"

static _Atomic(struct weft_runtime *) current;

/* Threads that are no workers and use the runtime at this moment. What they
 * use must not be freed under them:
 *
 *     visitor                        the end of weft_run()
 *     1. visitors + 1                1. current = NULL
 *     2. current? uses it            2. waits until visitors is 0
 *     3. visitors - 1                3. frees
 *
 * Both are sequentially consistent, so one sees the other. */
static _Atomic uint32_t visitors;

/* 1 from the start of weft_run() to its end. */
static _Atomic uint32_t running;

static unsigned cpu_count(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0
                ? CPU_COUNT(&set)
                : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1
               ? 1
               : (n > WEFT_MAX_PROCESSORS ? WEFT_MAX_PROCESSORS : (unsigned)n);
}

static int settle(struct weft_config *c, const struct weft_config *asked) {
    *c = asked != NULL ? *asked : (struct weft_config){0};
    c->workers = c->workers != 0 ? c->workers : cpu_count();
    c->max_threads = c->max_threads != 0 ? c->max_threads : c->workers + 256;
    c->quantum_ns = c->quantum_ns != 0 ? c->quantum_ns : 10 * WEFT_MS;
    c->min_slice_ns = c->min_slice_ns != 0 ? c->min_slice_ns : 200 * WEFT_US;
    c->stack_size =
        c->stack_size != 0 ? c->stack_size : weft_stack_default_size();
    c->shutdown_grace_ns =
        c->shutdown_grace_ns != 0 ? c->shutdown_grace_ns : WEFT_S;
    c->preempt = weft_preempt_mode_choose(c->preempt);
    if (c->min_slice_ns > c->quantum_ns) {
        c->min_slice_ns = c->quantum_ns;
    }
    if (c->clock == WEFT_CLOCK_VIRTUAL) {
        /* There is no time until which the monitor could sleep there. */
        c->policies_off |= WEFT_POLICY_POLL;
    }
    bool good =
        c->workers <= WEFT_MAX_PROCESSORS && c->max_threads >= c->workers + 2 &&
        c->max_threads <= WEFT_MAX_WORKERS &&
        (unsigned)c->deadlock <= WEFT_DEADLOCK_IGNORE &&
        (unsigned)c->clock <= WEFT_CLOCK_VIRTUAL &&
        (unsigned)c->poller <= WEFT_POLLER_KQUEUE &&
        c->quantum_ns >= 20 * WEFT_US && c->quantum_ns <= 10 * WEFT_S &&
        (c->policies_off & ~(unsigned)WEFT_POLICY_ALL) == 0 &&
        c->stack_size >= weft_stack_min_size() && c->stack_size <= (64U << 20);
    return good ? 0 : -EINVAL;
}

struct first {
    void (*fn)(void *);
    void *arg;
    struct weft_runtime *rt;
};

static void *run_first(void *first) {
    struct first *f = first;
    f->fn(f->arg);
    weft_cancel_all(f->rt);
    /* Release: pairs with the acquire in wait_for_tasks(). */
    atomic_store_explicit(&f->rt->all_ended, 1, memory_order_release);
    weft_futex_wake(&f->rt->all_ended, 1);
    return NULL;
}

/* Who overflowed: it runs on this thread, or is leaving it. */
static void describe(void *arg, const struct weft_stack *stack, char *buf,
                     size_t size) {
    struct weft_worker *w = weft_worker_self();
    struct weft_task *t = weft_flow_of(stack)->task;
    (void)arg;
    if (w == NULL || t == NULL || (t != weft_worker_task(w) && t != w->left)) {
        return; /* "a task" is what stands in `buf` */
    }
    weft_format(buf, size, "task \"%s\" (id %llu), created at %p",
                weft_task_name(t), (unsigned long long)weft_task_id(t),
                (void *)(uintptr_t)t->creator);
}

static int make_processors(struct weft_runtime *rt) {
    size_t bytes = rt->processor_count * sizeof *rt->processors;
    if (posix_memalign((void **)&rt->processors, WEFT_CACHE_LINE, bytes) != 0) {
        return -ENOMEM;
    }
    memset(rt->processors, 0, bytes);
    weft_nodes_deal(rt);
    for (unsigned i = rt->processor_count; i-- > 0;) {
        struct weft_processor *p = &rt->processors[i];
        p->runtime = rt;
        p->mean_slice = (int64_t)rt->config.quantum_ns;
        weft_batch_init(&p->free_tasks);
        if (rt->processor_count == 1) {
            weft_local_init_alone(&p->queue);
        } else {
            weft_local_init(&p->queue);
        }
        weft_timer_heap_init(&p->timers);
        weft_idle_push(p);
    }
    return 0;
}

static void free_runtime(struct weft_runtime *rt) {
    if (rt->processors != NULL) {
        for (unsigned i = 0; i < rt->processor_count; i++) {
            weft_timer_heap_fini(&rt->processors[i].timers);
        }
        free(rt->processors);
    }
    weft_clock_fini(rt);
    for (int i = 0; i < WEFT_TOPOLOGY_NODES; i++) {
        weft_records_fini(&rt->records[i]);
    }
    weft_stack_pool_free(rt->stacks);
    free(rt);
}

static int new_runtime(const struct weft_config *config,
                       struct weft_runtime **out) {
    struct weft_config settled;
    struct weft_runtime *rt;
    int error = settle(&settled, config);
    if (error != 0) {
        return error;
    }
    if (posix_memalign((void **)&rt, WEFT_CACHE_LINE, sizeof *rt) != 0) {
        return -ENOMEM;
    }
    memset(rt, 0, sizeof *rt);
    rt->config = settled;
    rt->processor_count = settled.workers;
    rt->hog_check = weft_policy_on(&settled, WEFT_POLICY_CLASSES)
                        ? WEFT_HOG_CHECK - 1
                        : WEFT_HOG_TURNS - 1;
    rt->next_id = 1;
    atomic_init(&rt->dead.caller, weft_dead_thread());
    if (sched_getaffinity(0, sizeof rt->cpus, &rt->cpus) != 0) {
        memset(&rt->cpus, 0xff, sizeof rt->cpus);
    }
    weft_nodes_start(rt);
    weft_global_init(&rt->global);
    weft_global_init(&rt->high);
    weft_global_init(&rt->hogs);
    weft_global_init(&rt->held);
    pthread_sigmask(SIG_SETMASK, NULL, &rt->mask);
    sigdelset(&rt->mask, SIGURG);
    for (int i = 0; i < WEFT_TOPOLOGY_NODES; i++) {
        weft_records_init(&rt->records[i], WEFT_RECORD_PARTS, WEFT_RECORD_PART);
    }
    error = weft_clock_init(rt);
    if (error == 0) {
        error = weft_stack_pool_new(
            &rt->stacks,
            &(struct weft_stack_pool_config){.nodes = rt->topology.count});
    }
    if (error == 0) {
        /* What processors keep is missing elsewhere: see birth.c. */
        error = weft_stack_reserve(rt->stacks, rt->config.stack_size,
                                   rt->processor_count * WEFT_STACK_CACHE);
    }
    if (error == 0) {
        error = make_processors(rt);
    }
    if (error == 0) {
        error =
            weft_poller_init(&rt->poller, weft_poller_choose(settled.poller));
    }
    if (error != 0) {
        free_runtime(rt);
        return error;
    }
    *out = rt;
    return 0;
}

static int start(struct weft_runtime *rt, struct first *first) {
    static const struct weft_task_options options = {.name = "main"};
    struct weft_task *t;
    int error = weft_keep_install(rt);
    rt->keeps = weft_exceptions_of_thread() != NULL ? WEFT_KEEPS_EXCEPTIONS : 0;
    weft_migrate_start(rt);
    if (error != 0) {
        return error;
    }
    (void)weft_overflow_install(rt->stacks, describe, rt);
    /* Before there is anybody who might kick it. */
    error = weft_timer_start(
        &rt->monitor, &(struct weft_timer_config){.tick = weft_monitor_tick,
                                                  .arg = rt,
                                                  .name = "weft-monitor",
                                                  .elastic = true});
    if (error == 0) {
        error = weft_threads_start(rt);
    }
    if (error == 0) {
        /* All is there that a thread from outside may use. Release: pairs with
         * the acquire in weft_runtime_borrow(). */
        atomic_store_explicit(&current, rt, memory_order_release);
        error = weft_spawn(&t, run_first, first, &options);
    }
    if (error == 0) {
        error = weft_detach(t);
    }
    return error;
}

/* Waits for the first task, then for the others as long as they may take. True
 * when all have ended: from then on there are none, since tasks alone may make
 * tasks (count_foreign() in spawn.c). */
static bool wait_for_tasks(struct weft_runtime *rt) {
    uint32_t ended;
    /* Acquire: pairs with the release in run_first(). */
    while ((ended = atomic_load_explicit(&rt->all_ended,
                                         memory_order_acquire)) == 0) {
        weft_futex_wait(&rt->all_ended, ended, WEFT_FOREVER);
    }
    uint64_t began = weft_clock_now();
    uint64_t age = 0;
    uint64_t sweep = WEFT_MS; /* the age at which it looks for all again */
    unsigned us = 10;
    bool all = weft_tasks_all_ended(rt);
    while (!all && age < rt->config.shutdown_grace_ns) {
        usleep(us);
        us = us < 2000 ? us + us / 2 : us;
        age = weft_clock_now() - began;
        if (age >= sweep) {
            weft_cancel_all(rt); /* those that were being born */
            sweep = 2 * age;
        }
        all = weft_tasks_all_ended(rt);
    }
    return all;
}

/* True when nothing was left behind. */
static bool stop(struct weft_runtime *rt, bool no_tasks) {
    bool clean = weft_threads_stop(rt, no_tasks);
    weft_poller_kick(&rt->poller);
    weft_timer_kick(&rt->monitor);
    weft_timer_stop(&rt->monitor);
    (void)weft_signals_uninstall();
    weft_overflow_uninstall();
    return clean;
}

static void see_visitors_off(void) {
    /* Both pair with weft_runtime_borrow(), the second, as an acquire, with
     * weft_runtime_return() too: see the columns at `visitors`. */
    atomic_store_explicit(&current, NULL, memory_order_seq_cst);
    while (atomic_load_explicit(&visitors, memory_order_seq_cst) != 0) {
        usleep(10);
    }
}

/* The child of a fork() has one thread, and of the runtime nothing but its
 * memory: all calls are from outside there, with no runtime to be found. */
static void after_fork_in_child(void) {
    struct weft_poller *poller = weft_poller_current();
    if (poller != NULL) {
        weft_poller_forked(poller);
    }
    weft_thread_forget();
    atomic_store_explicit(&current, NULL, memory_order_relaxed);
    atomic_store_explicit(&visitors, 0, memory_order_relaxed);
}

static void prepare_process(void) {
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

int weft_run(const struct weft_config *config, void (*fn)(void *), void *arg) {
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    struct weft_runtime *rt = NULL;
    /* Acquire: pairs with the release of 0 below, of the runtime before. */
    if (weft_self() != NULL ||
        atomic_exchange_explicit(&running, 1, memory_order_acquire) != 0) {
        return -EALREADY;
    }
    pthread_once(&prepared, prepare_process);
    int error = new_runtime(config, &rt);
    if (error == 0) {
        struct first first = {fn, arg, rt};
        error = start(rt, &first);
        bool all = error == 0 ? wait_for_tasks(rt) : weft_tasks_all_ended(rt);
        bool clean = stop(rt, all);
        see_visitors_off();
        if (clean) {
            weft_threads_free(rt);
        }
        if (clean && all) {
            weft_poller_fini(&rt->poller);
            free_runtime(rt);
        } else {
            weft_poller_retire(&rt->poller);
            error = error == 0 ? -EBUSY : error;
        }
    }
    /* Release: pairs with the acquire above, of the next runtime. */
    atomic_store_explicit(&running, 0, memory_order_release);
    return error;
}

WEFT_TEXT struct weft_runtime *weft_runtime_borrow(struct weft_worker *w) {
    if (WEFT_LIKELY(w != NULL)) {
        return w->runtime;
    }
    /* Both: see the columns at `visitors`. The second pairs, as an acquire,
     * with the release in weft_run(). */
    atomic_fetch_add_explicit(&visitors, 1, memory_order_seq_cst);
    return atomic_load_explicit(&current, memory_order_seq_cst);
}

WEFT_TEXT void weft_runtime_return(struct weft_worker *w) {
    if (WEFT_UNLIKELY(w == NULL)) {
        /* Release: pairs with the load in see_visitors_off(): what was done
         * with the runtime comes before it is freed. */
        atomic_fetch_sub_explicit(&visitors, 1, memory_order_release);
    }
}

/* The processor was taken. Not part of its caller, which so needs no frame. */
static WEFT_NOINLINE WEFT_TEXT struct weft_task *regain(struct weft_worker *w) {
    weft_worker_regain(w);
    return weft_worker_task(w);
}

WEFT_TEXT struct weft_task *weft_runtime_enter_slowly(void) {
    struct weft_worker *w = weft_worker_self();
    return w == NULL ? NULL : regain(w);
}

WEFT_TEXT struct weft_task *weft_runtime_enter(void) {
    struct weft_worker *w = weft_worker_self();
    if (WEFT_UNLIKELY(w == NULL)) {
        return NULL;
    }
    return WEFT_LIKELY(weft_enter_as(w)) ? weft_worker_task(w) : regain(w);
}

WEFT_TEXT void weft_runtime_leave(void) {
    struct weft_worker *w = weft_worker_self();
    if (w != NULL) {
        weft_leave(w);
    }
}
