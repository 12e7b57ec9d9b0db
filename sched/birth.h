/* SPDX-License-Identifier: MIT */
/* Birth and death, of tasks and of threads: what spawn.c, birth.c and threads.c
 * offer to the rest of the scheduler. Part of core.h.
 *
 * Context of all: inside the runtime, unless said otherwise where they are. */
#ifndef WEFT_SCHED_BIRTH_H_
#define WEFT_SCHED_BIRTH_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/arch/stack.h"
#include "weft/sched/record.h"

struct weft_processor;
struct weft_runtime;
struct weft_worker;

/* spawn.c */
void weft_cancel_all(struct weft_runtime *rt);
bool weft_tasks_all_ended(struct weft_runtime *rt);

/* birth.c */
int weft_record_take(struct weft_runtime *rt, struct weft_processor *p,
                     size_t size, struct weft_task **out);
void weft_record_give(struct weft_runtime *rt, struct weft_processor *p,
                      struct weft_task *t);
void weft_record_each(struct weft_runtime *rt,
                      void (*fn)(void *arg, void *record), void *arg);
bool weft_task_equip(struct weft_processor *p, struct weft_task *t);
void weft_stack_put(struct weft_worker *w, const struct weft_stack *stack,
                    bool pooled);
void weft_task_starves(struct weft_worker *w, struct weft_task *t);

/* What lies at the top of each stack that tasks run on, one after the other:
 * the stack is not in their records, which those that begin where another has
 * ended would touch a second line of for it. Written by the thread that runs
 * there. */
struct weft_flow {
    struct weft_stack stack; /* fixed */
    struct weft_task *task; /* whose the frames are now; stale where it ended */
};

enum { WEFT_FLOW_SIZE = WEFT_CACHE_LINE };

static inline struct weft_flow *weft_flow_of(const struct weft_stack *stack) {
    return (struct weft_flow *)(void *)(stack->low + stack->size -
                                        WEFT_FLOW_SIZE);
}

/* threads.c */
int weft_threads_start(struct weft_runtime *rt);
void weft_threads_want(struct weft_runtime *rt);
uint64_t weft_threads_linger(struct weft_runtime *rt);
uint32_t weft_threads_count(struct weft_runtime *rt);
bool weft_threads_stop(struct weft_runtime *rt, bool no_tasks);
void weft_threads_free(struct weft_runtime *rt);

#endif
