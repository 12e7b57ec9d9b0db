/* SPDX-License-Identifier: MIT */
/* Running a scenario in every way: the schedule, depth first.
 *
 * A run is a list of choices: which thread goes on, which value a load returns,
 * what the environment does. The first run takes option 0 everywhere; the next
 * repeats the last one up to the last choice that has an option left, takes
 * that, and goes on with 0. Nothing of a run is kept but its choices, so it can
 * be repeated exactly (--replay).
 *
 * Threads are contexts that call here before each operation that others can
 * notice (model_step). Two ways to choose who goes on:
 *   preemptions >= 0   anybody, while the number of switches away from a thread
 *                      that could go on is not used up
 *   MODEL_ALL          anybody but those in the sleep set: when the runs that
 *                      begin with thread A have been gone through, A sleeps in
 *                      those that begin with B, until a step comes that depends
 *                      on A's (Godefroid 1996). Of the schedules that differ
 *                      only in the order of independent steps one remains.
 *
 * Rejected: sleep sets with a bound on preemptions. The one schedule that is
 * left of its equals may have more preemptions than the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "weft/arch/switch.h"

enum {
    DEPTH = 8192, /* choices in a run */
    STEPS =
        4000, /* atomic operations in a run: more is a loop without an end */
    STACK = 128 * 1024, /* bytes, a thread's */
};

enum condition { READY, AWAITS, SPINS, SLEEPS, DONE };

struct thread {
    void *sp;
    enum condition condition;
    struct model_step next; /* what it is about to do */
    uintptr_t word;         /* AWAITS, SLEEPS: where */
    uint32_t value;         /* AWAITS: what for; SPINS: stores until then */
    bool timed;             /* SLEEPS: may end by itself */
    int answer;             /* of the sleep */
};

int model_current = -1;
bool model_tracing;

static struct thread threads[MODEL_THREADS];
static _Alignas(64) char stacks[MODEL_THREADS][STACK];
static void *main_sp;
static const struct model_scenario *scenario;
static uint16_t taken[DEPTH], options[DEPTH];
static int depth, known;
static int preemptions, stale, spurious, steps;
static uint32_t stores;
static unsigned asleep; /* the sleep set */
static jmp_buf alone;   /* out of set_up() and check() */
static enum model_outcome outcome;
char model_message[256];

int model_self(void) {
    return model_current;
}

int model_arg(void) {
    return scenario->arg;
}

int model_stale_left(void) {
    return scenario->stale == MODEL_ALL ? 1 : scenario->stale - stale;
}

void model_spend_stale(void) {
    stale++;
}

int model_spurious_left(void) {
    return scenario->spurious - spurious;
}

void model_spend_spurious(void) {
    spurious++;
}

void model_trace(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("    %4d  %*s%d: ", steps,
           12 * (model_current < 0 ? 0 : model_current), "", model_current);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* --- leaving a run ---------------------------------------------------------
 */

static void leave_run(enum model_outcome how) __attribute__((noreturn));
static void leave_run(enum model_outcome how) {
    bool among_threads = model_current >= 0;
    outcome = how;
    model_current = -1;
    if (!among_threads) {
        longjmp(alone, 1);
    }
    weft_switch_last(main_sp);
}

void model_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(model_message, sizeof(model_message), format, args);
    va_end(args);
    if (model_tracing) {
        model_trace("WRONG: %s", model_message);
    }
    leave_run(RUN_FAILED);
}

void model_restart(void) {
    leave_run(RUN_LEARNT);
}

/* --- choices ---------------------------------------------------------------
 */

int model_choose(int count) {
    if (model_current < 0) {
        return 0;
    }
    if (depth == DEPTH) {
        model_fail("a run with too many choices");
    }
    if (depth == known) {
        taken[known] = 0;
        options[known++] = (uint16_t)count;
    }
    if (options[depth] == UINT16_MAX) {
        options[depth] = (uint16_t)count;
    }
    if (options[depth] != count || taken[depth] >= count) {
        /* A replay of another program; or a scenario that is not the same
         * each time, say by an address that is. */
        fprintf(stderr, "model: %s: choice %d has %d options, had %d\n",
                scenario->name, depth, count, options[depth]);
        abort();
    }
    return taken[depth++];
}

/* The next list of choices; false after the last. */
bool model_next(void) {
    while (known > 0) {
        if (++taken[known - 1] < options[known - 1]) {
            return true;
        }
        known--;
    }
    return false;
}

void model_set_choices(const uint16_t *choices, int count) {
    /* How many options there were is not known, nor asked. */
    for (known = 0; known < count; known++) {
        taken[known] = choices[known];
        options[known] = UINT16_MAX;
    }
}

int model_choices(const uint16_t **out) {
    *out = taken;
    return depth;
}

/* --- who goes on -----------------------------------------------------------
 */

static bool depend(struct model_step a, struct model_step b) {
    bool a_fences = a.kind == STEP_FENCE || a.kind == STEP_FENCE_WORD;
    bool b_fences = b.kind == STEP_FENCE || b.kind == STEP_FENCE_WORD;
    if (a.kind == STEP_NOTHING || b.kind == STEP_NOTHING) {
        return false;
    }
    if (a.kind == STEP_ALL || b.kind == STEP_ALL || (a_fences && b_fences)) {
        return true;
    }
    return a.kind != STEP_FENCE && b.kind != STEP_FENCE && a.word == b.word &&
           !(a.kind == STEP_READ && b.kind == STEP_READ);
}

/* May it, if a sleep may (or may not) end for no reason? */
static bool can_go_on(const struct thread *t, bool for_no_reason) {
    switch (t->condition) {
        case READY:
            return true;
        case AWAITS:
            return *(const volatile uint32_t *)t->word == t->value;
        case SPINS:
            return t->value != stores;
        case SLEEPS:
            return t->timed || (for_no_reason && model_spurious_left() > 0);
        default:
            return false;
    }
}

/* Ends a sleep that nobody ended. */
static void wake_by_itself(struct thread *t) {
    if (t->timed && (model_spurious_left() == 0 || model_choose(2) == 0)) {
        t->answer = -110; /* -ETIMEDOUT */
    } else {
        model_spend_spurious();
        t->answer = 0;
    }
    if (model_tracing) {
        model_trace("sleep ends by itself: %d", t->answer);
    }
}

/* Who spins goes round again when nobody else can do anything: it may have read
 * an old value. False: nobody spins. */
static bool let_spin(void) {
    bool any = false;
    for (int i = 0; i < MODEL_THREADS; i++) {
        if (threads[i].condition == SPINS) {
            threads[i].condition = READY;
            any = true;
        }
    }
    return any;
}

static void stuck(void) {
    char who[128] = "";
    bool wrong = false;
    for (int i = 0; i < MODEL_THREADS; i++) {
        if (threads[i].condition == AWAITS ||
            (threads[i].condition == SLEEPS &&
             (scenario->daemons >> i & 1) == 0)) {
            size_t used = strlen(who);
            snprintf(who + used, sizeof(who) - used, " %d at %s", i,
                     model_name_of((void *)threads[i].word));
            wrong = true;
        }
    }
    if (wrong) {
        model_fail("nobody can go on:%s", who);
    }
    leave_run(RUN_ENDED);
}

/* Who goes on? `self` first where it can, so that runs begin without
 * preemptions. */
static int choose_thread(int self) {
    int who[MODEL_THREADS], count = 0;
    bool all = scenario->preemptions == MODEL_ALL;
    bool self_can =
        threads[self].condition != SLEEPS && can_go_on(&threads[self], false);
    bool anybody = false;
    if (self_can && !(asleep >> self & 1)) {
        who[count++] = self;
    }
    for (int i = 0; i < MODEL_THREADS; i++) {
        anybody |= can_go_on(&threads[i], false);
        if (can_go_on(&threads[i], true) && !(asleep >> i & 1) &&
            !(i == self && self_can) &&
            (all || !self_can || preemptions < scenario->preemptions)) {
            who[count++] = i;
        }
    }
    if (!anybody) {
        if (let_spin()) {
            return choose_thread(self);
        }
        stuck();
    }
    if (count == 0) {
        leave_run(RUN_CUT); /* all that could be is one of the other runs */
    }
    int chosen = count == 1 ? 0 : model_choose(count);
    if (all) {
        for (int i = 0; i < chosen; i++) {
            asleep |= 1u << who[i];
        }
    } else if (who[chosen] != self && self_can) {
        preemptions++;
    }
    return who[chosen];
}

/* Somebody goes on, `self` or another; returns when `self` does. */
static void switch_from(int self) {
    int next = choose_thread(self);
    if (next != self) {
        model_current = next;
        weft_switch(&threads[self].sp, threads[next].sp);
    }
    struct thread *t = &threads[self];
    if (t->condition == SLEEPS) {
        wake_by_itself(t);
    }
    t->condition = READY;
    for (int i = 0; i < MODEL_THREADS; i++) {
        if (asleep >> i & 1 && depend(threads[i].next, t->next)) {
            asleep &= ~(1u << i);
        }
    }
}

void model_count_step(void) {
    if (++steps > STEPS) {
        model_fail("a run without an end");
    }
}

void model_step(struct model_step step) {
    int self = model_current;
    if (self < 0) {
        return;
    }
    threads[self].next = step;
    switch_from(self);
}

static const struct model_step nothing = {.kind = STEP_NOTHING};

void model_await(const volatile uint32_t *word, uint32_t value) {
    struct thread *t = &threads[model_current];
    t->word = (uintptr_t)word;
    t->value = value;
    t->condition = AWAITS;
    model_step((struct model_step){STEP_READ, (uintptr_t)word >> 3});
}

void model_note_store(void) {
    stores++;
}

void model_spin(void) {
    struct thread *t = &threads[model_current];
    if (scenario->preemptions == MODEL_ALL) {
        model_fail("a loop that spins needs a bound on preemptions");
    }
    model_count_step();
    t->value = stores;
    t->condition = SPINS;
    model_step(nothing);
}

int model_futex_wait(const volatile void *word, uint32_t expected, bool timed) {
    uint32_t seen;
    struct thread *t = &threads[model_current];
    model_step((struct model_step){STEP_WRITE, (uintptr_t)word >> 3});
    memcpy(&seen, (const void *)word, sizeof(seen));
    if (model_tracing) {
        model_trace("futex_wait %s: %s", model_name_of(word),
                    seen == expected ? "sleeps" : "has changed");
    }
    if (seen != expected) {
        return -11; /* -EAGAIN */
    }
    t->word = (uintptr_t)word;
    t->timed = timed;
    t->condition = SLEEPS;
    t->answer = 0;
    t->next =
        timed ? (struct model_step){STEP_WRITE, (uintptr_t)word >> 3} : nothing;
    switch_from(model_current);
    return t->answer;
}

int model_futex_wake(const volatile void *word, int count) {
    int woken = 0;
    model_step((struct model_step){STEP_WRITE, (uintptr_t)word >> 3});
    while (woken < count) {
        int who[MODEL_THREADS], sleepers = 0;
        for (int i = 0; i < MODEL_THREADS; i++) {
            if (threads[i].condition == SLEEPS &&
                threads[i].word == (uintptr_t)word) {
                who[sleepers++] = i;
            }
        }
        if (sleepers == 0) {
            break;
        }
        int chosen = sleepers == 1 ? 0 : model_choose(sleepers);
        threads[who[chosen]].condition = READY;
        threads[who[chosen]].next = nothing;
        asleep &= ~(1u << who[chosen]);
        woken++;
    }
    if (model_tracing) {
        model_trace("futex_wake %s: %d woken", model_name_of(word), woken);
    }
    return woken;
}

void model_membarrier(void) {
    model_step((struct model_step){.kind = STEP_ALL});
    model_fence_all();
    if (model_tracing) {
        model_trace("membarrier");
    }
}

/* --- runs ------------------------------------------------------------------
 */

static void thread_main(void *arg) {
    int self = (int)(intptr_t)arg;
    scenario->threads[self]();
    if (model_tracing) {
        model_trace("ends");
    }
    threads[self].condition = DONE;
    int next = choose_thread(self);
    model_current = next;
    weft_switch_last(threads[next].sp);
}

/* The main stack's part that may be left by longjmp(). */
static void call_alone(void (*fn)(void)) {
    if (fn != NULL && setjmp(alone) == 0) {
        fn();
    }
}

/* Any thread may be the first. */
static int choose_first(void) {
    int who[MODEL_THREADS], count = 0;
    for (int i = 0; i < MODEL_THREADS; i++) {
        if (threads[i].condition == READY) {
            who[count++] = i;
        }
    }
    model_current = who[0];
    int chosen = count == 1 ? 0 : model_choose(count);
    for (int i = 0; i < chosen && scenario->preemptions == MODEL_ALL; i++) {
        asleep |= 1u << who[i];
    }
    return who[chosen];
}

enum model_outcome model_run(const struct model_scenario *of,
                             const struct model_fault *fault) {
    scenario = of;
    depth = preemptions = stale = spurious = steps = 0;
    asleep = 0;
    outcome = RUN_GOES_ON;
    model_memory_reset(fault);
    model_race_reset();
    call_alone(scenario->set_up);
    if (outcome != RUN_GOES_ON) {
        return outcome;
    }
    for (int i = MODEL_THREADS - 1; i >= 0; i--) {
        threads[i] = (struct thread){.condition = DONE};
        if (scenario->threads[i] != NULL) {
            threads[i].condition = READY;
            threads[i].sp = weft_frame_make(stacks[i], STACK, thread_main,
                                            (void *)(intptr_t)i);
        }
    }
    model_name(stacks, sizeof(stacks), "a stack");
    int first = model_current = choose_first();
    weft_switch(&main_sp, threads[first].sp);
    model_current = -1;
    if (outcome == RUN_ENDED) {
        call_alone(scenario->check);
    }
    return outcome;
}
