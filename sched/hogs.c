/* SPDX-License-Identifier: MIT */
/* How hogs share the time that is left to them: equally, though their slices
 * are not.
 *
 * They wait in one queue and take turns. But a slice ends when the monitor has
 * come to look, and on a busy machine the kernel lets it wait: at a quantum of
 * 50 us with two processors busy, 2 slices in 100 lasted for 1 to 8 ms of CPU
 * time, as much as all others together. So a turn is not a share. What a hog
 * used beyond the worth of a turn it owes, and it lets turns pass until it has
 * paid (deficit round robin: Shreedhar and Varghese 1995):
 *
 *     preempted            owed += what it used - WORTH
 *     its turn comes       owed >= WORTH? then owed -= WORTH and to the end
 *                          else it runs
 *     preempted as light   the same; but the second and third time, before the
 *                          others have had their turn, owed += what it used
 *
 * WORTH is half of an ordinary slice here: an average in which a long one
 * counts as two. So each turn is worth no more than nearly every slice brings.
 * Were it the true average, which a few long slices make, most would get less
 * from a turn than it is worth, and that little for ever. A turn that is passed
 * costs some 0.1 us, and there are as many as the slices are longer than WORTH.
 *
 * CPU time counts, not time: what the kernel gave to other programs in the
 * middle of a slice was not the task's. Nor was what went by while its alarm
 * was overdue (weft_alarm_late()): a thread that computes is interrupted by its
 * alarm within 20 us. But in a virtual machine the host may take the CPU away
 * for milliseconds, which the thread's clock counts as its own: of 100,000
 * slices of 0.1 ms some 300 seemed to use more than twice that, and whose they
 * were got nothing for as many turns. Light tasks' slices are charged where
 * they are timed (share.c).
 *
 * Always true: only the owner of a processor is here, on the thread whose task
 * it is about; a hog is passed PASSES times at most for one that runs, and owes
 * DEBT_MAX turns at most, so its next turn comes in a bounded number of picks.
 */
#include <sys/syscall.h>
#include <time.h>

#include "weft/base/clock.h"
#include "weft/base/syscall.h"
#include "weft/sched/alarms.h"
#include "weft/sched/core.h"

enum {
    PASSES = 64,
    DEBT_MAX = 256,       /* turns */
    CREDIT_MAX = 4,       /* turns */
    MEMORY = 32,          /* slices that the average is made of */
    LONGEST = 1000000000, /* ns that are counted of one slice */
};

/* CPU time of the calling thread. The call itself: a signal handler asks. */
WEFT_TEXT uint64_t weft_hogs_clock(void) {
    struct timespec now = {0, 0};
    weft_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&now, 0, 0,
                 0, 0);
    return weft_timespec_ns(&now);
}

/* What a turn is worth, in ns. */
static int64_t worth(const struct weft_processor *p) {
    return p->mean_slice / 2 + 1;
}

/* `t`, which ran on `p`, is preempted. */
WEFT_TEXT void weft_hogs_charge(struct weft_processor *p, struct weft_task *t) {
    uint64_t began = atomic_load_explicit(&p->began, memory_order_relaxed);
    p->quick = 0;
    if (!t->hog && t->strikes == 0) {
        t->owed = 0; /* what it owed before it waited is forgiven */
    }
    if (began == 0) {
        return;
    }
    uint64_t used = weft_hogs_clock() -
                    atomic_load_explicit(&p->cpu_began, memory_order_relaxed);
    used = weft_alarms_used(p, began, used);
    p->hog_used = used;
    int64_t ns = used < LONGEST ? (int64_t)used : LONGEST;
    if (weft_began_as_hog(began)) {
        int64_t longest = 2 * p->mean_slice + (int64_t)WEFT_US;
        p->mean_slice +=
            ((ns < longest ? ns : longest) - p->mean_slice) / MEMORY;
    }
    int64_t unit = worth(p);
    int64_t owed = t->owed + ns - (t->hog || t->strikes == 0 ? unit : 0);
    int64_t most = unit < INT32_MAX / DEBT_MAX ? DEBT_MAX * unit : INT32_MAX;
    owed = owed > most ? most : owed;
    t->owed = (int32_t)(owed < -CREDIT_MAX * unit ? -CREDIT_MAX * unit : owed);
}

/* The hog whose turn it is, or NULL when none waits. */
WEFT_TEXT struct weft_task *weft_hogs_next(struct weft_processor *p) {
    struct weft_global *hogs = &p->runtime->hogs;
    int64_t unit = worth(p);
    for (int passed = 0;; passed++) {
        struct weft_task *t = weft_global_length(hogs) == 0
                                  ? NULL
                                  : weft_node_task(weft_global_pop(hogs));
        if (t == NULL || !t->hog || t->owed < unit || passed == PASSES) {
            return t;
        }
        t->owed -= (int32_t)unit;
        weft_global_push(hogs, &t->node);
    }
}
