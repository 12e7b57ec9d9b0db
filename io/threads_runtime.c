/* SPDX-License-Identifier: MIT */
/* A stand-in for the scheduler, for tests: each task is an OS thread, one more
 * thread polls. What io promises is tested on it without the scheduler's help,
 * and with every interleaving that the kernel's threads can make. Only what io
 * and its tests use is here. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "weft/base/check.h"
#include "weft/base/futex.h"
#include "weft/io/testing.h"
#include "weft/sched/park.h"
#include "weft/sched/poller.h"
#include "weft/sched/task.h"

#define WAITERS 64

struct weft_task {
    _Atomic uint32_t token;     /* any thread: 1 given */
    _Atomic uint32_t cancelled; /* any thread */
    pthread_t thread;           /* fixed after weft_spawn() */
    void *(*fn)(void *);        /* fixed */
    void *arg;                  /* fixed */
    struct weft_task *next;     /* a late unpark finds the record: all are kept
                                 * until the runtime ends */
};

static _Thread_local struct weft_task *self;
static struct weft_poller poller;
static _Atomic uint32_t stop;
static _Atomic(struct weft_task *) all;

struct weft_task *weft_self(void) {
    return self;
}

struct weft_task *weft_runtime_enter(void) {
    return NULL;
}

void weft_runtime_leave(void) {
}

void weft_unpark(struct weft_task *task) {
    /* Release: pairs with the acquire in weft_park(). */
    atomic_store_explicit(&task->token, 1, memory_order_release);
    weft_futex_wake(&task->token, 1);
}

int weft_park(uint64_t deadline, const char *why) {
    (void)why;
    for (;;) {
        if (atomic_load_explicit(&self->cancelled, memory_order_relaxed) != 0) {
            return -ECANCELED;
        }
        /* Acquire: pairs with the release in weft_unpark(). */
        if (atomic_exchange_explicit(&self->token, 0, memory_order_acquire)) {
            return 0;
        }
        if (weft_futex_wait(&self->token, 0, deadline) == -ETIMEDOUT) {
            return -ETIMEDOUT;
        }
    }
}

int weft_cancel(struct weft_task *task) {
    atomic_store_explicit(&task->cancelled, 1, memory_order_relaxed);
    weft_unpark(task);
    return 0;
}

void weft_check_slowly(void) {
}

void weft_yield(void) {
    sched_yield();
}

int weft_sleep(uint64_t ns) {
    struct timespec time = weft_ns_timespec(ns);
    return -clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

uint64_t weft_now(void) {
    return weft_clock_now();
}

static void *run_task(void *arg) {
    self = arg;
    return self->fn(self->arg);
}

int weft_spawn(struct weft_task **out, void *(*fn)(void *), void *arg,
               const struct weft_task_options *options) {
    (void)options;
    struct weft_task *task = calloc(1, sizeof(*task));
    WEFT_CHECK(task != NULL);
    task->fn = fn;
    task->arg = arg;
    task->next = atomic_load_explicit(&all, memory_order_relaxed);
    /* Release: pairs with the acquire in weft_testing_run(). */
    while (!atomic_compare_exchange_weak_explicit(
        &all, &task->next, task, memory_order_release, memory_order_relaxed)) {
    }
    *out = task;
    return -pthread_create(&task->thread, NULL, run_task, task);
}

int weft_join(struct weft_task *task, void **result) {
    return -pthread_join(task->thread, result);
}

static void *poll_for_all(void *arg) {
    (void)arg;
    while (atomic_load_explicit(&stop, memory_order_relaxed) == 0) {
        void *waiters[WAITERS];
        int count = weft_poller_wait(&poller, WEFT_FOREVER, waiters, WAITERS);
        for (int i = 0; i < count; i++) {
            weft_unpark(waiters[i]);
        }
    }
    return NULL;
}

static void *run_body(void *arg) {
    void (**body)(void *) = arg;
    (*body)(NULL);
    return NULL;
}

int weft_testing_run(void (*body)(void *arg)) {
    pthread_t polling;
    struct weft_task *task;
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    enum weft_poller_kind kind = weft_poller_choose(WEFT_POLLER_AUTO);
    WEFT_CHECK_OP(weft_poller_init(&poller, kind), ==, 0);
    WEFT_CHECK_OP(pthread_create(&polling, NULL, poll_for_all, NULL), ==, 0);
    WEFT_CHECK_OP(weft_spawn(&task, run_body, &body, NULL), ==, 0);
    weft_join(task, NULL);
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    weft_poller_kick(&poller);
    pthread_join(polling, NULL);
    WEFT_CHECK_OP(weft_poller_waiting(&poller), ==, 0U);
    weft_poller_fini(&poller);
    /* Acquire: pairs with the release in weft_spawn(). */
    struct weft_task *next =
        atomic_exchange_explicit(&all, NULL, memory_order_acquire);
    while (next != NULL) {
        task = next;
        next = task->next;
        free(task);
    }
    return 0;
}
