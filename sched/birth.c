/* SPDX-License-Identifier: MIT */
/* What a task needs to live: a record when it is made, a stack when it first
 * runs.
 *
 *     record   from the cache of the processor that makes it, to the cache of
 *              the one that frees it; the rest lies in rt->records of the
 *              node that its memory is of
 *     stack    from the cache of the processor that first runs it, last in
 *              first out, so that it is warm; back when the task has ended
 *
 * With several memory nodes (nodes.c) a processor fills its caches with what is
 * of its own node. What it frees may be of another's; when it has too much,
 * each goes back to where it came from. A thread without a processor takes of
 * the first node's.
 *
 * So a million tasks that were made and have not run cost a record each, and a
 * stream of tasks that run and end uses one stack over and over: a task that
 * ends leaves it to the next one where it can (succeed() in switch.c).
 *
 * Who makes a task must hear that there is no stack for it; who first runs it
 * can tell nobody. So a stack is reserved with each record that a processor
 * keeps or a task has (weft_stack_reserve()), and what the processors keep of
 * free stacks is reserved on top of that at the start: then, when a task first
 * runs, fewer stacks are taken than reserved, and one is to be had. Only the
 * kernel may still fail to guard it, when it is out of memory altogether: the
 * task goes behind the others and is tried again (weft_task_starves()).
 *
 * Tasks with a stack size of their own have their stack from birth.
 *
 * Always true: what lies in a cache is the owner's of the processor; a record
 * in one has no stack, but one is reserved for it. What a stack is stands at its
 * top (struct weft_flow), for those that run there one after the other.
 *
 * Rejected: no reservation, tasks waiting until a stack is free: where guards
 * are limited (mprotect) 28,000 tasks that wait for the next one's doing would
 * hang for ever, and nobody would be told. */
#include <errno.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/sched/core.h"

enum {
    REFILL = 32,       /* records fetched at a time */
    STACK_REFILL = 8,  /* stacks fetched at a time */
    STARVED_FOR = 100, /* us until a stack is asked for again */
};

/* Up to `n` records of a node's to the end of *out; how many. One node is 0,
 * which those that were never used have. */
static uint32_t take_records(struct weft_runtime *rt, unsigned node, uint32_t n,
                             struct weft_batch *out) {
    if (WEFT_LIKELY(rt->topology.count <= 1)) {
        return weft_records_take(&rt->records[0], n, out);
    }
    struct weft_batch some;
    struct weft_node *next;
    weft_batch_init(&some);
    uint32_t got = weft_records_take(&rt->records[node], n, &some);
    while ((next = weft_batch_pop(&some)) != NULL) {
        weft_node_task(next)->home = (uint16_t)node;
        weft_batch_push(out, next);
    }
    return got;
}

/* Gives them back, each to its node; `batch` is then empty. */
static void give_records(struct weft_runtime *rt, struct weft_batch *batch) {
    if (WEFT_LIKELY(rt->topology.count <= 1)) {
        weft_records_give(&rt->records[0], batch);
        return;
    }
    struct weft_batch of[WEFT_TOPOLOGY_NODES];
    struct weft_node *next;
    for (unsigned i = 0; i < rt->topology.count; i++) {
        weft_batch_init(&of[i]);
    }
    while ((next = weft_batch_pop(batch)) != NULL) {
        weft_batch_push(&of[weft_node_task(next)->home], next);
    }
    for (unsigned i = 0; i < rt->topology.count; i++) {
        if (of[i].count > 0) {
            weft_records_give(&rt->records[i], &of[i]);
        }
    }
}

/* Calls fn for every record that was ever taken, of all nodes: see
 * weft_records_each(). */
void weft_record_each(struct weft_runtime *rt,
                      void (*fn)(void *arg, void *record), void *arg) {
    for (unsigned i = 0; i < WEFT_TOPOLOGY_NODES; i++) {
        weft_records_each(&rt->records[i], fn, arg);
    }
}

/* Up to `n` records, each with a stack reserved, to the end of *out: how many,
 * at least one, or -ENOMEM. */
static int fetch(struct weft_runtime *rt, unsigned node, uint32_t n,
                 struct weft_batch *out) {
    size_t size = rt->config.stack_size;
    int error = weft_stack_reserve(rt->stacks, size, n);
    if (error != 0 && n > 1) {
        n = 1;
        error = weft_stack_reserve(rt->stacks, size, n);
    }
    if (error != 0) {
        return error;
    }
    uint32_t got = take_records(rt, node, n, out);
    if (got < n) {
        weft_stack_unreserve(rt->stacks, size, n - got);
    }
    return got > 0 ? (int)got : -ENOMEM;
}

/* A record and a stack of a size of its own. */
static int take_special(struct weft_runtime *rt, unsigned node, size_t size,
                        struct weft_task **out) {
    struct weft_batch one;
    weft_batch_init(&one);
    int error = weft_stack_reserve(rt->stacks, size, 1);
    if (error != 0) {
        return error;
    }
    struct weft_stack stack;
    error = weft_stack_take_near(rt->stacks, size, node, &stack, 1);
    error = error < 0 ? error : 0;
    if (error == 0 && take_records(rt, node, 1, &one) == 0) {
        weft_stack_give(rt->stacks, &stack);
        error = -ENOMEM;
    }
    if (error != 0) {
        weft_stack_unreserve(rt->stacks, size, 1);
        return error;
    }
    *out = weft_node_task(weft_batch_pop(&one));
    (*out)->stack = stack;
    (*out)->pooled = false;
    return 0;
}

/* A free record for a task with a stack of `size` bytes, 0: the default. `p` is
 * the caller's processor or NULL. */
WEFT_TEXT int weft_record_take(struct weft_runtime *rt,
                               struct weft_processor *p, size_t size,
                               struct weft_task **out) {
    struct weft_batch one;
    struct weft_batch *from = &one;
    if (WEFT_UNLIKELY(size != 0 && size != rt->config.stack_size)) {
        return take_special(rt, p != NULL ? p->node : 0, size, out);
    }
    if (p != NULL) {
        from = &p->free_tasks;
    } else {
        weft_batch_init(&one);
    }
    if (WEFT_UNLIKELY(from->count == 0)) {
        int got = p != NULL ? fetch(rt, p->node, REFILL, from)
                            : fetch(rt, 0, 1, from);
        if (got < 0) {
            return got;
        }
    }
    *out = weft_node_task(weft_batch_pop(from));
    (*out)->pooled = true;
    return 0;
}

/* Half of the cache, the half that was used longest ago, to the others. */
static void spill(struct weft_runtime *rt, struct weft_processor *p) {
    struct weft_batch warm;
    weft_batch_split(&p->free_tasks, WEFT_TASK_CACHE / 2, &warm);
    weft_stack_unreserve(rt->stacks, rt->config.stack_size,
                         p->free_tasks.count);
    give_records(rt, &p->free_tasks);
    p->free_tasks = warm;
}

/* The other way: `t` is a free record now. */
WEFT_TEXT void weft_record_give(struct weft_runtime *rt,
                                struct weft_processor *p, struct weft_task *t) {
    if (WEFT_UNLIKELY(!t->pooled || p == NULL)) {
        struct weft_batch one;
        weft_batch_init(&one);
        weft_batch_push(&one, &t->node);
        if (t->pooled) {
            weft_stack_unreserve(rt->stacks, rt->config.stack_size, 1);
        }
        give_records(rt, &one);
        return;
    }
    if (p->free_tasks.count >= WEFT_TASK_CACHE) {
        spill(rt, p);
    }
    weft_batch_push_front(&p->free_tasks, &t->node);
}

/* Gives `t`, which has not run yet, a stack if it has none, and a context.
 * False when there is no stack. `p` is the caller's. */
WEFT_TEXT bool weft_task_equip(struct weft_processor *p, struct weft_task *t) {
    const struct weft_stack *stack = &t->stack;
    if (WEFT_LIKELY(t->pooled)) {
        if (WEFT_UNLIKELY(p->stack_count == 0)) {
            int got = weft_stack_take_near(p->runtime->stacks,
                                           p->runtime->config.stack_size,
                                           p->node, p->stacks, STACK_REFILL);
            if (got <= 0) {
                return false;
            }
            p->stack_count = (uint32_t)got;
        }
        stack = &p->stacks[--p->stack_count];
    }
    struct weft_flow *flow = weft_flow_of(stack);
    *flow = (struct weft_flow){.stack = *stack, .task = t};
    weft_context_init(&t->context, stack->low, stack->size - WEFT_FLOW_SIZE,
                      weft_task_begin, flow);
    return true;
}

/* A stack that nothing runs on any more. */
WEFT_TEXT void weft_stack_put(struct weft_worker *w,
                              const struct weft_stack *stack, bool pooled) {
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    if (WEFT_UNLIKELY(!pooled)) {
        weft_stack_give(rt->stacks, stack);
        weft_stack_unreserve(rt->stacks, stack->size, 1);
        return;
    }
    if (WEFT_UNLIKELY(p->stack_count == WEFT_STACK_CACHE)) {
        /* The upper half: what is below stays for longer. */
        p->stack_count -= WEFT_STACK_CACHE / 2;
        weft_stack_give_batch(rt->stacks, p->stacks + p->stack_count,
                              WEFT_STACK_CACHE / 2);
    }
    p->stacks[p->stack_count++] = *stack;
}

/* No stack for `t`: it goes behind the others. On the native stack. */
WEFT_TEXT void weft_task_starves(struct weft_worker *w, struct weft_task *t) {
    struct timespec nap = {0, STARVED_FOR * 1000};
    weft_push_global(w->runtime, t);
    weft_syscall(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
}
