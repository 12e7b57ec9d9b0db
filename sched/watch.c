/* SPDX-License-Identifier: MIT */
/* The monitor's look at one processor: has its slice lasted long enough, and
 * what is to be done about it?
 *
 *   a light task waits, a hog runs     once the hog has had its minimum slice,
 *                                      and what share.c has promised it
 *   a light task waits, another runs   once that one has used a minimum slice
 *                                      of CPU: it may be about to wait
 *   only hogs wait                     once the quantum is over
 *
 * The age of a slice counts from the first look at it, so that switching tasks
 * needs no clock; for a hog the processor notes when it began. A task that is
 * no hog yet is judged by the CPU time of its thread: on a busy machine the
 * kernel may have taken the CPU away for longer than a slice, and a task that
 * is called a hog wrongly waits behind the hogs.
 *
 * Where no hog is known, a processor that had many slices since the last look
 * is left alone until the next tick: its tasks come and go by themselves, and
 * it looks at the poller as often as it has nothing to run. Looking on at each
 * of a server's quick answers took a tenth of its CPU time.
 *
 * A hog's thread has an alarm of its own (alarms.c): what that is set for is
 * left to it for GRACE. To wake up, set a timer and signal another CPU costs
 * the monitor 20 to 40 us in a virtual machine, and the hogs wait meanwhile.
 *
 * A thread that sleeps in the kernel is not signalled (its call would return
 * EINTR): its processor is retaken (keep.c), whoever waits for it and
 * within two ticks, however much is left of the slice. Where the kernel does
 * not tell (no /proc, no descriptor left when the thread began) one whose CPU
 * clock stands still for a while is taken to sleep, and one is signalled only
 * when its clock has just moved. On a busy machine a thread that waits for a
 * CPU is then taken for a sleeper at times: it goes on without a processor
 * until weft_watch_strays() finds that it runs.
 *
 * Always true: one light task that all may take makes room on one processor:
 * look->shared counts those for which nobody has been asked yet. */
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/sched/alarms.h"
#include "weft/sched/core.h"

enum {
    BETWEEN = 100 * 1000, /* ns to the next look at one between two tasks, or
                           * to the next request */
    LEAST = 50 * 1000,    /* ns between looks because of CPU time */
    BLOCKED = 500 * 1000, /* ns after which a thread may not sleep while anybody
                           * waits, a hog even */
    STRAYS = 16,          /* looked at in one tick */
    MOVES = 8,            /* slices between looks at one that needs no help */
    GRACE = 300 * 1000,   /* ns that an alarm may be late */
    SOON = 100 * 1000,    /* ns between what is due and its alarm */
    STILL = 300 * 1000,   /* ns without CPU time that make a sleeper, and */
    FRESH = 250 * 1000,   /* ns between looks that tell that one runs now */
};

enum doing { RUNS, SLEEPS, WHO_KNOWS };

/* CPU time that the thread has used, in ns. */
static uint64_t cpu_time(struct weft_worker *w) {
    /* The clock of a thread, as pthread_getcpuclockid() makes it. */
    int clock = (int)((~(unsigned)w->thread.tid << 3) | 6);
    struct timespec ts = {0, 0};
    (void)weft_syscall(SYS_clock_gettime, clock, (long)&ts, 0, 0, 0, 0);
    return weft_timespec_ns(&ts);
}

/* By the CPU clock alone: it has to have run for half the time since the last
 * look, and that not longer than `fresh` ago, to be said to run. */
static enum doing guess_doing(struct weft_worker *w, uint64_t now,
                              uint64_t fresh) {
    uint64_t cpu = cpu_time(w);
    uint64_t passed = now - w->still_at;
    uint64_t used = cpu - w->still_cpu;
    w->still_at = now;
    w->still_cpu = cpu;
    if (used > 0) {
        w->still_since = now;
        return used >= passed / 2 && passed <= fresh ? RUNS : WHO_KNOWS;
    }
    return now - w->still_since >= STILL ? SLEEPS : WHO_KNOWS;
}

/* Does the thread sleep in the kernel? R: it runs or would like to; S: in a
 * call that a signal would end, not in a page fault. */
static enum doing look_doing(struct weft_worker *w, uint64_t now,
                             uint64_t fresh) {
    char text[128];
    w->in_call = true;
    if (WEFT_UNLIKELY(w->stat_fd < 0)) {
        return guess_doing(w, now, fresh);
    }
    long n =
        weft_syscall(SYS_pread64, w->stat_fd, (long)text, sizeof text, 0, 0, 0);
    for (long i = n - 1; i > 0; i--) {
        if (text[i] == ')') { /* "TID (name) STATE ..." */
            w->in_call = i + 2 < n && text[i + 2] == 'S';
            return i + 2 < n && text[i + 2] != 'R' ? SLEEPS : RUNS;
        }
    }
    return RUNS;
}

static void preempt(struct weft_runtime *rt, struct weft_processor *p,
                    struct weft_worker *w, uint64_t now, bool spent,
                    bool asleep) {
    atomic_store_explicit(&p->asked_spent, spent, memory_order_relaxed);
    atomic_store_explicit(&p->asked_seq, p->seen_seq, memory_order_relaxed);
    p->asked_at = now;
    if (asleep) {
        if (rt->can_retake) {
            weft_retake(rt, p, w);
            return;
        }
        /* No membarrier (an old kernel, an emulator): the signal brings it out
         * of its call, which may return EINTR; the alternative is a processor
         * that stands still. */
    }
    weft_signals_request(&w->thread, now);
    if (rt->config.preempt == WEFT_PREEMPT_COOPERATIVE) {
        /* A note at a worker that sleeps would make every check slow.
         * Pairs with the fences in sleep_as_spare() and poll_and_sleep(). */
        atomic_thread_fence(memory_order_seq_cst);
        if (weft_worker_processor(w) != p) {
            weft_thread_take_asked(&w->thread);
        }
    }
}

static bool is_hog(struct weft_processor *p) {
    return weft_began_as_hog(
        atomic_load_explicit(&p->began, memory_order_relaxed));
}

WEFT_TEXT uint64_t weft_light_may_come(struct weft_processor *p,
                                       uint64_t quantum) {
    struct weft_runtime *rt = p->runtime;
    uint64_t least = rt->config.min_slice_ns;
    uint64_t protect = atomic_load_explicit(&p->protect, memory_order_relaxed);
    if (!weft_policy_on(&rt->config, WEFT_POLICY_WAKE_UP)) {
        return quantum;
    }
    if (!is_hog(p) || protect <= least) {
        return least;
    }
    return protect < quantum ? protect : quantum;
}

/* May its thread sleep in the kernel? Not if it computed for most of the time
 * since the last look: that costs a tenth of what is_asleep() does. */
static bool may_sleep(struct weft_processor *p, struct weft_worker *w,
                      uint64_t now) {
    if (is_hog(p)) {
        uint64_t passed = now - p->looked_at;
        uint64_t cpu = cpu_time(w);
        uint64_t used = cpu - p->looked_cpu;
        p->looked_at = now;
        p->looked_cpu = cpu;
        return used < passed - passed / 4;
    }
    return true;
}

/* How long the slice on `p` may last, if `allowed` by the rules: its thread's
 * own alarm that is set for then has some time to go off. */
static uint64_t with_grace(struct weft_processor *p, struct weft_worker *w,
                           uint64_t allowed, uint64_t now) {
    bool timed = atomic_load_explicit(&p->began, memory_order_relaxed) != 0;
    uint64_t rings = timed ? weft_alarm_when(&w->thread.alarm) : 0;
    uint64_t due = p->seen_at + allowed;
    due = due > now ? due : now;
    if (rings == 0 || rings > due + SOON || now > rings + GRACE) {
        return allowed;
    }
    uint64_t end = rings + GRACE - p->seen_at;
    return end > allowed ? end : allowed;
}

/* A slice that was not seen before? Notes when it began. True when there were
 * others in between. */
static bool note_slice(struct weft_processor *p, struct weft_worker *w,
                       uint64_t now) {
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed);
    uint64_t began = atomic_load_explicit(&p->began, memory_order_relaxed);
    bool moves = seq - p->seen_seq >= MOVES;
    if (seq != p->seen_seq) {
        p->seen_seq = seq;
        p->seen_at = began != 0 && began < now ? began : now;
        p->seen_cpu = weft_began_as_hog(began) ? 0 : cpu_time(w);
        p->looked_at = p->seen_at;
        p->looked_cpu =
            atomic_load_explicit(&p->cpu_began, memory_order_relaxed);
    }
    return moves;
}

/* Looks at `p`; returns when it wants to be looked at again. */
WEFT_TEXT uint64_t weft_watch(struct weft_runtime *rt, struct weft_processor *p,
                              struct weft_look *look) {
    /* Acquire: pairs with the releases in weft_processor_give() and _take(). */
    struct weft_worker *w =
        atomic_load_explicit(&p->worker, memory_order_acquire);
    uint64_t now = look->now;
    uint64_t later = now + look->tick;
    if (w == NULL) {
        look->may = 0;
        return WEFT_FOREVER;
    }
    if (atomic_load_explicit(&w->processor, memory_order_relaxed) != p ||
        atomic_load_explicit(&w->task, memory_order_relaxed) == NULL) {
        look->may = 0;
        return rt->alarms ? later : weft_earlier(later, now + BETWEEN);
    }
    bool moves = note_slice(p, w, now);
    atomic_fetch_add_explicit(&rt->checks, 1, memory_order_relaxed);
    bool own = weft_own_light(p);
    uint64_t may = weft_light_may_come(p, look->quantum);
    look->may = weft_earlier(
        look->may, is_hog(p) ? p->seen_at + with_grace(p, w, may, now) : 0);
    bool light = own || look->shared > 0;
    look->calm &= moves && !is_hog(p);
    uint64_t allowed = with_grace(p, w, light ? may : look->quantum, now);
    uint64_t age = now > p->seen_at ? now - p->seen_at : 0;
    look->waiting |= light;
    if (moves && (!look->hogs || !is_hog(p))) {
        return later; /* nobody has overstayed of late */
    }
    if (!light && weft_global_length(&rt->hogs) == 0 &&
        weft_policy_on(&rt->config, WEFT_POLICY_QUIET)) {
        return later;
    }
    bool asleep = false;
    if (age < allowed) {
        asleep = age >= BLOCKED && rt->can_retake && may_sleep(p, w, now) &&
                 look_doing(w, now, FRESH) == SLEEPS;
        if (!asleep) {
            uint64_t next = age < BLOCKED && !is_hog(p)
                                ? weft_earlier(BLOCKED, allowed)
                                : allowed;
            return weft_earlier(later, p->seen_at + next);
        }
    }
    if (!own && look->shared > 0) {
        look->shared--;
    }
    if (atomic_load_explicit(&p->asked_seq, memory_order_relaxed) ==
            p->seen_seq &&
        now < p->asked_at + BETWEEN) {
        return weft_earlier(later, p->asked_at + BETWEEN);
    }
    if (!asleep) {
        enum doing doing = look_doing(w, now, FRESH);
        if (doing == WHO_KNOWS) {
            return weft_earlier(later, now + BETWEEN);
        }
        asleep = doing == SLEEPS;
    }
    bool spent = is_hog(p);
    if (!spent && !asleep) {
        uint64_t used = cpu_time(w) - p->seen_cpu;
        spent = used >= look->quantum;
        if (used < allowed) {
            uint64_t left = allowed - used;
            return weft_earlier(later, now + (left > LEAST ? left : LEAST));
        }
    }
    if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) > 0) {
        weft_wake(rt); /* somebody may take it over without a preemption */
        if (age < look->quantum) {
            return later;
        }
    }
    if (rt->config.preempt != WEFT_PREEMPT_OFF) {
        preempt(rt, p, w, now, spent, asleep);
    }
    return later;
}

/* Threads that run a task whose processor was taken from them. A few at a time:
 * a thousand of them would keep the monitor from everything else. */
WEFT_TEXT void weft_watch_strays(struct weft_runtime *rt, uint64_t now) {
    if (atomic_load_explicit(&rt->strays, memory_order_relaxed) == 0) {
        return;
    }
    /* Acquire: pairs with the release in start_worker(). */
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_acquire);
    uint32_t looks = 0;
    for (uint32_t i = 0; i < n && looks < STRAYS; i++) {
        uint32_t at = rt->stray_at < n ? rt->stray_at : 0;
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[at], memory_order_relaxed);
        rt->stray_at = at + 1;
        if (atomic_load_explicit(&w->status, memory_order_relaxed) ==
            WEFT_WORKER_STRAY) {
            looks++;
            if (look_doing(w, now, WEFT_FOREVER) == RUNS) {
                weft_signals_request(&w->thread, now);
            }
        }
    }
}
