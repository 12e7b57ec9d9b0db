/* SPDX-License-Identifier: MIT */
/* A worker is an OS thread that runs one job while it holds the processor. It
 * waits for it in its mailbox: at first in main_of(), later wherever its job
 * was interrupted, inside the signal handler. */
#include "toy.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/preempt/handover.h"
#include "weft/preempt/thread.h"
#include "weft/preempt/timer.h"

struct worker {
    struct weft_thread thread; /* first: weft_thread_self() points here */
    struct weft_handover mailbox;
    struct worker *next; /* in the ring; the processor's holder */
    const struct toy_job *job;
    struct processor *home;
    pthread_t id;
};

struct processor {
    /* Who holds it, and since when: written by the one who gives it, before
     * giving; read by the timer. */
    _Atomic(struct worker *) holder;
    _Atomic uint64_t since;
    uint64_t switches; /* the holder's */
    uint64_t quantum_ns;
    pthread_barrier_t entered; /* nobody may be asked before */
};

/* The holder gives the processor away. Everything about it is said before the
 * giving, which is the last store. Gate closed. */
static void give_to(struct processor *processor, struct worker *next) {
    processor->switches++;
    atomic_store_explicit(&processor->since, weft_clock_now(),
                          memory_order_relaxed);
    atomic_store_explicit(&processor->holder, next, memory_order_relaxed);
    weft_handover_give(&next->mailbox, processor);
}

/* The next one's turn; comes back when it is ours again. Gate closed. */
static void take_turns(struct worker *me) {
    struct processor *processor = me->home;
    if (me->next == me) {
        atomic_store_explicit(&processor->since, weft_clock_now(),
                              memory_order_relaxed);
        return;
    }
    give_to(processor, me->next);
    void *mine = weft_handover_wait(&me->mailbox, WEFT_FOREVER);
    WEFT_CHECK(mine == processor);
}

/* In the signal handler, on the stack of whatever was interrupted. */
static void preempt(void *arg, struct weft_interrupt *interrupt) {
    (void)arg;
    take_turns((struct worker *)interrupt->thread);
}

static void open_gate(struct worker *me) {
    while (weft_gate_open(&me->thread.gate)) {
        weft_gate_close(&me->thread.gate); /* a request was deferred: now */
        take_turns(me);
    }
}

void toy_check(void) {
    struct worker *me = (struct worker *)weft_thread_self();
    if (weft_thread_take_asked(&me->thread)) {
        weft_gate_close(&me->thread.gate);
        weft_gate_clear(&me->thread.gate); /* the same request */
        take_turns(me);
        open_gate(me);
    }
}

static void leave_ring(struct worker *me) {
    struct worker *before = me;
    while (before->next != me) {
        before = before->next;
    }
    before->next = me->next;
}

static void *main_of(void *arg) {
    struct worker *me = arg;
    weft_thread_enter(&me->thread);
    pthread_barrier_wait(&me->home->entered);
    void *mine = weft_handover_wait(&me->mailbox, WEFT_FOREVER);
    WEFT_CHECK(mine == me->home);
    open_gate(me);
    me->job->run(me->job->arg);
    weft_gate_close(&me->thread.gate);
    leave_ring(me);
    if (me->next == me) {
        atomic_store_explicit(&me->home->holder, NULL, memory_order_relaxed);
    } else {
        give_to(me->home, me->next);
    }
    weft_thread_leave();
    return NULL;
}

/* The policy: whoever has used up its quantum is asked to give way. */
static uint64_t tick(void *arg, uint64_t now) {
    struct processor *processor = arg;
    struct worker *holder =
        atomic_load_explicit(&processor->holder, memory_order_relaxed);
    uint64_t until =
        atomic_load_explicit(&processor->since, memory_order_relaxed) +
        processor->quantum_ns;
    if (holder == NULL) {
        return WEFT_FOREVER;
    }
    if (now < until) {
        return until;
    }
    weft_signals_request(&holder->thread, now);
    return now + processor->quantum_ns;
}

void toy_run(const struct toy_job *jobs, int count, uint64_t quantum_ns,
             enum weft_preempt_mode mode, struct toy_result *result) {
    struct processor processor = {.quantum_ns = quantum_ns};
    struct weft_timer timer = {0};
    struct worker *workers = calloc((size_t)count, sizeof(*workers));
    WEFT_CHECK(workers != NULL);
    int error = weft_signals_install(&(struct weft_signals_config){
        .mode = mode,
        .preempt = preempt,
    });
    WEFT_CHECK_OP(error, ==, 0);
    pthread_barrier_init(&processor.entered, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        workers[i].job = &jobs[i];
        workers[i].home = &processor;
        workers[i].next = &workers[(i + 1) % count];
        weft_handover_init(&workers[i].mailbox);
    }
    for (int i = 0; i < count; i++) {
        error = pthread_create(&workers[i].id, NULL, main_of, &workers[i]);
        WEFT_CHECK_OP(error, ==, 0);
    }
    pthread_barrier_wait(&processor.entered);
    give_to(&processor, &workers[0]);
    error = weft_timer_start(&timer, &(struct weft_timer_config){
                                         .tick = tick,
                                         .arg = &processor,
                                     });
    WEFT_CHECK_OP(error, ==, 0);
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].id, NULL);
    }
    weft_timer_stop(&timer);
    error = weft_signals_uninstall();
    WEFT_CHECK_OP(error, ==, 0);

    *result = (struct toy_result){
        .switches = processor.switches,
        .ticks = weft_timer_ticks(&timer),
    };
    for (int i = 0; i < count; i++) {
        weft_thread_counters(&workers[i].thread, &result->counters);
    }
    pthread_barrier_destroy(&processor.entered);
    free(workers);
}
