/* SPDX-License-Identifier: MIT */
/* A clock that stands while anything runs and jumps when all wait.
 *
 * Who jumps is the worker with the seat in the poller, where it would go to
 * sleep. It may when no task can run, nor will be able to but by a timer:
 *
 *     all processors are idle    no worker has a task in its hands
 *     no stray                   no thread runs or blocks with a task and
 *                                without a processor
 *     all queues are empty
 *     nobody holds the clock     whoever else has tasks in its hands: threads
 *                                outside, the monitor while it polls
 *
 * These are read one after the other, while tasks move from one to the next. So
 * they are read under idle.lock, under which processors come and go:
 *
 *     a task blocks                      who jumps
 *     1. strays + 1                      1. idle.lock; all processors idle?
 *     2. idle.lock: its processor idle   2. strays == 0?
 *                                        3. queues empty?
 *     the task comes back                4. now = the next deadline
 *     3. a processor from the idle       5. unlock
 *        list, or into a queue
 *     4. strays - 1
 *
 * Who sees the processor of 2 sees 1, by the lock. Who reads 0 after 4 sees 3:
 * a processor that is not idle, which the lock would show, or the task in its
 * queue; or it has been taken from there by a worker, whose processor is idle
 * again, so it waits.
 *
 * Who finds that it may not jump sleeps in the poller until it is kicked. So
 * whoever may be the last to be waited for looks whether somebody sleeps there:
 *
 *     a processor becomes idle, or       the seat
 *     the clock is released
 *     1. says so                         1. poll_until is set
 *     2. full fence                      2. full fence
 *     3. poll_until set? kicks           3. may it jump? else it sleeps
 *
 * Descriptors are looked at between two looks at all this. No slice of any task
 * has begun between them, so what is ready then was seen.
 *
 * Who is woken goes into the queue that all share: the slot of a processor
 * would let the last be the first. Those of one and the same time are woken in
 * the order in which they began to wait: a timer gets a number when it is armed
 * (a word that is there anyway), and those that are due are sorted by it, in
 * memory of the clock's own. The heaps keep no such order, and with the real
 * clock nobody would see it.
 *
 * Always true: `now` changes under clock.lock alone; nobody pops a timer
 * without that lock, so nobody has a task in its hands whose time has come when
 * another jumps. A timer that is armed when its time is over goes off at once
 * (weft_poller_nudge()), one that the clock passes when it moves: nobody has to
 * look for them.
 *
 * Rejected: the monitor as the one who jumps (a thread more to be woken each
 * time, 60 us across cores); waiting for descriptors before a jump, as Go's
 * synctest (a test of a time-out on a socket would then never end). */
#include "weft/sched/virtual_clock.h"

#include <errno.h>
#include <sys/mman.h>

#include "weft/sched/core.h"

/* Where it starts: later than anything that is subtracted from it. */
#define START (86400 * WEFT_S)

_Atomic uint32_t weft_clock_holds;

/* So many of one time are sorted; what is more comes after them. Mapped, and
 * touched as far as there are so many. */
enum { DUE_ROOM = 1 << 20 };

int weft_clock_init(struct weft_runtime *rt) {
    struct weft_virtual_clock *c = &rt->clock;
    if (rt->config.clock != WEFT_CLOCK_VIRTUAL) {
        return 0;
    }
    void *due = mmap(NULL, DUE_ROOM * sizeof *c->due, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (due == MAP_FAILED) {
        return -ENOMEM;
    }
    c->due = due;
    atomic_init(&c->now, START);
    return 0;
}

void weft_clock_fini(struct weft_runtime *rt) {
    if (rt->clock.due != NULL) {
        munmap(rt->clock.due, DUE_ROOM * sizeof *rt->clock.due);
    }
}

WEFT_TEXT void weft_clock_give_turn(struct weft_virtual_clock *c,
                                    struct weft_timer_node *timer) {
    /* Relaxed, both: who arms after another has seen what it did has seen its
     * turn, and who reads a turn too late wakes for nothing anyway. */
    uint32_t turn =
        atomic_fetch_add_explicit(&c->turns, 1, memory_order_relaxed);
    atomic_store_explicit(&timer->turn, turn, memory_order_relaxed);
}

/* Under idle.lock: does everything wait? */
static bool is_still(struct weft_runtime *rt) {
    /* Acquire, both: pair with the releases in weft_clock_release() and in
     * stray_no_longer() (keep.c). What is read after them: see the columns. */
    return atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) ==
               rt->processor_count &&
           atomic_load_explicit(&weft_clock_holds, memory_order_acquire) == 0 &&
           atomic_load_explicit(&rt->strays, memory_order_acquire) == 0 &&
           !weft_anything_waiting(rt);
}

/* Does everything wait, having run for `*slices`? */
static bool look(struct weft_runtime *rt, uint64_t *slices) {
    weft_lock_acquire(&rt->idle.lock);
    bool still = is_still(rt);
    *slices = weft_count_slices(rt);
    weft_lock_release(&rt->idle.lock);
    return still;
}

/* Jumps to the next deadline, `*next`, WEFT_FOREVER when there is none. False:
 * it did not, since somebody has run since look(). */
static bool jump(struct weft_runtime *rt, uint64_t slices, uint64_t *next) {
    *next = WEFT_FOREVER;
    weft_lock_acquire(&rt->clock.lock);
    weft_lock_acquire(&rt->idle.lock);
    bool still = is_still(rt) && weft_count_slices(rt) == slices;
    if (still) {
        *next = weft_timers_next(rt);
        if (*next != WEFT_FOREVER && *next > weft_clock_read(&rt->clock)) {
            atomic_store_explicit(&rt->clock.now, *next, memory_order_relaxed);
        }
    }
    weft_lock_release(&rt->idle.lock);
    weft_lock_release(&rt->clock.lock);
    return still;
}

WEFT_TEXT int weft_clock_wait(struct weft_runtime *rt, uint64_t *until,
                              void **tasks, int max) {
    uint64_t slices;
    if (look(rt, &slices)) {
        int count = weft_poller_waiting(&rt->poller) == 0
                        ? 0
                        : weft_poller_wait(&rt->poller, 0, tasks, max);
        /* Who has run meanwhile may have kicked, and the kick ended in that
         * look at the descriptors: so the caller comes again. */
        if (count > 0 || !jump(rt, slices, until) || *until != WEFT_FOREVER) {
            return count;
        }
    }
    *until = WEFT_FOREVER;
    return weft_poller_wait(&rt->poller, WEFT_FOREVER, tasks, max);
}

WEFT_TEXT void weft_clock_quieter(struct weft_runtime *rt) {
    if (weft_clock_is_virtual(&rt->clock) &&
        atomic_load_explicit(&rt->poll_until, memory_order_relaxed) != 0) {
        weft_poller_kick(&rt->poller);
    }
}

/* Takes all of that time out of the heaps, as far as there is room; returns how
 * many. */
static uint32_t take(struct weft_runtime *rt, uint64_t when) {
    struct weft_due *due = rt->clock.due;
    uint32_t count = 0;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        struct weft_processor *p = &rt->processors[i];
        struct weft_timer_node *node;
        weft_lock_acquire(&p->timer_lock);
        while (count < DUE_ROOM &&
               (node = weft_timer_heap_pop(&p->timers, when)) != NULL) {
            due[count++] = (struct weft_due){
                weft_container_of(node, struct weft_task, timer),
                atomic_load_explicit(&node->turn, memory_order_relaxed)};
        }
        weft_lock_release(&p->timer_lock);
    }
    return count;
}

/* Turns may wrap around. */
static bool is_before(struct weft_due a, struct weft_due b) {
    return (int32_t)(a.turn - b.turn) < 0;
}

/* In a heap of `n` whose root is the last: lets the hole at `i` sink until
 * `mine` fits. */
static void sink(struct weft_due *due, uint32_t n, uint32_t i,
                 struct weft_due mine) {
    for (uint32_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        child += child + 1 < n && is_before(due[child], due[child + 1]);
        if (!is_before(mine, due[child])) {
            break;
        }
        due[i] = due[child];
        i = child;
    }
    due[i] = mine;
}

/* By their turns; in place, since there is no memory to be had here (Williams,
 * "Heapsort", 1964). */
static void sort(struct weft_due *due, uint32_t n) {
    for (uint32_t i = n / 2; i-- > 0;) {
        sink(due, n, i, due[i]);
    }
    while (n-- > 1) {
        struct weft_due mine = due[n];
        due[n] = due[0];
        sink(due, n, 0, mine);
    }
}

/* Under clock.lock: wakes all whose time has come, in the order of their times,
 * and of those of one time in that of their turns. */
static int fire(struct weft_runtime *rt) {
    uint64_t now = weft_clock_read(&rt->clock);
    uint64_t next;
    int total = 0;
    while ((next = weft_timers_next(rt)) <= now) {
        uint32_t count = take(rt, next);
        sort(rt->clock.due, count);
        for (uint32_t i = 0; i < count; i++) {
            weft_unpark_behind_all(rt, rt->clock.due[i].task);
        }
        total += (int)count;
    }
    return total;
}

WEFT_TEXT int weft_timers_due(struct weft_runtime *rt, uint64_t real) {
    if (!weft_clock_is_virtual(&rt->clock)) {
        return weft_timers_run(rt, real);
    }
    int count = 0;
    if (weft_timers_next(rt) <= weft_clock_read(&rt->clock)) {
        weft_lock_acquire(&rt->clock.lock);
        count = fire(rt);
        weft_lock_release(&rt->clock.lock);
    }
    return count;
}

WEFT_TEXT void weft_clock_hold(void) {
    /* Relaxed: who holds it runs, or was woken by one who holds it, so nobody
     * jumps before the next lock. */
    atomic_fetch_add_explicit(&weft_clock_holds, 1, memory_order_relaxed);
}

WEFT_TEXT void weft_clock_release(void) {
    /* Release: pairs with the acquire in is_still(): whom the caller woke is in
     * a queue. */
    if (atomic_fetch_sub_explicit(&weft_clock_holds, 1, memory_order_release) ==
        0) {
        weft_fatal(
            "weft_clock_release() without weft_clock_hold(); hold it first, "
            "on any thread");
    }
    struct weft_worker *w = weft_enter();
    struct weft_runtime *rt = weft_runtime_borrow(w);
    if (rt != NULL) {
        /* Pairs with that in poll_and_sleep(). */
        atomic_thread_fence(memory_order_seq_cst);
        weft_clock_quieter(rt);
    }
    weft_leave_borrowed(w);
}

int weft_clock_advance(uint64_t ns) {
    struct weft_worker *w = weft_enter();
    struct weft_runtime *rt = weft_runtime_borrow(w);
    int result = rt == NULL ? -EPERM : 0;
    if (rt != NULL && !weft_clock_is_virtual(&rt->clock)) {
        result = -EINVAL;
    }
    if (result == 0) {
        weft_lock_acquire(&rt->clock.lock);
        uint64_t now = weft_clock_after(weft_clock_read(&rt->clock), ns);
        atomic_store_explicit(&rt->clock.now,
                              now == WEFT_FOREVER ? now - 1 : now,
                              memory_order_relaxed);
        fire(rt);
        weft_lock_release(&rt->clock.lock);
    }
    weft_leave_borrowed(w);
    return result;
}
