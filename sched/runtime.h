/* SPDX-License-Identifier: MIT */
/* The runtime as a whole: start, end, and what it has counted.
 *
 * One runtime at a time in a process; another may be started when weft_run()
 * has returned. */
#ifndef WEFT_SCHED_RUNTIME_H_
#define WEFT_SCHED_RUNTIME_H_

#include <stddef.h>
#include <stdint.h>

#include "weft/preempt/mode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The scheduler's policies (docs/scheduler.md), as bits for
 * weft_config.policies_off. */
enum weft_policy {
    WEFT_POLICY_WAKE_UP = 1 << 0, /* a ready task takes a running one's place
                                   * after the minimum slice */
    WEFT_POLICY_POLL = 1 << 1,    /* the monitor sleeps in the poller while all
                                   * processors are busy */
    WEFT_POLICY_CLASSES = 1
                          << 2, /* light tasks pass hogs, which keep a share */
    WEFT_POLICY_SLICE =
        1 << 3,               /* the kernel's slices: hogs long, others short */
    WEFT_POLICY_PIN = 1 << 4, /* a processor is handed over on one CPU */
    WEFT_POLICY_QUANTUM = 1 << 5, /* the quantum adapts to how many wait */
    WEFT_POLICY_QUIET = 1 << 6,   /* no tick where nobody waits */
    WEFT_POLICY_ALARM = 1 << 7,   /* threads that run hogs have alarms of their
                                   * own, beside the monitor's look */
    WEFT_POLICY_NODES = 1 << 8,   /* processors, their threads and their tasks'
                                   * memory keep to one memory node each */
    WEFT_POLICY_ALL = (1 << 9) - 1,
};

/* What is done when all tasks wait and nothing can wake them. */
enum weft_deadlock {
    WEFT_DEADLOCK_REPORT, /* a line and all tasks to standard error, then the
                           * process ends with status 2 */
    WEFT_DEADLOCK_IGNORE, /* nothing: somebody will come that weft does not know
                           * of, as a signal handler that makes a thread */
};

/* The clock of weft_now(), of sleeps and of deadlines. */
enum weft_clock {
    WEFT_CLOCK_REAL,    /* CLOCK_MONOTONIC */
    WEFT_CLOCK_VIRTUAL, /* stands still while anything runs, and jumps to the
                         * next deadline when all wait: for tests; see
                         * weft/sched/virtual_clock.h */
};

/* How the kernel is asked which descriptors are ready (docs/scheduler.md). */
enum weft_poller_kind {
    WEFT_POLLER_AUTO,   /* WEFT_POLLER=epoll|uring in the environment, else what
                         * was measured to be the best: epoll */
    WEFT_POLLER_EPOLL,  /* Linux */
    WEFT_POLLER_URING,  /* Linux 6.13 and later, where io_uring is allowed; else
                         * epoll. Where a thread computes, news of descriptors
                         * that were opened on it interrupt it. For programs
                         * that measure a gain */
    WEFT_POLLER_KQUEUE, /* macOS and the BSDs: written, and verified on none */
};

/* All fields may be 0, which means the default. */
struct weft_config {
    unsigned workers;      /* processors, 1 to 256; 0: the CPUs that the process
                            * may use */
    unsigned max_threads;  /* cap on OS threads that run tasks, at least
                            * workers + 2, at most 4,096; 0: workers + 256. Past
                            * it preemptions are skipped and counted; so where
                            * the kernel gives no more */
    uint64_t quantum_ns;   /* 100 us to 10 s (50 us in tests); 0: 10 ms. Where
                            * few wait it is up to twice this, where many do
                            * down to a quarter, but not below 1 ms */
    uint64_t min_slice_ns; /* how long a task runs before one that wakes may
                            * take its place; 0: 200 us */
    enum weft_preempt_mode preempt; /* DEFAULT: WEFT_PREEMPT in the environment,
                                     * else signals */
    size_t stack_size; /* of a task, 16 KiB and more; 0: 64 KiB, more under a
                        * sanitizer */
    unsigned policies_off; /* enum weft_policy bits: what the scheduler shall do
                            * without, for research and benches; 0: nothing */
    uint64_t shutdown_grace_ns; /* how long tasks that are left over may take to
                                 * end after they were cancelled; 0: 1 s */
    enum weft_deadlock deadlock;  /* 0: reported; never while the process has a
                                   * thread that is not weft's */
    enum weft_clock clock;        /* 0: the real one */
    enum weft_poller_kind poller; /* 0: epoll, unless WEFT_POLLER says else */
    const char *topology; /* where devices/system/node/node<N>/cpulist tell the
                           * memory nodes; NULL: /sys. For tests */
};

/* Runs `fn(arg)` as the first task, with `config` (NULL: all defaults), on OS
 * threads of its own; the calling thread waits. When `fn` has returned, the
 * tasks that are left are cancelled: those that wait get -ECANCELED, and all
 * have the grace time to end. Returns 0; -EBUSY when tasks did not end in time
 * (their OS threads and stacks are left as they are, asleep for ever);
 * -EALREADY when a runtime is running; -EINVAL for a bad configuration;
 * -ENOMEM, -EAGAIN when memory or threads could not be had: four at least, two
 * of them for tasks. Context: any thread that is not a task. */
int weft_run(const struct weft_config *config, void (*fn)(void *), void *arg);

/* Counters since the start of the runtime; sums over processors, a snapshot. */
struct weft_metrics {
    unsigned workers;          /* processors */
    unsigned nodes;            /* memory nodes that they are dealt out over */
    unsigned threads;          /* OS threads that run tasks or wait to */
    unsigned spare_threads;    /* of those, waiting for a processor */
    unsigned kept_threads;     /* of those, asleep with a task: interrupted, or
                                * pinned and waiting */
    unsigned blocked_threads;  /* of those, in a call that blocks */
    uint64_t tasks;            /* alive now */
    uint64_t spawned;          /* ever */
    uint64_t switches;         /* tasks chosen to run */
    uint64_t steals;           /* successful, each of one or more tasks */
    uint64_t far_steals;       /* of those, from another memory node */
    uint64_t stolen;           /* tasks that moved by stealing */
    uint64_t overflows;        /* local queues that spilled */
    uint64_t parks, unparks;   /* workers that slept, and were woken */
    uint64_t polls;            /* looks at the poller */
    uint64_t local_queue;      /* tasks waiting in local queues */
    uint64_t global_queue;     /* in the global queue */
    uint64_t hog_queue;        /* interrupted, waiting for their turn */
    uint64_t timers;           /* armed */
    uint64_t checks;           /* looks of the monitor at a running task */
    uint64_t requests;         /* preemptions asked for */
    uint64_t alarms;           /* threads' own alarms that went off */
    uint64_t cut_short;        /* of those, in a call that returned EINTR */
    uint64_t preempt_kept;     /* way 2: kept its thread, processor moved */
    uint64_t preempt_migrated; /* way 3: left its thread, a migratable task */
    uint64_t migrate_refused;  /* such a task took way 2: see migratable */
    uint64_t preempt_yielded;  /* at a scheduling point, or cooperative */
    uint64_t deferred;         /* way 1: in the runtime, or gate closed */
    uint64_t deferred_libc;    /* put off since in a library */
    uint64_t skipped_at_cap;   /* no OS thread to go on with */
    uint64_t held_at_cap;      /* tasks that wait for one to begin on, now */
    uint64_t threads_refused;  /* times the kernel gave none when asked */
    uint64_t retaken;          /* processors taken from blocked threads */
    enum weft_preempt_mode preempt; /* the mode that is in force */
    enum weft_poller_kind poller;   /* the one in use */
};

/* Fills `*out`; all zero when no runtime runs. Context: any thread; does not
 * switch. */
void weft_metrics_read(struct weft_metrics *out);

/* Writes a line for each task and each worker to `fd`: name, id, state, what it
 * waits for. For a look from outside at a program that stands still.
 * Context: any thread; does not switch. */
void weft_dump(int fd);

#ifdef __cplusplus
}
#endif

#endif
