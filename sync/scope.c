/* SPDX-License-Identifier: MIT */
/* A scope counts its children with a wait group, and knows those that are to be
 * cancelled by a list.
 *
 *     go      error set? else children + 1, the child starts, detached
 *     child   lock: error set? then it cancels itself, else it enters the list
 *             fn(arg); its task-local values end
 *             failed? error = that, unless set; cancels the others
 *             lock: leaves the list; unlock; children - 1: the last touch
 *     cancel  error set, then, with the lock: takes all out of the list and
 *             cancels them, in batches
 *
 * A deadline on the whole is kept by a task beside the children, the watch,
 * which waits for the end of the scope until then and cancels as a child that
 * fails does. Who waits for the scope tells it the end and waits for it, too.
 *
 * Always true:
 *  - a child in the list is alive: it enters and leaves by itself, under the
 *    lock, so its task can be cancelled there without a handle;
 *  - the error is set before the list is emptied: a child that starts meanwhile
 *    either is in the list in time or sees the error;
 *  - the memory of a scope is touched by a child for the last time when it
 *    counts itself out (wait_group.c), which lets the owner go.
 *
 * Context: any thread; the lock is held for a few lines with preemption off.
 *
 * Rejected: handles that the owner joins one by one (a scope that lives long
 * and starts many would collect the ended ones; and a join is ended by
 * cancellation, while this wait must not be); a timer that calls a function (it
 * would run in the monitor or in another's task, where nothing may take long,
 * and a scope may have a million to cancel). After Trio's nurseries and Go's
 * errgroup. */
#include "weft/sync/scope.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"
#include "weft/sync/event.h"

enum { BATCH = 64 }; /* children cancelled under one hold of the lock */

struct weft_scope_child {
    /* Fixed. */
    struct weft_scope *scope;
    int (*fn)(void *);
    void *arg;
    /* Under the scope's lock. */
    struct weft_scope_child *next, *prev;
    struct weft_task *task; /* once it runs */
    bool listed;
};

/* Of a scope with a deadline. */
struct weft_scope_watch {
    struct weft_scope *scope;     /* fixed */
    uint64_t deadline;            /* fixed */
    struct weft_event over;       /* the scope has ended */
    struct weft_wait_group ended; /* and so has the watch */
};

void weft_scope_init(struct weft_scope *s) {
    *s = (struct weft_scope){.owner = weft_self()};
}

int weft_scope_error(const struct weft_scope *s) {
    /* Relaxed: a number; what came before it is seen after the wait. */
    return atomic_load_explicit(&s->error, memory_order_relaxed);
}

static void lock(struct weft_scope *s) {
    weft_runtime_enter();
    weft_lock_acquire(&s->lock);
}

static void unlock(struct weft_scope *s) {
    weft_lock_release(&s->lock);
    weft_runtime_leave();
}

/* Under the lock. */
static void take_out(struct weft_scope *s, struct weft_scope_child *c) {
    *(c->prev != NULL ? &c->prev->next : &s->first) = c->next;
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    c->listed = false;
}

/* The first error counts; all children shall end. */
static void fail(struct weft_scope *s, int error) {
    int none = 0;
    /* Relaxed: the lock below orders it for who starts. */
    atomic_compare_exchange_strong_explicit(
        &s->error, &none, error, memory_order_relaxed, memory_order_relaxed);
    bool more = true;
    while (more) {
        lock(s);
        for (int i = 0; i < BATCH && s->first != NULL; i++) {
            struct weft_scope_child *c = s->first;
            take_out(s, c);
            weft_cancel(c->task);
        }
        more = s->first != NULL;
        unlock(s);
    }
}

void weft_scope_cancel(struct weft_scope *s) {
    fail(s, -ECANCELED);
}

static void *watch(void *arg) {
    struct weft_scope_watch *w = arg;
    int error = weft_event_wait_until(&w->over, w->deadline);
    if (error != 0) {
        fail(w->scope, error);
    }
    weft_wait_group_done(&w->ended);
    return NULL;
}

int weft_scope_init_until(struct weft_scope *s, uint64_t deadline) {
    /* It has next to nothing to do, and that at once. */
    static const struct weft_task_options options = {
        .name = "scope's deadline", .priority = WEFT_PRIORITY_HIGH};
    struct weft_task *task;
    weft_scope_init(s);
    if (deadline == WEFT_FOREVER) {
        return 0;
    }
    if (deadline <= weft_now()) {
        fail(s, -ETIMEDOUT);
        return 0;
    }
    struct weft_scope_watch *w = malloc(sizeof *w);
    if (w == NULL) {
        return -ENOMEM;
    }
    *w = (struct weft_scope_watch){.scope = s, .deadline = deadline};
    weft_wait_group_add(&w->ended, 1);
    int error = weft_spawn(&task, watch, w, &options);
    if (error != 0) {
        free(w);
        return error;
    }
    weft_detach(task);
    s->watch = w;
    return 0;
}

static void end_watch(struct weft_scope *s) {
    if (s->watch != NULL) {
        weft_event_set(&s->watch->over);
        weft_wait_group_wait_uncancellable(&s->watch->ended);
        free(s->watch);
        s->watch = NULL;
    }
}

static void begin(struct weft_scope *s, struct weft_scope_child *c) {
    lock(s);
    c->task = weft_self();
    if (weft_scope_error(s) != 0) {
        weft_cancel(c->task);
    } else {
        c->next = s->first;
        if (c->next != NULL) {
            c->next->prev = c;
        }
        s->first = c;
        c->listed = true;
    }
    unlock(s);
}

static void *run(void *arg) {
    struct weft_scope_child *c = arg;
    struct weft_scope *s = c->scope;
    begin(s, c);
    int error = c->fn(c->arg);
    /* What the task would do after its function, but in the scope still. */
    struct weft_carried *carried = weft_carried();
    if (carried != NULL) {
        carried->end(carried);
    }
    if (error != 0) {
        fail(s, error);
    }
    lock(s);
    if (c->listed) {
        take_out(s, c);
    }
    unlock(s);
    free(c);
    weft_wait_group_done(&s->children);
    return NULL;
}

int weft_scope_spawn(struct weft_scope *s, int (*fn)(void *), void *arg,
                     const struct weft_task_options *options) {
    struct weft_task *task;
    if (weft_scope_error(s) != 0) {
        return -ECANCELED;
    }
    struct weft_scope_child *c = malloc(sizeof *c);
    if (c == NULL) {
        return -ENOMEM;
    }
    *c = (struct weft_scope_child){.scope = s, .fn = fn, .arg = arg};
    weft_wait_group_add(&s->children, 1);
    int error = weft_spawn(&task, run, c, options);
    if (error != 0) {
        free(c);
        weft_wait_group_done(&s->children);
        return error;
    }
    weft_detach(task);
    return 0;
}

int weft_scope_go(struct weft_scope *s, int (*fn)(void *), void *arg) {
    return weft_scope_spawn(s, fn, arg, NULL);
}

int weft_scope_wait_until(struct weft_scope *s, uint64_t deadline) {
    if (s->owner != weft_self()) {
        weft_fatal(
            "weft_scope_wait: the scope was opened by another; who opens it "
            "waits for it, and its own tasks never do");
    }
    int error = weft_wait_group_wait_until(&s->children, deadline);
    if (error != 0) {
        fail(s, error);
        weft_wait_group_wait_uncancellable(&s->children);
    }
    end_watch(s);
    return weft_scope_error(s);
}

int weft_scope_wait(struct weft_scope *s) {
    return weft_scope_wait_until(s, WEFT_FOREVER);
}
