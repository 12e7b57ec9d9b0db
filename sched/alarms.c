/* SPDX-License-Identifier: MIT */
/* What the monitor sees to while hogs run, seen to by the hogs' own threads;
 * and by those of other tasks whose slices are timed (share.c).
 *
 * The monitor is a thread, and the kernel does not always let it have a CPU as
 * soon as it wakes: one time in fifty it waits for the kernel's next tick, up
 * to 4 ms at 250 Hz, and whoever sleeps or waits for a connection with it. The
 * clock's interrupt waits for nobody. So a thread that runs a hog has an alarm
 * (preempt/alarm.h) for when somebody else may want its processor; its handler
 * runs the timers that are due, looks at the poller, and preempts the hog by
 * the same rules as the monitor (watch.c).
 *
 *   set for                           by
 *   the earliest timer of the         the thread, when a timed slice begins,
 *   processor                         and each time the alarm has gone off
 *   the earliest of the next one, and
 *   STAGGER: its own comes first
 *   when a light task that waits
 *   may take the hog's place
 *   a look at the poller, while
 *   descriptors are awaited
 *   the end of the quantum of a
 *   migratable task, if hogs wait;
 *   of its first one in any case
 *
 * The monitor goes on as before, and is the one who sees to all this where
 * there are no alarms: beside light tasks, and where signals or the kernel's
 * timers cannot be had. It only leaves to an alarm for GRACE what that is set
 * for, and the poller while all hogs are within their share.
 *
 * A quantum ends by the alarm for migratable tasks alone, which compute and do
 * nothing else: of 5,000 that spin at a quantum of 200 us some had slices of 30
 * ms when only the monitor ended them. While such a task is light, an alarm is
 * set at the beginning though nobody may wait yet: tasks like it come in
 * crowds. It then goes by the rules for light tasks (watch.c): CPU time counts,
 * and only a whole quantum makes it a hog.
 *
 * Whom an alarm may not hit: a thread that sleeps in the kernel, whose call
 * would return EINTR. The kernel has no timer that knows. So:
 *   - Only hogs have alarms, tasks that computed for whole slices; and those
 *     that have said that they will (migratable).
 *   - The alarm is stopped when the slice ends, in weft_blocking(), and when
 *     the monitor takes the processor away.
 *   - A task that was found asleep in a call by the monitor, or whose call was
 *     cut short by an alarm, is a sleeper and has none any more (task->sleeps).
 *     So an alarm cuts short one call in the life of a task, at most. (Asleep
 *     in a page fault is not asleep in a call: the fresh stacks of a crowd
 *     have many.)
 *
 * Always true: an alarm is set by the thread whose it is, gate closed; the
 * monitor stops it, while it knows that thread to be in the kernel (keep.c).
 * Nothing rests on an alarm: one that comes too often finds nothing to do, and
 * for one that does not come there is the monitor.
 *
 * Rejected:
 * - An alarm for all slices. Setting one costs 0.5 us, light tasks switch in
 *   0.02; and who computes little and calls the kernel much would be hit in its
 *   calls.
 * - One that goes off each 10 ms while any timer is far away, so that what
 *   other processors arm meanwhile is seen: 100 signals a second where nobody
 *   waits, for what the monitor sees as well.
 * - What becomes ready here goes into the queue of all, as with the monitor, in
 *   place of this processor's own. Beside a server's hogs its p99 was the
 *   worse for it. */
#include "weft/sched/alarms.h"

#include "weft/sched/core.h"

enum {
    STAGGER = 100 * 1000,      /* ns */
    GRACE = 300 * 1000,        /* ns */
    LEAST = 20 * 1000,         /* ns from one to the next */
    POLL_OFTEN = 300 * 1000,   /* ns between looks at the poller that find */
    POLL_SELDOM = 1200 * 1000, /* something, and that do not */
    POLL_BATCH = 32,
};

WEFT_TEXT static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Does a light task wait that `p` could run? A snapshot. */
WEFT_TEXT static bool light_waits(struct weft_processor *p) {
    return weft_own_light(p) || weft_global_length(&p->runtime->global) > 0 ||
           weft_global_length(&p->runtime->high) > 0;
}

/* When timers are to be run on `p`. Its neighbour's thread may have an alarm as
 * well, but no CPU. While a processor is idle, somebody sleeps in the poller
 * until the earliest of all. */
WEFT_TEXT static uint64_t timers_due(struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    unsigned next = (unsigned)(p - rt->processors) + 1;
    struct weft_processor *neighbour =
        &rt->processors[next < rt->processor_count ? next : 0];
    uint64_t own = weft_timer_heap_next(&p->timers);
    uint64_t others =
        weft_earlier(own, weft_timer_heap_next(&neighbour->timers));
    bool first =
        atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) == 0;
    return weft_earlier(first ? own : WEFT_FOREVER,
                        weft_clock_after(others, STAGGER));
}

WEFT_TEXT static bool polls(struct weft_runtime *rt) {
    return weft_policy_on(&rt->config, WEFT_POLICY_POLL) &&
           weft_poller_waiting(&rt->poller) > 0;
}

/* When the hog's place may be taken, by light tasks and by other hogs. */
struct turn {
    uint64_t may, over;
};

/* Sets the alarm for what is next. `fresh`: a light task's slice begins, whose
 * end is looked after although nobody waits yet. */
WEFT_TEXT static void set(struct weft_worker *w, struct weft_processor *p,
                          struct turn turn, bool fresh, uint64_t now) {
    struct weft_alarm *alarm = &w->thread.alarm;
    uint64_t want = timers_due(p);
    uint64_t may = turn.may;
    if (weft_worker_task(w)->migratable &&
        (fresh || weft_global_length(&w->runtime->hogs) > 0)) {
        want = weft_earlier(want, turn.over);
    }
    if (light_waits(p)) {
        want = may > now ? may : now + STAGGER;
    } else if (polls(w->runtime)) {
        if (may > now &&
            atomic_load_explicit(&p->protect, memory_order_relaxed) > 0) {
            p->poll_at = weft_earlier(p->poll_at, may); /* they will be there */
        }
        want = weft_earlier(want, p->poll_at);
    }
    if (want == WEFT_FOREVER) {
        return;
    }
    want = later(later(want, may), now + LEAST);
    uint64_t is = weft_alarm_when(alarm);
    if (is < now || is > want) { /* else it comes sooner, and looks again */
        (void)weft_alarm_set(alarm, want);
    }
}

WEFT_TEXT void weft_alarms_slice(struct weft_worker *w,
                                 struct weft_processor *p, bool timed,
                                 uint64_t now) {
    struct weft_runtime *rt = w->runtime;
    struct weft_task *t = weft_worker_task(w);
    if (!rt->alarms) {
        return;
    }
    weft_alarm_forget_late(&w->thread.alarm);
    if (!timed || t == NULL || t->sleeps) {
        weft_alarms_rest(w);
        return;
    }
    if (p->poll_at < now) {
        p->poll_at = now + p->poll_every;
    }
    uint64_t quantum = weft_quantum(&rt->config, weft_global_length(&rt->hogs));
    struct turn turn = {now + weft_light_may_come(p, quantum), now + quantum};
    bool hog = weft_began_as_hog(
        atomic_load_explicit(&p->began, memory_order_relaxed));
    set(w, p, turn, !hog, now);
}

WEFT_TEXT uint64_t weft_alarms_used(struct weft_processor *p, uint64_t began,
                                    uint64_t used) {
    struct weft_worker *w =
        atomic_load_explicit(&p->worker, memory_order_relaxed);
    uint64_t now = weft_clock_now();
    uint64_t late = w == NULL ? 0 : weft_alarm_late(&w->thread.alarm, now);
    uint64_t lasted = now - began;
    return late >= lasted ? 0 : used > lasted - late ? lasted - late : used;
}

/* A look at the poller, without waiting. */
WEFT_TEXT static void look_at_poller(struct weft_processor *p, uint64_t now) {
    void *tasks[POLL_BATCH];
    int count = weft_look_at_poller(p, tasks, POLL_BATCH);
    p->poll_every =
        count > 0 ? POLL_OFTEN : weft_earlier(2 * p->poll_every, POLL_SELDOM);
    p->poll_at = now + p->poll_every;
}

/* CPU time that the slice on `p` has used. On its thread. */
WEFT_TEXT static uint64_t used_cpu(struct weft_processor *p) {
    return weft_hogs_clock() -
           atomic_load_explicit(&p->cpu_began, memory_order_relaxed);
}

/* As good as all: the two clocks are not read at once. */
WEFT_TEXT static bool enough(uint64_t used, uint64_t allowed) {
    return used >= allowed - allowed / 8;
}

WEFT_TEXT bool weft_alarms_look(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *t = weft_worker_task(w);
    uint64_t began =
        p == NULL ? 0 : atomic_load_explicit(&p->began, memory_order_relaxed);
    if (began == 0 || t == NULL || t->sleeps) {
        return false; /* the slice is over that it was set for */
    }
    uint64_t now = weft_clock_now();
    uint64_t quantum = weft_quantum(&rt->config, weft_global_length(&rt->hogs));
    struct turn turn = {began + weft_light_may_come(p, quantum),
                        began + quantum};
    if (now >= turn.may) {
        if (timers_due(p) <= now) {
            weft_timers_run(rt, now);
        }
        if (polls(rt) && p->poll_at <= now) {
            look_at_poller(p, now);
        }
    }
    bool light = light_waits(p);
    bool over = light ? now >= turn.may
                      : weft_global_length(&rt->hogs) > 0 && now >= turn.over;
    bool spent = true;
    if (over && !weft_began_as_hog(began)) {
        uint64_t used = used_cpu(p);
        uint64_t allowed = (light ? turn.may : turn.over) - began;
        spent = enough(used, quantum);
        if (!enough(used, allowed)) { /* the kernel had the CPU meanwhile */
            turn.may = turn.over = now + (allowed - used);
            over = false;
        }
    }
    if (over &&
        atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) > 0) {
        weft_wake(rt); /* somebody may take it over without a preemption */
        over = now >= turn.over;
    }
    if (over) {
        atomic_store_explicit(&p->asked_spent, spent, memory_order_relaxed);
        atomic_store_explicit(
            &p->asked_seq, atomic_load_explicit(&p->seq, memory_order_relaxed),
            memory_order_relaxed);
    } else {
        set(w, p, turn, false, now);
    }
    return over;
}

WEFT_TEXT uint64_t weft_alarms_grace(struct weft_runtime *rt, uint64_t when) {
    if (!rt->alarms || when == WEFT_FOREVER) {
        return 0;
    }
    for (unsigned i = 0; i < rt->processor_count; i++) {
        /* Acquire: pairs with the releases in weft_processor_give() and
         * _take(). */
        struct weft_worker *w = atomic_load_explicit(&rt->processors[i].worker,
                                                     memory_order_acquire);
        uint64_t rings = w == NULL ? 0 : weft_alarm_when(&w->thread.alarm);
        if (rings != 0 && rings <= when + STAGGER) {
            return GRACE;
        }
    }
    return 0;
}

/* Only where a processor can be taken from a thread that sleeps in the kernel,
 * which also leaves out emulators; where deadlines are the real clock's; and
 * not under ThreadSanitizer, where the handler may have interrupted the
 * sanitizer itself. */
void weft_alarms_start(struct weft_runtime *rt) {
    rt->alarms = !WEFT_TSAN && rt->can_retake &&
                 rt->config.preempt == WEFT_PREEMPT_SIGNAL &&
                 !weft_clock_is_virtual(&rt->clock) &&
                 weft_policy_on(&rt->config, WEFT_POLICY_ALARM);
    for (unsigned i = 0; i < rt->processor_count; i++) {
        rt->processors[i].poll_every = POLL_OFTEN;
    }
}
