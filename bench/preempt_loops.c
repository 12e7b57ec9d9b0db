/* SPDX-License-Identifier: MIT */
/* The timed loops of preempt_bench. Threads are pinned where the number only
 * means something on one CPU, or on two. */
#include "weft/bench/preempt_loops.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/preempt/handover.h"
#include "weft/preempt/signals.h"
#include "weft/preempt/thread.h"
#include "weft/preempt/timer.h"

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void unpin(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        CPU_SET(i, &set);
    }
    sched_setaffinity(0, sizeof(set), &set);
}

static bool has_second_cpu(void) {
    return sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

static double per_round(uint64_t begin, uint64_t count) {
    return (double)(weft_clock_now() - begin) / (double)count;
}

static void install(void (*preempt)(void *, struct weft_interrupt *)) {
    int error = weft_signals_install(&(struct weft_signals_config){
        .mode = WEFT_PREEMPT_SIGNAL,
        .preempt = preempt,
    });
    WEFT_CHECK_OP(error, ==, 0);
}

double preempt_gate(uint64_t count) {
    static struct weft_gate gate;
    uint64_t begin = weft_clock_now();
    for (uint64_t i = 0; i < count; i++) {
        weft_gate_close(&gate);
        if (weft_gate_open(&gate)) {
            abort();
        }
    }
    return per_round(begin, count);
}

double preempt_self(uint64_t count) {
    uint64_t begin = weft_clock_now();
    for (uint64_t i = 0; i < count; i++) {
        weft_thread_self();
    }
    return per_round(begin, count);
}

static void nothing(void *arg, struct weft_interrupt *interrupt) {
    (void)arg;
    (void)interrupt;
}

double preempt_self_signal(uint64_t count) {
    struct weft_thread thread;
    install(nothing);
    weft_thread_enter(&thread);
    uint64_t begin = weft_clock_now();
    for (uint64_t i = 0; i < count; i++) {
        weft_signals_request(&thread, begin);
    }
    double ns = per_round(begin, count);
    weft_thread_leave();
    weft_signals_uninstall();
    return ns;
}

/* A victim that spins, and the time of its last interruption. */
static struct {
    struct weft_thread thread;
    _Atomic bool ready;
    _Atomic bool stop;
    _Atomic uint64_t at;
} victim;

static void note_time(void *arg, struct weft_interrupt *interrupt) {
    (void)arg;
    (void)interrupt;
    /* Release: pairs with the acquire in preempt_request(). */
    atomic_store_explicit(&victim.at, weft_clock_now(), memory_order_release);
}

static void *spin(void *arg) {
    (void)arg;
    pin(1);
    weft_thread_enter(&victim.thread);
    weft_gate_open(&victim.thread.gate);
    /* Release: pairs with the acquire in preempt_request(). */
    atomic_store_explicit(&victim.ready, true, memory_order_release);
    while (!atomic_load_explicit(&victim.stop, memory_order_relaxed)) {
    }
    weft_gate_close(&victim.thread.gate);
    weft_thread_leave();
    return NULL;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static struct preempt_latency summary(uint64_t *took, uint64_t count,
                                      uint64_t sending) {
    qsort(took, count, sizeof(*took), compare);
    return (struct preempt_latency){
        .send_ns = (double)sending / (double)count,
        .p50_ns = (double)took[count / 2],
        .p99_ns = (double)took[count * 99 / 100],
        .max_ns = (double)took[count - 1],
    };
}

bool preempt_request(uint64_t count, struct preempt_latency *out) {
    uint64_t *took = calloc(count, sizeof(*took));
    uint64_t sending = 0;
    pthread_t id;
    if (took == NULL || !has_second_cpu()) {
        free(took);
        return false;
    }
    install(note_time);
    atomic_store_explicit(&victim.ready, false, memory_order_relaxed);
    atomic_store_explicit(&victim.stop, false, memory_order_relaxed);
    pin(0);
    WEFT_CHECK_OP(pthread_create(&id, NULL, spin, NULL), ==, 0);
    /* Acquire: pairs with the release in spin(). */
    while (!atomic_load_explicit(&victim.ready, memory_order_acquire)) {
        sched_yield();
    }
    for (uint64_t i = 0; i < count; i++) {
        atomic_store_explicit(&victim.at, 0, memory_order_relaxed);
        uint64_t begin = weft_clock_now();
        while (!weft_signals_request(&victim.thread, begin)) {
            begin = weft_clock_now(); /* still on its way out of the last */
        }
        sending += weft_clock_now() - begin;
        uint64_t at;
        /* Acquire: pairs with the release in note_time(). */
        while ((at = atomic_load_explicit(&victim.at, memory_order_acquire)) ==
               0) {
        }
        took[i] = at - begin;
    }
    atomic_store_explicit(&victim.stop, true, memory_order_relaxed);
    pthread_join(id, NULL);
    weft_signals_uninstall();
    unpin();
    *out = summary(took, count, sending);
    free(took);
    return true;
}

/* Two threads that hand one thing to and fro. */
struct side {
    struct weft_thread thread; /* first */
    struct weft_handover box;
    struct side *other;
    uint64_t count;
    int cpu;
    pthread_t id;
};

static _Atomic(struct side *) runs; /* the side whose loop was last seen */

static void give_and_wait(void *arg, struct weft_interrupt *interrupt) {
    (void)arg;
    struct side *me = (struct side *)interrupt->thread;
    weft_handover_give(&me->other->box, me);
    weft_handover_wait(&me->box, WEFT_FOREVER);
}

static void *spin_in_turns(void *arg) {
    struct side *me = arg;
    pin(me->cpu);
    weft_thread_enter(&me->thread);
    weft_handover_wait(&me->box, WEFT_FOREVER);
    weft_gate_open(&me->thread.gate);
    while (!atomic_load_explicit(&victim.stop, memory_order_relaxed)) {
        /* Release: pairs with the acquire in other_runs(). */
        atomic_store_explicit(&runs, me, memory_order_release);
    }
    weft_gate_close(&me->thread.gate);
    if (weft_handover_poll(&me->box) == NULL) { /* it had its turn last */
        weft_handover_give(&me->other->box, me);
    }
    weft_thread_leave();
    return NULL;
}

static bool other_runs(const struct side *than) {
    /* Acquire: pairs with the release in spin_in_turns(). */
    return atomic_load_explicit(&runs, memory_order_acquire) != than;
}

static void prepare(struct side sides[2]) {
    for (int i = 0; i < 2; i++) {
        weft_handover_init(&sides[i].box);
        sides[i].other = &sides[1 - i];
    }
}

bool preempt_switch(uint64_t count, struct preempt_latency *out) {
    struct side sides[2] = {{.cpu = 0}, {.cpu = 0}};
    uint64_t *took = calloc(count, sizeof(*took));
    uint64_t sending = 0;
    if (took == NULL || !has_second_cpu()) {
        free(took);
        return false;
    }
    install(give_and_wait);
    prepare(sides);
    pin(1);
    atomic_store_explicit(&victim.stop, false, memory_order_relaxed);
    atomic_store_explicit(&runs, NULL, memory_order_relaxed);
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(
            pthread_create(&sides[i].id, NULL, spin_in_turns, &sides[i]), ==,
            0);
    }
    usleep(10000); /* both have entered */
    weft_handover_give(&sides[0].box, &sides[1]);
    while (!other_runs(NULL)) {
    }
    struct side *holder = &sides[0];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t begin;
        do {
            begin = weft_clock_now();
        } while (!weft_signals_request(&holder->thread, begin));
        sending += weft_clock_now() - begin;
        while (!other_runs(holder)) {
        }
        took[i] = weft_clock_now() - begin;
        holder = holder->other;
    }
    atomic_store_explicit(&victim.stop, true, memory_order_relaxed);
    pthread_join(sides[0].id, NULL);
    pthread_join(sides[1].id, NULL);
    weft_signals_uninstall();
    unpin();
    *out = summary(took, count, sending);
    free(took);
    return true;
}

static void *play(void *arg) {
    struct side *me = arg;
    pin(me->cpu);
    for (uint64_t i = 0; i < me->count; i++) {
        weft_handover_wait(&me->box, WEFT_FOREVER);
        weft_handover_give(&me->other->box, me);
    }
    return NULL;
}

double preempt_handover(uint64_t count, bool same_cpu) {
    struct side sides[2] = {{.count = count / 2},
                            {.count = count / 2, .cpu = same_cpu ? 0 : 1}};
    if (!same_cpu && !has_second_cpu()) {
        return -1;
    }
    prepare(sides);
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(pthread_create(&sides[i].id, NULL, play, &sides[i]), ==,
                      0);
    }
    uint64_t begin = weft_clock_now();
    weft_handover_give(&sides[0].box, &sides[1]);
    pthread_join(sides[0].id, NULL);
    pthread_join(sides[1].id, NULL);
    return per_round(begin, count);
}

static _Atomic uint64_t ticks_wanted;

static uint64_t tick(void *arg, uint64_t now) {
    (void)arg;
    uint64_t left = atomic_load_explicit(&ticks_wanted, memory_order_relaxed);
    if (left == 0) {
        return WEFT_FOREVER;
    }
    atomic_store_explicit(&ticks_wanted, left - 1, memory_order_relaxed);
    return now;
}

static void start(struct weft_timer *timer) {
    int error =
        weft_timer_start(timer, &(struct weft_timer_config){.tick = tick});
    WEFT_CHECK_OP(error, ==, 0);
}

/* The timer's thread inherits the CPU and does not get to run meanwhile. */
double preempt_kick(uint64_t count) {
    struct weft_timer timer;
    atomic_store_explicit(&ticks_wanted, 0, memory_order_relaxed);
    start(&timer);
    uint64_t begin = weft_clock_now();
    for (uint64_t i = 0; i < count; i++) {
        weft_timer_kick(&timer);
    }
    double ns = per_round(begin, count);
    weft_timer_stop(&timer);
    return ns;
}

double preempt_tick(uint64_t count) {
    struct weft_timer timer;
    atomic_store_explicit(&ticks_wanted, count, memory_order_relaxed);
    uint64_t begin = weft_clock_now();
    start(&timer);
    while (atomic_load_explicit(&ticks_wanted, memory_order_relaxed) != 0) {
        usleep(100);
    }
    double ns = per_round(begin, count);
    weft_timer_stop(&timer);
    return ns;
}

double preempt_wakeup(uint64_t count) {
    struct weft_timer timer;
    atomic_store_explicit(&ticks_wanted, 0, memory_order_relaxed);
    pin(0);
    start(&timer);
    while (weft_timer_ticks(&timer) == 0) {
        sched_yield();
    }
    uint64_t begin = weft_clock_now();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t before = weft_timer_ticks(&timer);
        weft_timer_kick(&timer);
        while (weft_timer_ticks(&timer) == before) {
            sched_yield();
        }
    }
    double ns = per_round(begin, count);
    weft_timer_stop(&timer);
    unpin();
    return ns;
}
