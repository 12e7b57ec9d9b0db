/* SPDX-License-Identifier: MIT */
/* Each of the scheduler's operations N times, and nothing else that grows with
 * N: bench/costs runs this under callgrind with two Ns, and the difference is
 * what one operation takes in instructions, the same in each run.
 *
 *     cost_loops OPERATION N
 *
 * One worker, preemption off, so that no other thread has work. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/queue/local_queue.h"
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sync/channel.h"

enum { BATCH = 100, ITEMS = 32 };

static uint64_t count;

static void *yield_count(void *arg) {
    for (uint64_t i = 0; i < count; i += 2) {
        weft_yield();
    }
    return arg;
}

/* Two tasks take turns; `count` yields in all. */
static void yields(void *arg) {
    struct weft_task *other;
    WEFT_CHECK(weft_spawn(&other, yield_count, NULL, NULL) == 0);
    yield_count(arg);
    WEFT_CHECK(weft_join(other, NULL) == 0);
}

static void *nothing(void *arg) {
    return arg;
}

static void spawn_join(void *arg) {
    struct weft_task *tasks[BATCH];
    (void)arg;
    for (uint64_t i = 0; i < count; i += BATCH) {
        for (int k = 0; k < BATCH; k++) {
            WEFT_CHECK(weft_spawn(&tasks[k], nothing, NULL, NULL) == 0);
        }
        for (int k = 0; k < BATCH; k++) {
            WEFT_CHECK(weft_join(tasks[k], NULL) == 0);
        }
    }
}

static struct weft_task *partners[2];

static void *park_count(void *arg) {
    struct weft_task *other = partners[1 - (intptr_t)arg];
    for (uint64_t i = 0; i < count; i += 2) {
        weft_unpark(other);
        weft_park(WEFT_FOREVER, "bench");
    }
    weft_unpark(other);
    return NULL;
}

/* Two tasks wake each other; `count` waits in all. */
static void parks(void *arg) {
    (void)arg;
    partners[0] = weft_self();
    WEFT_CHECK(weft_spawn(&partners[1], park_count, (void *)1, NULL) == 0);
    park_count(NULL);
    WEFT_CHECK(weft_join(partners[1], NULL) == 0);
}

static struct weft_channel *there, *back;

static void *echo(void *arg) {
    uintptr_t value;
    while (weft_channel_recv(there, &value) == 0) {
        weft_channel_send(back, &value);
    }
    return arg;
}

static void channel(void *arg) {
    struct weft_task *task;
    uintptr_t value = 0;
    (void)arg;
    WEFT_CHECK(weft_channel_new(&there, 1, sizeof value) == 0);
    WEFT_CHECK(weft_channel_new(&back, 1, sizeof value) == 0);
    WEFT_CHECK(weft_spawn(&task, echo, NULL, NULL) == 0);
    for (uint64_t i = 0; i < count; i++) {
        weft_channel_send(there, &value);
        weft_channel_recv(back, &value);
    }
    weft_channel_close(there);
    WEFT_CHECK(weft_join(task, NULL) == 0);
    weft_channel_free(there);
    weft_channel_free(back);
}

static struct weft_local from, to;
static struct weft_node nodes[ITEMS];

static void push_items(void) {
    struct weft_batch overflow;
    for (int k = 0; k < ITEMS; k++) {
        WEFT_CHECK(weft_local_push(&from, &nodes[k], &overflow));
    }
}

/* `count` nodes pushed and popped by the owner. */
static void push_pop(void *arg) {
    (void)arg;
    weft_local_init(&from);
    for (uint64_t i = 0; i < count; i += ITEMS) {
        push_items();
        while (weft_local_pop(&from) != NULL) {
        }
    }
}

/* `count` nodes pushed, stolen half by half, and popped by the thief. */
static void push_steal_pop(void *arg) {
    (void)arg;
    weft_local_init(&from);
    weft_local_init(&to);
    for (uint64_t i = 0; i < count; i += ITEMS) {
        push_items();
        while (weft_local_steal(&to, &from) != NULL) {
            while (weft_local_pop(&to) != NULL) {
            }
        }
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void *);
        int in_runtime;
    } all[] = {
        {"yield", yields, 1},      {"spawn_join", spawn_join, 1},
        {"park_unpark", parks, 1}, {"channel_round_trip", channel, 1},
        {"push_pop", push_pop, 0}, {"push_steal_pop", push_steal_pop, 0},
    };
    struct weft_config config = {.workers = 1, .preempt = WEFT_PREEMPT_OFF};
    count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && count > 0; i++) {
        if (strcmp(argv[1], all[i].name) != 0) {
            continue;
        }
        if (all[i].in_runtime) {
            WEFT_CHECK(weft_run(&config, all[i].run, NULL) == 0);
        } else {
            all[i].run(NULL);
        }
        return 0;
    }
    fprintf(stderr, "cost_loops: OPERATION N; operations:");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        fprintf(stderr, " %s", all[i].name);
    }
    fprintf(stderr, "\n");
    return 2;
}
