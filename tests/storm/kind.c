/* SPDX-License-Identifier: MIT */
/* The list of kinds, and a storm of some of them. Each task notes its rounds
 * where the watchdog can read them, so that a stall names who stands still. */
#include "tests/storm/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/print.h"

enum { MAX_TASKS = 4096, MAX_KINDS = 128, MAX_THREADS = 2048 };

static struct storm_kind *first;

/* The storm that runs. */
static const struct storm_kind *running[MAX_KINDS];
static unsigned running_count;
static unsigned task_count;
static _Atomic uint64_t progress[MAX_TASKS]; /* rounds; its task writes */

void storm_kind_add(struct storm_kind *kind) {
    struct storm_kind **at = &first;
    while (*at != NULL && strcmp((*at)->name, kind->name) < 0) {
        at = &(*at)->next;
    }
    kind->next = *at;
    *at = kind;
}

const struct storm_kind *storm_kinds(void) {
    return first;
}

bool storm_is_emulated(void) {
    return getenv("WEFT_EMULATOR") != NULL; /* tools/qemu_run sets it */
}

uint32_t storm_random(struct storm_task *self) {
    self->random = self->random * 1664525U + 1013904223U;
    return self->random >> 8;
}

void storm_work(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        __asm__ volatile("");
    }
}

static void *run_rounds(void *index) {
    unsigned i = (unsigned)(uintptr_t)index;
    const struct storm_kind *kind = running[i % running_count];
    struct storm_task self = {.index = i, .random = i * 2654435761U + 1};
    weft_set_name(kind->name);
    do {
        kind->round(&self);
        self.rounds++;
        atomic_store_explicit(&progress[i], self.rounds, memory_order_relaxed);
    } while (!storm_over());
    return (void *)(uintptr_t)self.rounds;
}

/* For the watchdog; says how far each task got. */
static bool has_moved(void) {
    static uint64_t seen;
    uint64_t sum = 0;
    for (unsigned i = 0; i < task_count; i++) {
        uint64_t rounds =
            atomic_load_explicit(&progress[i], memory_order_relaxed);
        weft_print(STDERR_FILENO, "task %u, %s: %llu rounds\n", i,
                   running[i % running_count]->name,
                   (unsigned long long)rounds);
        sum += rounds;
    }
    bool moved = sum != seen;
    seen = sum;
    return moved;
}

static void begin_all(const struct storm_kind *const *kinds, unsigned count) {
    running_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (kinds[i]->begin == NULL || kinds[i]->begin()) {
            assert_true(running_count < MAX_KINDS);
            running[running_count++] = kinds[i];
        } else {
            print_message("%s: not to be had here\n", kinds[i]->name);
        }
    }
}

static uint64_t rounds_of(unsigned kind) {
    uint64_t sum = 0;
    for (unsigned i = kind; i < task_count; i += running_count) {
        uint64_t rounds =
            atomic_load_explicit(&progress[i], memory_order_relaxed);
        assert_int_not_equal(rounds, 0);
        sum += rounds;
    }
    return sum;
}

uint64_t storm_kinds_run(const struct storm_plan *plan,
                         const struct storm_kind *const *kinds,
                         unsigned count) {
    struct weft_config config = {.workers = plan->workers,
                                 .max_threads = MAX_THREADS,
                                 .quantum_ns = plan->quantum_us * WEFT_US,
                                 .min_slice_ns = plan->quantum_us * WEFT_US,
                                 /* on a machine that is busy otherwise */
                                 .shutdown_grace_ns = 50 * WEFT_S};
    uint64_t sum = 0;
    assert_true(plan->tasks <= MAX_TASKS);
    begin_all(kinds, count);
    if (running_count == 0) {
        return 0;
    }
    task_count = plan->tasks;
    for (unsigned i = 0; i < task_count; i++) {
        atomic_store_explicit(&progress[i], 0, memory_order_relaxed);
    }
    storm_on_stall(has_moved);
    uint64_t joined =
        storm_tasks_with(&config, plan->tasks, plan->ms, run_rounds);
    storm_on_stall(NULL);
    for (unsigned i = 0; i < running_count && i < task_count; i++) {
        uint64_t rounds = rounds_of(i);
        sum += rounds;
        if (running[i]->end != NULL) {
            running[i]->end(rounds);
        }
    }
    assert_int_equal(joined, sum); /* no task lost, none twice */
    return sum;
}
