/* SPDX-License-Identifier: MIT */
/* What the processors share, by how often they touch it: acquisitions of the
 * runtime's locks, and those that had to wait, for each 1,000 operations, by
 * the file whose lock it is; beside them steals and sleeps of workers. The
 * counts are what docs/scaling.md argues from.
 *
 *   spawn    a tree of 111,111 tasks, each joined by its parent: per task
 *   channel  64 pairs of tasks, a value there and back: per round trip
 *   yield    256 tasks that yield: per yield
 *   sleep    256 tasks that sleep for 0 to 100 us: per sleep
 *
 * Each with 1, 2, 4 and 8 workers, however few CPUs there are: with more
 * workers than CPUs a holder may be off its CPU, which makes waiting look
 * worse, and true parallel arrivals are as many as there are CPUs, which makes
 * it look better. Without -DWEFT_LOCK_COUNTS the columns of the locks are
 * missing.
 *
 * Surprising would be: a lock that `yield` or `channel` takes each time.
 *
 *   bazel run -c opt --copt=-DWEFT_LOCK_COUNTS //bench:contention_bench */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/lock.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sync/channel.h"

enum {
    FAN = 10,
    LEVELS = 5,
    TREE = 111111,
    PAIRS = 64,
    TRIPS = 2000,
    MANY = 256,
    YIELDS = 2000,
    SLEEPS = 100,
};

static void *branch(void *level) {
    struct weft_task *child[FAN];
    uintptr_t left = (uintptr_t)level;
    for (int i = 0; left > 0 && i < FAN; i++) {
        WEFT_CHECK_OP(weft_spawn(&child[i], branch, (void *)(left - 1), NULL),
                      ==, 0);
    }
    for (int i = 0; left > 0 && i < FAN; i++) {
        WEFT_CHECK_OP(weft_join(child[i], NULL), ==, 0);
    }
    return NULL;
}

static uint64_t spawn_tree(void) {
    branch((void *)(uintptr_t)LEVELS);
    return TREE;
}

static void spawn_all(void *(*fn)(void *), void *const *args, int count) {
    static struct weft_task *t[2 * MANY];
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(
            weft_spawn(&t[i], fn, args != NULL ? args[i] : (void *)(uintptr_t)i,
                       NULL),
            ==, 0);
    }
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static struct weft_channel *there[PAIRS], *back[PAIRS];

static void *talk(void *index) {
    uintptr_t i = (uintptr_t)index / 2;
    bool first = (uintptr_t)index % 2 == 0;
    int value = 0;
    for (int trip = 0; trip < TRIPS; trip++) {
        if (first) {
            weft_channel_send(there[i], &value);
        }
        weft_channel_recv(first ? back[i] : there[i], &value);
        if (!first) {
            weft_channel_send(back[i], &value);
        }
    }
    return NULL;
}

static uint64_t talk_in_pairs(void) {
    for (int i = 0; i < PAIRS; i++) {
        WEFT_CHECK_OP(weft_channel_new(&there[i], 1, sizeof(int)), ==, 0);
        WEFT_CHECK_OP(weft_channel_new(&back[i], 1, sizeof(int)), ==, 0);
    }
    spawn_all(talk, NULL, 2 * PAIRS);
    for (int i = 0; i < PAIRS; i++) {
        weft_channel_free(there[i]);
        weft_channel_free(back[i]);
    }
    return PAIRS * TRIPS;
}

static void *yield_often(void *index) {
    for (int i = 0; i < YIELDS; i++) {
        weft_yield();
    }
    return index;
}

static uint64_t yield_all(void) {
    spawn_all(yield_often, NULL, MANY);
    return MANY * YIELDS;
}

static void *sleep_often(void *index) {
    uint32_t x = (uint32_t)(uintptr_t)index + 1;
    for (int i = 0; i < SLEEPS; i++) {
        x = x * 1664525 + 1013904223;
        weft_sleep((x >> 16) % 100 * WEFT_US);
    }
    return index;
}

static uint64_t sleep_all(void) {
    spawn_all(sleep_often, NULL, MANY);
    return MANY * SLEEPS;
}

static const struct row {
    const char *name;
    uint64_t (*fn)(void);
} rows[] = {
    {"spawn", spawn_tree},
    {"channel", talk_in_pairs},
    {"yield", yield_all},
    {"sleep", sleep_all},
};

static const char *current; /* the row, and how many workers */
static unsigned workers;

static void show(const char *what, double value, const char *unit) {
    printf("%s/%u/%s %.3f %s\n", current, workers, what, value, unit);
}

#ifdef WEFT_LOCK_COUNTS
static void clear_locks(void) {
    for (int i = 0; i < WEFT_LOCK_FILES; i++) {
        atomic_store_explicit(&weft_lock_counts[i].taken, 0,
                              memory_order_relaxed);
        atomic_store_explicit(&weft_lock_counts[i].waited, 0,
                              memory_order_relaxed);
    }
}

static void show_locks(uint64_t count) {
    for (int i = 0; i < WEFT_LOCK_FILES; i++) {
        struct weft_lock_count *c = &weft_lock_counts[i];
        const char *file = atomic_load_explicit(&c->file, memory_order_relaxed);
        double taken =
            (double)atomic_load_explicit(&c->taken, memory_order_relaxed);
        double waited =
            (double)atomic_load_explicit(&c->waited, memory_order_relaxed);
        if (file != NULL && taken > 0) {
            char name[128];
            snprintf(name, sizeof name, "%s/taken", file);
            show(name, 1000 * taken / (double)count, "per_1000");
            snprintf(name, sizeof name, "%s/waited", file);
            show(name, 1000 * waited / (double)count, "per_1000");
        }
    }
}
#else
static void clear_locks(void) {
}

static void show_locks(uint64_t count) {
    (void)count;
}
#endif

static void measure(void *arg) {
    const struct row *row = arg;
    struct weft_metrics before, after;
    row->fn(); /* caches are full, threads are there */
    clear_locks();
    weft_metrics_read(&before);
    uint64_t began = weft_now();
    uint64_t count = row->fn();
    uint64_t took = weft_now() - began;
    show_locks(count);
    weft_metrics_read(&after);
    double n = (double)count;
    show("time", (double)took / n, "ns");
    show("steals", 1000 * (double)(after.steals - before.steals) / n,
         "per_1000");
    show("sleeps_of_workers", 1000 * (double)(after.parks - before.parks) / n,
         "per_1000");
}

int main(void) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (workers = 1; workers <= 8; workers *= 2) {
            struct weft_config config = {.workers = workers};
            current = rows[i].name;
            WEFT_CHECK_OP(weft_run(&config, measure, (void *)&rows[i]), ==, 0);
            fflush(stdout);
        }
    }
    return 0;
}
