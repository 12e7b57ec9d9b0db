/* SPDX-License-Identifier: MIT */
/* The timed loops for a global queue; included once by each file that defines
 *
 *     GLOBAL            its type
 *     global_init, global_push, global_push_batch, global_pop,
 *     global_pop_batch  as weft/queue/global_queue.h has them
 *     LOOPS, NAME       what to call the table */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/bench/queue_loops.h"
#include "weft/bench/queue_threads.h"
#include "weft/queue/node.h"

enum { BATCH = 64, MOST = 4 };

static struct weft_node nodes[MOST][BATCH];
static GLOBAL global;

static double single(uint64_t ops) {
    global_init(&global);
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i++) {
        global_push(&global, &nodes[0][i % BATCH]);
        WEFT_CHECK(global_pop(&global) != NULL);
    }
    return (double)(weft_clock_now() - start);
}

static double batch(uint64_t ops) {
    struct weft_batch list;
    weft_batch_init(&list);
    global_init(&global);
    for (uint32_t i = 0; i < BATCH; i++) {
        weft_batch_push(&list, &nodes[0][i]);
    }
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i += BATCH) {
        global_push_batch(&global, &list);
        WEFT_CHECK(global_pop_batch(&global, BATCH, &list) == BATCH);
    }
    return (double)(weft_clock_now() - start);
}

struct share {
    uint64_t ops;
    struct weft_node *first;
};

/* Pushes one and pops one, whosever it is; another's push may be under way. */
static void push_and_pop(void *arg) {
    struct share *share = arg;
    struct weft_node *node = share->first;
    uint32_t rounds = 0;
    for (uint64_t i = 0; i < share->ops; i++) {
        global_push(&global, node);
        while ((node = global_pop(&global)) == NULL) {
            bench_relax(&rounds);
        }
    }
}

static _Atomic uint32_t next_pair;

static void pair_member(void *arg) {
    struct share mine = *(struct share *)arg;
    uint32_t i = atomic_fetch_add_explicit(&next_pair, 1, memory_order_relaxed);
    mine.first = nodes[i % MOST];
    push_and_pop(&mine);
}

static double two(uint64_t ops) {
    struct share share = {.ops = ops / 2};
    global_init(&global);
    return bench_pair_run(pair_member, pair_member, &share);
}

static void *member_main(void *arg) {
    push_and_pop(arg);
    return NULL;
}

/* On two CPUs: now and then one that holds something has no CPU. */
static double four(uint64_t ops) {
    pthread_t threads[MOST];
    struct share shares[MOST];
    global_init(&global);
    uint64_t start = weft_clock_now();
    for (int i = 0; i < MOST; i++) {
        shares[i] = (struct share){.ops = ops / MOST, .first = nodes[i]};
        WEFT_CHECK(pthread_create(&threads[i], NULL, member_main, &shares[i]) ==
                   0);
    }
    for (int i = 0; i < MOST; i++) {
        WEFT_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return (double)(weft_clock_now() - start);
}

/* One thread pushes single nodes, another takes batches, as processors do what
 * comes from outside. `room` keeps the nodes apart that are in use. */
struct feed {
    uint64_t ops;
    _Atomic uint64_t taken;
};

enum { FEED = 1024 };
static struct weft_node fed[FEED];

static void feed_pusher(void *arg) {
    struct feed *feed = arg;
    uint32_t rounds = 0;
    uint64_t room = FEED;
    for (uint64_t i = 0; i < feed->ops; i++) {
        while (i == room) {
            /* Acquire: pairs with the release in feed_taker(). */
            room =
                FEED + atomic_load_explicit(&feed->taken, memory_order_acquire);
            bench_relax(&rounds);
        }
        global_push(&global, &fed[i % FEED]);
    }
}

static void feed_taker(void *arg) {
    struct feed *feed = arg;
    uint32_t rounds = 0;
    for (uint64_t taken = 0; taken < feed->ops;) {
        struct weft_batch list;
        weft_batch_init(&list);
        uint32_t count = global_pop_batch(&global, BATCH, &list);
        if (count == 0) {
            bench_relax(&rounds);
            continue;
        }
        taken += count;
        atomic_store_explicit(&feed->taken, taken, memory_order_release);
    }
}

static double feed(uint64_t ops) {
    struct feed arg = {.ops = ops};
    global_init(&global);
    return bench_pair_run(feed_taker, feed_pusher, &arg);
}

const struct global_loops LOOPS = {
    .name = NAME,
    .single = single,
    .batch = batch,
    .two = two,
    .four = four,
    .feed = feed,
};
