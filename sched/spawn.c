/* SPDX-License-Identifier: MIT */
/* Birth and death of a task: spawn, join, detach, cancel.
 *
 * The word `joiner` settles who frees the record:
 *
 *     NOBODY ---- join ----> the joiner ---- end ----> DONE: wakes the joiner,
 *       |                                              which frees
 *       |-------- detach --> DETACHED ------ end ----> DONE: the end frees
 *       |-------- end -----> DONE ---- join or detach: they free
 *
 * Always true: a record is freed once nothing runs as its task; what is left of
 * the flow belongs to the worker (succeed() in switch.c). The memory stays
 * readable: a late weft_unpark() finds some other task's token, or a free
 * record's. */
#include <errno.h>
#include <string.h>

#include "weft/sched/core.h"
#include "weft/sched/quick.h"

enum { IDS_AT_ONCE = 4096 }; /* docs/scaling.md */

static WEFT_ALWAYS_INLINE uint64_t next_id(struct weft_runtime *rt,
                                           struct weft_processor *p) {
    if (p == NULL) {
        return atomic_fetch_add_explicit(&rt->next_id, 1, memory_order_relaxed);
    }
    if (p->next_id == p->last_id) {
        p->next_id = atomic_fetch_add_explicit(&rt->next_id, IDS_AT_ONCE,
                                               memory_order_relaxed);
        p->last_id = p->next_id + IDS_AT_ONCE;
    }
    return p->next_id++;
}

static void set_name(struct weft_task *t, const char *name) {
    size_t length = strnlen(name, WEFT_NAME_SIZE - 1);
    memcpy(t->name, name, length);
    t->name[length] = '\0';
    t->named = true;
}

/* A record that has no task yet becomes one, runnable. What else is in it is as
 * record.h says of a free one. */
static WEFT_ALWAYS_INLINE void set_up(struct weft_runtime *rt,
                                      struct weft_processor *p,
                                      struct weft_task *t,
                                      const struct weft_task_options *options,
                                      bool pooled, bool plain, uintptr_t joiner,
                                      const void *creator) {
    t->context.sp = NULL;
    t->sleeps = false;
    t->hog = false;
    t->strikes = 0;
    t->priority = (uint8_t)options->priority;
    t->keeps = (uint8_t)(rt->keeps | (options->keep_fp ? WEFT_KEEPS_FP : 0));
    t->creator = (uintptr_t)creator;
    t->migratable = options->migratable;
    t->pooled = pooled;
    t->plain = plain;
    t->urged = false;
    t->named = false;
    t->carries = false;
    t->gated = false;
    if (WEFT_UNLIKELY(options->name != NULL)) {
        set_name(t, options->name);
    }
    atomic_store_explicit(&t->token, WEFT_TOKEN_NONE, memory_order_relaxed);
    atomic_store_explicit(&t->joiner, joiner, memory_order_relaxed);
    atomic_store_explicit(
        &t->cancelled,
        atomic_load_explicit(&rt->stopping, memory_order_relaxed) != 0,
        memory_order_relaxed);
    atomic_store_explicit(&t->id, next_id(rt, p), memory_order_relaxed);
    weft_task_become(t, WEFT_TASK_IDLE, WEFT_TASK_RUNNABLE);
}

/* A thread that is no worker is about to make a task; false when the runtime
 * ends, which nobody would notice in time otherwise:
 *
 *     the thread                      the end
 *     1. foreign_spawned + 1          1. stopping = 1
 *     2. stopping? then ended + 1     2. all ended? (weft_tasks_all_ended())
 *        and no task
 *
 * Sequentially consistent on both sides, so one sees the other. The two here
 * pair with the store in weft_cancel_all() and the load in
 * weft_tasks_all_ended(). */
static bool count_foreign(struct weft_runtime *rt) {
    atomic_fetch_add_explicit(&rt->foreign_spawned, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&rt->stopping, memory_order_seq_cst) == 0) {
        return true;
    }
    weft_count_end(rt, NULL);
    return false;
}

/* What a task runs: one of the two functions. */
struct body {
    void *(*fn)(void *);
    void (*fn_plain)(void *);
    void *arg;
};

static WEFT_ALWAYS_INLINE void set_body(struct weft_task *t,
                                        const struct body *body) {
    if (body->fn == NULL) {
        t->fn_plain = body->fn_plain;
    } else {
        t->fn = body->fn;
    }
    t->value = body->arg;
}

/* Makes a task of any kind; `w` is the caller inside, or NULL. */
static int make(struct weft_worker *w, struct weft_runtime *rt,
                const struct body *body,
                const struct weft_task_options *options, uintptr_t joiner,
                const void *creator, struct weft_task **out) {
    struct weft_processor *p = w == NULL ? NULL : weft_worker_processor(w);
    struct weft_task *t;
    int error = -EPERM;
    if (p == NULL && !count_foreign(rt)) {
        return error;
    }
    error = weft_record_take(rt, p, options->stack_size, &t);
    if (error != 0) {
        if (p == NULL) {
            weft_count_end(rt, NULL);
        }
        return error;
    }
    set_up(rt, p, t, options, t->pooled, body->fn == NULL, joiner, creator);
    set_body(t, body);
    if (p != NULL) {
        weft_count(&p->spawned);
    }
    *out = t;
    weft_ready(rt, w, t);
    return 0;
}

static WEFT_NOINLINE int start_slowly(struct weft_worker *w,
                                      struct weft_task **out,
                                      const struct body *body,
                                      const struct weft_task_options *options,
                                      uintptr_t joiner, const void *creator) {
    struct weft_runtime *rt = weft_runtime_borrow(w);
    int error = -EPERM;
    if (rt != NULL) {
        error = make(w, rt, body, options, joiner, creator, out);
    }
    weft_leave_borrowed(w);
    return error;
}

static const struct weft_task_options defaults;

/* NULL options: the usual ones. Then, on a processor with records in stock, a
 * task is made without asking anybody. */
static WEFT_ALWAYS_INLINE int start(struct weft_task **out,
                                    const struct body *body,
                                    const struct weft_task_options *options,
                                    uintptr_t joiner, const void *creator) {
    struct weft_worker *w = weft_enter();
    struct weft_processor *p = w == NULL ? NULL : weft_worker_processor(w);
    struct weft_task *t;
    if (WEFT_UNLIKELY(options != NULL || p == NULL ||
                      (t = weft_record_take_quickly(p)) == NULL)) {
        return start_slowly(w, out, body, options != NULL ? options : &defaults,
                            joiner, creator);
    }
    set_up(w->runtime, p, t, &defaults, true, body->fn == NULL, joiner,
           creator);
    set_body(t, body);
    weft_count(&p->spawned);
    *out = t; /* before others may run it: it may be read there */
    weft_ready_new(p, t);
    weft_leave(w);
    return 0;
}

WEFT_TEXT int weft_go(void (*fn)(void *), void *arg) {
    struct weft_task *t;
    return start(&t, &(struct body){.fn_plain = fn, .arg = arg}, NULL,
                 WEFT_JOIN_DETACHED, __builtin_return_address(0));
}

WEFT_TEXT int weft_spawn(struct weft_task **out, void *(*fn)(void *), void *arg,
                         const struct weft_task_options *options) {
    if (options != NULL && ((unsigned)options->priority > WEFT_PRIORITY_LOW ||
                            (options->stack_size != 0 &&
                             options->stack_size < weft_stack_min_size()))) {
        return -EINVAL;
    }
    return start(out, &(struct body){.fn = fn, .arg = arg}, options,
                 WEFT_JOIN_NOBODY, __builtin_return_address(0));
}

void weft_handle_is_gone(void) {
    const struct weft_task *self = weft_self();
    weft_fatal(
        "weft_join or weft_detach: task \"%s\" uses a handle that is gone; the "
        "task was joined or detached before, and either is done once",
        self == NULL ? "?" : weft_task_name(self));
}

/* A task that has ended and is its caller's to free. */
static WEFT_ALWAYS_INLINE void free_joined(struct weft_worker *w,
                                           struct weft_task *t) {
    struct weft_runtime *rt = weft_runtime_of(w);
    weft_task_free(rt, w == NULL ? NULL : weft_worker_processor(w), t);
    weft_leave_borrowed(w);
}

/* Until `task` has ended, or an error. `self` is its joiner from here on, and
 * nobody else changes `joiner` but the end. */
static WEFT_NOINLINE int wait_for_end(struct weft_task *self,
                                      struct weft_task *task,
                                      uint64_t deadline) {
    uintptr_t seen = WEFT_JOIN_NOBODY;
    /* Release: pairs with the acquire in weft_task_ended() (quick.h). Acquire:
     * pairs with the release there. */
    if (!atomic_compare_exchange_strong_explicit(
            &task->joiner, &seen, (uintptr_t)self, memory_order_acq_rel,
            memory_order_acquire) &&
        seen != WEFT_JOIN_DONE) {
        if (seen == WEFT_JOIN_DETACHED) {
            weft_handle_is_gone();
        }
        return -EBUSY;
    }
    /* Acquire: pairs with the release in weft_task_ended(). */
    while (atomic_load_explicit(&task->joiner, memory_order_acquire) !=
           WEFT_JOIN_DONE) {
        int error = weft_park_for_end(deadline);
        uintptr_t me = (uintptr_t)self;
        /* Both as in the exchange above; the next to join or to detach goes on
         * from here. */
        if (error != 0 && atomic_compare_exchange_strong_explicit(
                              &task->joiner, &me, WEFT_JOIN_NOBODY,
                              memory_order_acq_rel, memory_order_acquire)) {
            return error;
        }
    }
    return 0;
}

/* The same where it is not over yet, or where nobody may wait. */
static WEFT_NOINLINE int join_slowly(struct weft_task *task, void **result,
                                     uint64_t deadline) {
    struct weft_task *self = weft_self();
    int error = self == NULL   ? -EPERM
                : self == task ? -EDEADLK
                               : wait_for_end(self, task, deadline);
    if (error != 0) {
        return error;
    }
    if (result != NULL) {
        *result = task->value;
    }
    free_joined(weft_enter(), task);
    return 0;
}

static WEFT_ALWAYS_INLINE int join(struct weft_task *task, void **result,
                                   uint64_t deadline) {
    struct weft_worker *w = weft_enter();
    /* Outside a task `task` may be anything. Once it is DONE nobody changes it
     * any more. Acquire: pairs with the release in weft_task_ended(). */
    if (w == NULL || weft_worker_task(w) == NULL ||
        atomic_load_explicit(&task->joiner, memory_order_acquire) !=
            WEFT_JOIN_DONE) {
        if (w != NULL) {
            weft_leave(w);
        }
        return join_slowly(task, result, deadline);
    }
    if (result != NULL) {
        *result = task->value;
    }
    free_joined(w, task);
    return 0;
}

WEFT_TEXT int weft_join_until(struct weft_task *task, void **result,
                              uint64_t deadline) {
    return join(task, result, deadline);
}

WEFT_TEXT int weft_join(struct weft_task *task, void **result) {
    return join(task, result, WEFT_FOREVER);
}

int weft_detach(struct weft_task *task) {
    uintptr_t seen = WEFT_JOIN_NOBODY;
    /* Release: pairs with the acquire in weft_task_ended(), which uses the
     * record again. Acquire: pairs with the release there. */
    if (atomic_compare_exchange_strong_explicit(
            &task->joiner, &seen, WEFT_JOIN_DETACHED, memory_order_acq_rel,
            memory_order_acquire)) {
        return 0;
    }
    if (seen == WEFT_JOIN_DONE) {
        free_joined(weft_enter(), task);
        return 0;
    }
    if (seen == WEFT_JOIN_DETACHED) {
        weft_handle_is_gone();
    }
    return -EBUSY;
}

int weft_cancel(struct weft_task *task) {
    atomic_store_explicit(&task->cancelled, 1, memory_order_relaxed);
    weft_unpark(task);
    return 0;
}

static void cancel_one(void *arg, void *task) {
    struct weft_task *t = task;
    (void)arg;
    if (atomic_load_explicit(&t->id, memory_order_relaxed) != 0) {
        weft_cancel(t);
    }
}

/* Cancels every task there is: the runtime ends. A task that is being made
 * meanwhile may have looked at rt->stopping before and show its id only later:
 * wait_for_tasks() calls this again and again. */
void weft_cancel_all(struct weft_runtime *rt) {
    /* Pairs with count_foreign(). */
    atomic_store_explicit(&rt->stopping, 1, memory_order_seq_cst);
    weft_runtime_enter();
    weft_record_each(rt, cancel_one, NULL);
    weft_runtime_leave();
}

/* Have all tasks ended that were ever made? Ends are read before births: what
 * ended was born before. Any thread. */
bool weft_tasks_all_ended(struct weft_runtime *rt) {
    /* Acquire, both: pair with the releases in count_end(); the births that
     * came before the ends that are seen are seen below. */
    uint64_t ended =
        atomic_load_explicit(&rt->foreign_ended, memory_order_acquire);
    uint64_t spawned = 0;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        ended += atomic_load_explicit(&rt->processors[i].ended,
                                      memory_order_acquire);
    }
    for (unsigned i = 0; i < rt->processor_count; i++) {
        spawned += atomic_load_explicit(&rt->processors[i].spawned,
                                        memory_order_relaxed);
    }
    /* Pairs with count_foreign(). */
    spawned += atomic_load_explicit(&rt->foreign_spawned, memory_order_seq_cst);
    return ended == spawned;
}

struct weft_task *weft_self(void) {
    struct weft_worker *w = weft_worker_self();
    return w == NULL ? NULL : weft_worker_task(w);
}

bool weft_cancelled(void) {
    struct weft_task *t = weft_self();
    return t != NULL &&
           atomic_load_explicit(&t->cancelled, memory_order_relaxed) != 0;
}

uint64_t weft_task_id(const struct weft_task *task) {
    return atomic_load_explicit(&task->id, memory_order_relaxed);
}

const char *weft_task_name(const struct weft_task *task) {
    return task->named ? task->name : "task";
}

struct weft_carried *weft_carried(void) {
    struct weft_task *t = weft_self();
    return t != NULL && t->carries ? t->carried : NULL;
}

int weft_carry(struct weft_carried *what) {
    struct weft_task *t = weft_self();
    if (t == NULL) {
        return -EPERM;
    }
    t->carried = what;
    t->carries = what != NULL;
    return 0;
}

void weft_set_name(const char *name) {
    struct weft_task *t = weft_self();
    if (t != NULL) {
        set_name(t, name);
    }
}

int weft_set_priority(enum weft_priority priority) {
    struct weft_task *t = weft_self();
    if (t == NULL) {
        return -EPERM;
    }
    if ((unsigned)priority > WEFT_PRIORITY_LOW) {
        return -EINVAL;
    }
    t->priority = (uint8_t)priority;
    return 0;
}

enum weft_task_state weft_task_state(const struct weft_task *task) {
    return (enum weft_task_state)atomic_load_explicit(&task->state,
                                                      memory_order_relaxed);
}
