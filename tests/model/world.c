/* SPDX-License-Identifier: MIT */
/* See world.h. The names that begin with model_ stand for those of the layers
 * below: world_defines in BUILD renames the calls. */
#include "world.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

enum { TASK_STACK = 32 * 1024 };

struct world world;
static struct weft_thread *selves[MODEL_THREADS];
static _Alignas(64) char stacks[WORLD_PROCESSORS * WORLD_TASKS][TASK_STACK];
static _Alignas(64) char entries[WORLD_PROCESSORS][4096];
static _Atomic unsigned mapped;
static _Atomic uint32_t kicked;
static _Atomic uint64_t world_now;
bool world_time_passes;

/* --- what stands in for the layers below ------------------------------------
 */

struct weft_thread *model_thread_self(void);
struct weft_thread *model_thread_self(void) {
    int self = model_self();
    return self < 0 ? NULL : selves[self];
}

long model_syscall(long nr, long a, long b, long c, long d, long e, long f);
long model_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    (void)b, (void)c, (void)d, (void)e, (void)f;
    if (nr == SYS_membarrier && a == MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
        model_membarrier();
        return 0;
    }
    return -ENOSYS;
}

int model_clock_gettime(clockid_t clock, struct timespec *now);
int model_clock_gettime(clockid_t clock, struct timespec *now) {
    (void)clock;
    *now = weft_ns_timespec(
        world_time_passes
            ? atomic_load_explicit(&world_now, memory_order_relaxed)
            : WORLD_BEGIN);
    return 0;
}

static void let_time_pass(uint64_t deadline) {
    uint64_t now = atomic_load_explicit(&world_now, memory_order_relaxed);
    while (world_time_passes && now < deadline &&
           !atomic_compare_exchange_strong_explicit(&world_now, &now, deadline,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed)) {
    }
}

void model_timer_kick(struct weft_timer *timer);
void model_timer_kick(struct weft_timer *timer) {
    (void)timer;
}

/* As weft_poller_kick() and _wait(): a word, and a sleep that ends when it is
 * set (there an eventfd, here a futex). */
void model_poller_kick(struct weft_poller *poller);
void model_poller_kick(struct weft_poller *poller) {
    (void)poller;
    if (atomic_exchange_explicit(&kicked, 1, memory_order_release) == 0) {
        model_futex_wake((const volatile void *)&kicked, 1);
    }
}

int model_poller_wait(struct weft_poller *poller, uint64_t deadline,
                      void **waiters, int room);
int model_poller_wait(struct weft_poller *poller, uint64_t deadline,
                      void **waiters, int room) {
    (void)poller, (void)waiters, (void)room;
    while (atomic_exchange_explicit(&kicked, 0, memory_order_acquire) == 0) {
        if (deadline == 0 ||
            model_futex_wait((const volatile void *)&kicked, 0,
                             deadline != WEFT_FOREVER) == -ETIMEDOUT) {
            let_time_pass(deadline);
            break;
        }
    }
    return 0;
}

bool world_awaits_descriptors;

uint32_t model_poller_waiting(const struct weft_poller *poller);
uint32_t model_poller_waiting(const struct weft_poller *poller) {
    (void)poller;
    return world_awaits_descriptors;
}

void weft_lock_wait(struct weft_lock *lock) {
    do {
        model_await((const volatile uint32_t *)&lock->word, 0);
    } while (!weft_lock_try(lock));
}

void weft_lock_wake(struct weft_lock *lock) {
    (void)lock;
}

/* --- the runtime ------------------------------------------------------------
 */

static void name_runtime(void) {
    struct weft_runtime *rt = &world.rt;
    model_name(&rt->idle.lock, sizeof(rt->idle.lock), "idle.lock");
    model_name(&rt->idle.searching, 4, "idle.searching");
    model_name(&rt->idle.processors, 4, "idle.processors");
    model_name(&rt->idle.spares, 4, "idle.spares");
    model_name(&rt->poll_seat, 4, "poll_seat");
    model_name(&rt->poll_until, 8, "poll_until");
    model_name(&rt->global.length, 4, "global.length");
    model_name(&rt->global.lock, 4, "global.lock");
    model_name(&rt->hogs.length, 4, "hogs.length");
    model_name(&rt->hogs.lock, 4, "hogs.lock");
    model_label(&kicked, 4, "the poller");
    model_label(&world_now, 8, "the clock");
    model_label(rt, sizeof(*rt), "the runtime");
}

static void name_parts(void) {
    for (int i = 0; i < WORLD_PROCESSORS; i++) {
        struct weft_processor *p = &world.processors[i];
        model_name(&p->worker, 8, "processor.worker");
        model_name(&p->slot, 8, "processor.slot");
        model_name(&p->timer_lock, 4, "timer_lock");
        model_label(&p->queue, sizeof(p->queue), "processor.queue");
        model_label(p, sizeof(*p), "a processor");
    }
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct weft_worker *w = &world.workers[i];
        model_name(&w->retake, 4, "worker.retake");
        model_name(&w->thread.gate.closed, 4, "gate.closed");
        model_name(&w->handover, sizeof(w->handover), "worker.handover");
        model_label(&w->processor, 8, "worker.processor");
        model_label(w, sizeof(*w), "a worker");
    }
    for (int i = 0; i < WORLD_TASKS; i++) {
        struct weft_task *t = &world.tasks[i];
        model_name(&t->token, 1, "task.token");
        model_name(&t->joiner, 8, "task.joiner");
        model_name(&t->timer.index, 4, "timer.index");
        model_label(t, sizeof(*t), "a task");
    }
    model_label(stacks, sizeof(stacks), "a stack");
}

void world_reset(unsigned processors) {
    struct weft_runtime *rt = &world.rt;
    memset(&world, 0, sizeof(world));
    memset(selves, 0, sizeof(selves));
    atomic_init(&kicked, 0);
    world_awaits_descriptors = world_time_passes = false;
    atomic_init(&world_now, WORLD_BEGIN);
    atomic_init(&mapped, 0);
    rt->processor_count = processors;
    rt->processors = world.processors;
    rt->config = (struct weft_config){
        .workers = processors,
        .max_threads = WORLD_WORKERS,
        .quantum_ns = 10 * WEFT_MS,
        .min_slice_ns = 200 * WEFT_US,
        .stack_size = TASK_STACK,
    };
    rt->can_retake = true;
    weft_global_init(&rt->global);
    weft_global_init(&rt->high);
    weft_global_init(&rt->hogs);
    atomic_init(&rt->worker_count, WORLD_WORKERS);
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct weft_worker *w = &world.workers[i];
        w->runtime = rt;
        w->index = (unsigned)i;
        w->random = 1;
        w->stat_fd = -1;
        weft_handover_init(&w->handover);
        weft_gate_close(&w->thread.gate);
        atomic_init(&rt->workers[i], w);
    }
    for (unsigned i = 0; i < processors; i++) {
        struct weft_processor *p = &world.processors[i];
        p->runtime = rt;
        p->next_id = 1;
        p->last_id = 1000;
        weft_local_init(&p->queue);
        weft_timer_heap_init(&p->timers);
        for (int j = 0; j < WORLD_TASKS; j++) {
            char *stack = stacks[(int)i * WORLD_TASKS + j];
            p->stacks[p->stack_count++] = (struct weft_stack){
                .low = stack, .size = TASK_STACK, .slot = (void *)stack};
        }
        weft_idle_push(p);
    }
    name_runtime();
    name_parts();
}

static void *map_entries(size_t size) {
    unsigned nth = atomic_fetch_add_explicit(&mapped, 1, memory_order_relaxed);
    WEFT_CHECK_OP(size, <=, sizeof(entries[0]));
    WEFT_CHECK_OP(nth, <, (unsigned)WORLD_PROCESSORS);
    return entries[nth];
}

void world_give_timers(void) {
    for (int i = 0; i < WORLD_PROCESSORS; i++) {
        world.processors[i].timers.map = map_entries;
        model_label(entries[i], sizeof(entries[i]), "a heap's entries");
    }
}

struct weft_task *world_task(int i, void *(*fn)(void *), uintptr_t joiner) {
    struct weft_task *t = &world.tasks[i];
    t->pooled = true;
    t->fn = fn;
    weft_gate_init(&t->gate);
    atomic_init(&t->joiner, joiner);
    atomic_init(&t->id, (uint64_t)i + 1);
    atomic_init(&t->state, WEFT_TASK_RUNNABLE);
    return t;
}

struct weft_task *world_parked_task(int i, void *(*fn)(void *)) {
    struct weft_task *t = world_task(i, fn, WEFT_JOIN_DETACHED);
    atomic_init(&t->state, WEFT_TASK_WAITING);
    atomic_init(&t->token, WEFT_TOKEN_PARKED);
    return t;
}

void world_hold(int p, int w, struct weft_task *first) {
    struct weft_processor *held = &world.processors[p];
    struct weft_processor **at = &world.rt.idle.first;
    while (*at != held) {
        at = &(*at)->idle_next;
    }
    *at = held->idle_next;
    atomic_init(&world.rt.idle.processors, world.rt.idle.processors - 1);
    weft_processor_give(held, &world.workers[w], first);
}

struct weft_worker *world_be(int i) {
    selves[model_self()] = &world.workers[i].thread;
    return &world.workers[i];
}

void world_work(int i) {
    weft_worker_main(world_be(i));
}

void world_check_idle(unsigned idle, unsigned spares) {
    struct weft_idle *list = &world.rt.idle;
    unsigned count = 0;
    for (struct weft_processor *p = list->first; p != NULL; p = p->idle_next) {
        WEFT_CHECK_OP(weft_local_length(&p->queue), ==, 0u);
        WEFT_CHECK_OP(p->slot, ==, NULL);
        count++;
    }
    WEFT_CHECK_OP(count, ==, idle);
    WEFT_CHECK_OP(list->processors, ==, idle);
    count = 0;
    for (struct weft_worker *w = list->first_spare; w != NULL;
         w = w->spare_next) {
        count++;
    }
    WEFT_CHECK_OP(count, ==, spares);
    WEFT_CHECK_OP(list->spares, ==, spares);
    WEFT_CHECK_OP(list->searching, ==, 0u);
    WEFT_CHECK(!weft_anything_waiting(&world.rt));
}
