/* SPDX-License-Identifier: MIT */
/* How light tasks and hogs share a processor while both wait for it.
 *
 * Light tasks go first: one that becomes ready takes the place of a hog as soon
 * as that has had its minimum slice. So a server answers at once beside tasks
 * that compute. But light tasks can be many; then they would leave the hogs
 * next to nothing. So their going first is paid for, processor by processor:
 *
 *   while a hog runs, the light tasks earn 1/EARN of the CPU time it gets
 *   while they run, they spend what they have earned
 *   credit left                    they take the place of a hog at once
 *   spent, and BURST beyond that   a hog is next (pick.c)
 *   overdrawn                      the hog's slice is its own until the debt is
 *                                  earned back (watch.c)
 *
 * Light tasks that use less than 1/(EARN + 1) of a processor never wait for
 * more than a minimum slice; those that would use more are served in bursts,
 * and the hogs keep EARN/(EARN + 1). Credit and debt are bounded, so the past
 * is soon forgotten, and no light task waits for more than EARN * DEBT_MAX
 * because of it.
 *
 * A hog's CPU time, since what others take of its slice (the client of a server
 * on this machine, the monitor) is not its own; a slice that it ends itself is
 * taken for whole.
 *
 * A burst lasts as long as a debt can be paid for. Half of that was measured:
 * what a burst costs to begin and to end, and its first round, in which each
 * task has waited for long, come once a burst, and twice as often then. More
 * than all of it would be lost to the hogs.
 *
 * The idea is that of lag in EEVDF (Stoica and Abdel-Wahab, 1995) with two
 * classes in place of many tasks. Rejected: a hog for every 64th pick; how much
 * that gives them depends on how long light tasks take.
 *
 * The kernel has to play along: it keeps a thread that wakes waiting behind the
 * one that runs as long as that one's deadline, the end of its slice, is the
 * earlier, and has a look at that only at its tick, 4 ms later perhaps. The
 * monitor, a light task's worker and the client of a server on this machine are
 * to come first. So threads that run hogs have long slices, and the others
 * short ones; their shares are the same. With short ones for all, the monitor
 * woke to find the hog in the middle of a slice in 2 of 100 times, and was
 * milliseconds late.
 *
 * Timed slices. A hog's slice is timed: the clocks are read where it begins,
 * its thread has an alarm for its end (alarms.c), and what it used is charged
 * (hogs.c). A light task's is not; it is the monitor that ends it, and a task
 * is light until it is known to compute. Of 20,000 tasks that spin one in
 * twenty had 0.5 to 8 ms as its first slice in place of 0.1, and nobody charged
 * it. But a migratable task has said that it will compute: its slices are timed
 * from the first one, though light otherwise. That costs 0.3 us, and 0.5 where
 * an alarm has to be set: nothing beside a slice, and much beside tasks that
 * soon wait or end. So where QUICK of them in a row have done so, the next ones
 * are not timed until a task is preempted again, or the processor comes into
 * other hands.
 *
 * Always true: only the owner of a processor is here; the clock is read where a
 * timed slice begins or ends, and at every 16th pick while hogs wait. */
#include "weft/base/slice.h"
#include "weft/sched/alarms.h"
#include "weft/sched/core.h"

enum {
    EARN = 5,
    CREDIT_MAX = 700 * 1000,      /* ns */
    DEBT_MAX = 700 * 1000,        /* ns */
    BURST = DEBT_MAX,             /* ns: see above */
    QUICK = 4,                    /* slices */
    LIGHT_SLICE = 100 * 1000,     /* ns; the kernel's least */
    HOG_SLICE = 50 * 1000 * 1000, /* ns */
};

static void add_credit(struct weft_processor *p, int64_t ns) {
    int64_t credit = p->credit + ns;
    p->credit = credit > CREDIT_MAX  ? CREDIT_MAX
                : credit < -DEBT_MAX ? -DEBT_MAX
                                     : credit;
}

/* Tells the kernel what the calling thread, `w`, is about to run: see above. */
WEFT_TEXT void weft_share_thread(struct weft_worker *w, bool hog) {
    if (w->patient != hog &&
        weft_policy_on(&w->runtime->config, WEFT_POLICY_SLICE)) {
        w->patient = hog;
        (void)weft_thread_slice(hog ? HOG_SLICE : LIGHT_SLICE);
    }
}

/* Accounts for what has run on `p`; a hog is next, or was the last one. */
static void settle(struct weft_processor *p, uint64_t began, uint64_t now) {
    if (weft_began_as_hog(began)) {
        uint64_t lasted = now - began;
        uint64_t used = p->hog_used;
        add_credit(
            p, (int64_t)(used != 0 && used < lasted ? used : lasted) / EARN);
    } else if (p->light_since != 0) {
        uint64_t spent = now - p->light_since;
        add_credit(p, spent < 2 * DEBT_MAX ? -(int64_t)spent : -2 * DEBT_MAX);
    }
}

/* A slice begins on `p`, and it or the last one is timed. */
WEFT_TEXT void weft_share_switch(struct weft_processor *p,
                                 enum weft_timed timed, uint64_t now) {
    uint64_t began = atomic_load_explicit(&p->began, memory_order_relaxed);
    bool hog = timed == WEFT_TIMED_HOG;
    bool was_hog = weft_began_as_hog(began);
    struct weft_worker *w =
        atomic_load_explicit(&p->worker, memory_order_relaxed);
    if (hog || was_hog) {
        settle(p, began, now);
        if (w != NULL) {
            weft_share_thread(w, hog);
        }
        p->light_since = hog ? 0 : now;
        bool owes = p->credit < 0 &&
                    weft_policy_on(&p->runtime->config, WEFT_POLICY_CLASSES);
        atomic_store_explicit(&p->protect,
                              owes ? (uint64_t)(-p->credit * EARN) : 0,
                              memory_order_relaxed);
    }
    p->hog_used = 0;
    if (timed != WEFT_TIMED_NOT) {
        atomic_store_explicit(&p->cpu_began, weft_hogs_clock(),
                              memory_order_relaxed);
    }
    atomic_store_explicit(&p->began,
                          timed == WEFT_TIMED_NOT ? 0
                          : hog                   ? now & ~UINT64_C(1)
                                                  : now | 1,
                          memory_order_relaxed);
    if (w != NULL) {
        weft_alarms_slice(w, p, timed != WEFT_TIMED_NOT, now);
    }
}

/* A slice of `t` begins on `p`: it or the last one may have to be timed. */
WEFT_TEXT void weft_share_slice(struct weft_processor *p,
                                const struct weft_task *t) {
    uint64_t began = atomic_load_explicit(&p->began, memory_order_relaxed);
    if (weft_began_as_light(began) && p->hog_used == 0) {
        p->quick++; /* the last one was not preempted */
    }
    enum weft_timed timed = t->hog              ? WEFT_TIMED_HOG
                            : !t->migratable    ? WEFT_TIMED_NOT
                            : p->quick >= QUICK ? WEFT_TIMED_NOT
                                                : WEFT_TIMED_LIGHT;
    if (timed != WEFT_TIMED_NOT || began != 0) {
        weft_share_switch(p, timed, weft_clock_now());
    }
}

/* The function of a migratable task is about to begin on `p`: its slice begins
 * anew. What its stack has cost is done, and an alarm that went off over that
 * would be met here, where a task cannot be moved yet. */
WEFT_TEXT void weft_share_first(struct weft_processor *p) {
    if (weft_began_as_light(
            atomic_load_explicit(&p->began, memory_order_relaxed))) {
        weft_share_switch(p, WEFT_TIMED_LIGHT, weft_clock_now());
        weft_count(&p->seq); /* requests that were about the old one are not */
    }
}

/* Light tasks have had their burst, while hogs wait. */
WEFT_TEXT bool weft_share_hog_due(struct weft_processor *p, uint64_t now) {
    return p->light_since != 0 &&
           (int64_t)(now - p->light_since) > p->credit + BURST;
}
