/* SPDX-License-Identifier: MIT */
/* What the runtime has counted, and what it is doing: read from outside, with
 * relaxed loads of words that their owners write. Nothing here stops anybody,
 * so the numbers are of slightly different moments. */
#include <string.h>

#include "weft/base/print.h"
#include "weft/sched/core.h"

static uint64_t get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_processors(struct weft_runtime *rt, struct weft_metrics *m) {
    uint64_t ended = get(&rt->foreign_ended);
    m->spawned = get(&rt->foreign_spawned);
    for (unsigned i = 0; i < rt->processor_count; i++) {
        struct weft_processor *p = &rt->processors[i];
        struct weft_local_counters c;
        weft_local_counters_read(&p->queue, &c);
        ended += get(&p->ended);
        m->spawned += get(&p->spawned);
        m->switches += get(&p->seq);
        m->steals += c.steals + get(&p->adopted);
        m->far_steals += get(&p->far);
        m->stolen += c.stolen + get(&p->adopted);
        m->overflows += c.overflows;
        m->polls += get(&p->polls);
        m->preempt_yielded += get(&p->yielded);
        m->local_queue += weft_own_length(p);
        weft_lock_acquire(&p->timer_lock);
        m->timers += weft_timer_heap_count(&p->timers);
        weft_lock_release(&p->timer_lock);
    }
    m->tasks = m->spawned > ended ? m->spawned - ended : 0;
}

static void add_workers(struct weft_runtime *rt, struct weft_metrics *m) {
    weft_lock_acquire(&rt->idle.lock);
    struct weft_preempt_counters sum = rt->past;
    weft_lock_release(&rt->idle.lock);
    /* Acquire: pairs with the release in start_worker(). */
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
        if (atomic_load_explicit(&w->ended, memory_order_relaxed) !=
            WEFT_ENDED_NOT) {
            continue;
        }
        m->threads++;
        weft_thread_counters(&w->thread, &sum);
        switch (atomic_load_explicit(&w->status, memory_order_relaxed)) {
            case WEFT_WORKER_SPARE:
            case WEFT_WORKER_POLLING:
                m->spare_threads++;
                break;
            case WEFT_WORKER_KEPT:
                m->kept_threads++;
                break;
            case WEFT_WORKER_BLOCKED:
            case WEFT_WORKER_STRAY:
                m->blocked_threads++;
                break;
            default:
                break;
        }
    }
    m->requests = sum.requests;
    m->alarms = sum.alarms;
    m->cut_short = sum.cut_short;
    m->deferred = sum.deferred_gate + sum.deferred_text;
    m->deferred_libc = sum.deferred_libc;
}

void weft_metrics_read(struct weft_metrics *out) {
    memset(out, 0, sizeof *out);
    struct weft_worker *self = weft_enter();
    struct weft_runtime *rt = weft_runtime_borrow(self);
    if (rt != NULL) {
        out->workers = rt->processor_count;
        out->nodes = rt->topology.count;
        out->preempt = rt->config.preempt;
        out->poller = weft_poller_kind(&rt->poller);
        out->global_queue =
            weft_global_length(&rt->global) + weft_global_length(&rt->high);
        out->hog_queue = weft_global_length(&rt->hogs);
        out->checks = get(&rt->checks);
        out->preempt_kept = get(&rt->kept);
        out->preempt_migrated = get(&rt->migrated);
        out->migrate_refused = get(&rt->refused);
        out->skipped_at_cap = get(&rt->skipped);
        out->held_at_cap = weft_global_length(&rt->held);
        out->threads_refused = get(&rt->threads_refused);
        out->retaken = get(&rt->retaken);
        out->parks = get(&rt->parks);
        out->unparks = get(&rt->unparks);
        add_processors(rt, out);
        add_workers(rt, out);
    }
    weft_leave_borrowed(self);
}

static const char *const state_names[] = {"idle", "runnable", "running",
                                          "waiting", "dead"};
static const char *const status_names[] = {"spare", "active",  "polling",
                                           "kept",  "blocked", "stray"};

static void dump_task(void *fd, void *task) {
    struct weft_task *t = task;
    uint64_t id = weft_task_id(t);
    uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
    const char *why = state == WEFT_TASK_WAITING
                          ? atomic_load_explicit(&t->why, memory_order_relaxed)
                          : NULL;
    if (id == 0 || state > WEFT_TASK_DEAD) {
        return;
    }
    weft_print(*(int *)fd,
               "task %llu \"%s\" %s%s%s%s%s token %u created at %p\n",
               (unsigned long long)id, weft_task_name(t), state_names[state],
               why != NULL ? ": " : "", why != NULL ? why : "",
               t->hog ? ", hog" : "", t->bound != NULL ? ", bound" : "",
               atomic_load_explicit(&t->token, memory_order_relaxed),
               (void *)(uintptr_t)t->creator);
}

void weft_dump(int fd) {
    struct weft_worker *self = weft_enter();
    struct weft_runtime *rt = weft_runtime_borrow(self);
    if (rt != NULL) {
        /* Acquire: pairs with the release in start_worker(). */
        uint32_t n =
            atomic_load_explicit(&rt->worker_count, memory_order_acquire);
        weft_print(fd,
                   "weft: %u processors, %u idle, %u searching, %u spares, "
                   "global %u, high %u, hogs %u, seat %u\n",
                   rt->processor_count, rt->idle.processors, rt->idle.searching,
                   rt->idle.spares, weft_global_length(&rt->global),
                   weft_global_length(&rt->high), weft_global_length(&rt->hogs),
                   rt->poll_seat);
        for (unsigned i = 0; i < rt->processor_count; i++) {
            struct weft_processor *p = &rt->processors[i];
            /* Acquire: pairs with the releases in weft_processor_give() and
             * _take(). */
            struct weft_worker *w =
                atomic_load_explicit(&p->worker, memory_order_acquire);
            weft_print(fd,
                       "processor %u node %u worker %d queue %u slot %s seq "
                       "%llu far steals %llu\n",
                       i, p->node, w == NULL ? -1 : (int)w->index,
                       weft_own_length(p), p->slot != NULL ? "full" : "empty",
                       (unsigned long long)p->seq,
                       (unsigned long long)get(&p->far));
        }
        for (uint32_t i = 0; i < n; i++) {
            struct weft_worker *w =
                atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
            struct weft_task *t = weft_worker_task(w);
            weft_print(fd,
                       "worker %u thread %d %s gate %u pending %u retake %u in "
                       "flight %u task %llu\n",
                       i, (int)w->thread.tid, status_names[w->status],
                       w->thread.gate.closed, w->thread.gate.pending, w->retake,
                       w->thread.in_flight,
                       t == NULL ? 0ULL : (unsigned long long)weft_task_id(t));
        }
        weft_record_each(rt, dump_task, &fd);
    }
    weft_leave_borrowed(self);
}
