/* SPDX-License-Identifier: MIT */
/* The record of a task: all that the runtime knows of it, apart from its stack.
 * Part of core.h; where records come from is in records.h.
 *
 * Always true: it is never unmapped while the runtime lives, and whose each
 * field is stands above it. */
#ifndef WEFT_SCHED_RECORD_H_
#define WEFT_SCHED_RECORD_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/arch/context.h"
#include "weft/arch/stack.h"
#include "weft/base/compiler.h"
#include "weft/preempt/gate.h"
#include "weft/queue/node.h"
#include "weft/sched/records.h"
#include "weft/sched/task.h"
#include "weft/sched/timer_heap.h"

enum { WEFT_NAME_SIZE = 24 };

/* weft_task.token */
enum {
    WEFT_TOKEN_NONE,   /* no token, the task runs or is about to park */
    WEFT_TOKEN_GIVEN,  /* a token waits to be taken */
    WEFT_TOKEN_PARKED, /* the task is off its stack and waits for one */
};

/* weft_task.keeps: what is not the next one's on its thread, as bits */
enum {
    WEFT_KEEPS_FP = 1,         /* its rounding mode and exception masks */
    WEFT_KEEPS_THREAD = 2,     /* the thread itself: see pin.c */
    WEFT_KEEPS_EXCEPTIONS = 4, /* those in flight: all tasks, where there is
                                * C++ */
};

/* weft_task.joiner, where it is not a task */
#define WEFT_JOIN_NOBODY   ((uintptr_t)0)
#define WEFT_JOIN_DETACHED ((uintptr_t)1)
#define WEFT_JOIN_DONE     ((uintptr_t)2)

/* context.sp of a task whose frames are on the thread of `bound`. */
#define WEFT_SP_BOUND ((void *)1)

/* A record is three lines: all that a task needs from its birth to its join if
 * it never waits; what a wait needs beside it; and what few tasks have.
 *
 * They do not lie side by side. First lines lie next to first lines, second
 * ones next to second ones (records.h): who makes a million tasks, runs them in
 * turn and joins them in turn then reads and writes memory without a gap, which
 * is what a CPU fetches ahead of its program. (To write one line of each of a
 * million records three times takes 11 to 12 ns each, two 22 to 25, two of
 * three that lie side by side 44 to 52: `scale_bench lines`.) A record is no whole, so there is no
 * array of them, and no copy: its members are found, each at its distance.
 *
 * Where a sanitizer makes it longer, and for the model checker, a record is one
 * piece. */
#ifndef WEFT_RECORD_APART
#define WEFT_RECORD_APART (!WEFT_CONTEXT_TOLD)
#endif
#if WEFT_RECORD_APART
#define WEFT_RECORD_PARTS 3
#define WEFT_RECORD_GAP(name) \
    char name[WEFT_RECORDS_DISTANCE - WEFT_CACHE_LINE];
#else
#define WEFT_RECORD_PARTS 1
#define WEFT_RECORD_GAP(name)
#endif

struct weft_task {
    /* Whoever has taken the task out of its place (invariant 2). */
    WEFT_CACHE_ALIGNED struct weft_node node; /* its link in a queue */
    struct weft_context context; /* where it goes on, while it is suspended; sp
                                  * is NULL until it has run */

    /* Any thread, atomic. */
    _Atomic uintptr_t joiner; /* WEFT_JOIN_... or the task that joins it */

    /* The task's. */
    union {
        void *(*fn)(void *);
        void (*fn_plain)(void *);
    };
    void *value; /* its argument; at its end, what its function returned */

    /* Any thread, atomic. */
    _Atomic uint64_t id;       /* unique; 0 in a free record */
    _Atomic uint8_t token;     /* WEFT_TOKEN_...: see park.h */
    _Atomic uint8_t state;     /* enum weft_task_state; written as `node` is */
    _Atomic uint8_t cancelled; /* once 1 it stays */

    /* The task itself, and the handler on its thread. */
    bool sleeps; /* was found asleep in the kernel (alarms.c); as `hog`, and
                  * the monitor, while it takes the processor */
    /* One byte, so that a switch asks once whether to time the slice. */
    bool hog : 1;        /* it has used up its patience: see pick.c */
    bool migratable : 1; /* fixed while it lives */
    uint8_t strikes : 2; /* times it was preempted since it last waited */
    uint8_t priority;    /* enum weft_priority */
    uint8_t keeps;       /* WEFT_KEEPS_... */

    /* Fixed while it lives. Code lies in the lower half of what 48 bits can say
     * on all that weft runs on. */
    uint64_t creator : 48;
    bool pooled : 1; /* of the default stack size */
    bool plain : 1;  /* made by weft_go(): see fn */
    bool urged : 1;  /* it begins however few threads are left: reserve.c; as
                      * `node`, before it begins */
    /* The task's, and never the handler's: one word. */
    bool named : 1;   /* `name` counts */
    bool carries : 1; /* `carried` counts */
    bool gated : 1;   /* `gate` was closed in its life */

    WEFT_RECORD_GAP(first_of_others)

    _Atomic(const char *) why; /* what it waits for, while it does: a static
                                * string; any thread */
    struct weft_worker *bound; /* whose thread has its frames, if context.sp
                                * says so; else NULL; as `node` */
    struct weft_gate gate; /* closed by weft_preempt_disable(); as `hog`; open
                            * in a free record */
    /* Under the lock of `timer_home`. */
    struct weft_timer_node timer;
    struct weft_processor *timer_home; /* the task's; where `timer` is */
    struct weft_carried *carried;      /* the task's: see park.h */
    int32_t owed;  /* CPU time beyond its turns, as a hog (hogs.c); as `node` */
    uint16_t pins; /* the task's: pinned so often; 0 in a free record */
    uint16_t home; /* fixed once it was taken: the node of its memory */

    WEFT_RECORD_GAP(second_of_others)

    char name[WEFT_NAME_SIZE]; /* the task's; others read it, for dumps */
    /* Of a task that is not pooled, from its birth; of one that is migratable,
     * from its first run. Else see struct weft_flow (birth.h). */
    struct weft_stack stack;
};

/* Bytes in a part. */
#define WEFT_RECORD_PART                                       \
    (WEFT_RECORD_PARTS == 1 ? (size_t)sizeof(struct weft_task) \
                            : (size_t)WEFT_CACHE_LINE)

#if WEFT_RECORD_APART && defined(__LP64__)
_Static_assert(offsetof(struct weft_task, keeps) + sizeof(uint64_t) <
                   WEFT_CACHE_LINE,
               "from birth to join one line is touched");
_Static_assert(offsetof(struct weft_task, why) == WEFT_RECORDS_DISTANCE &&
                   offsetof(struct weft_task, name) ==
                       2 * WEFT_RECORDS_DISTANCE,
               "a task that waits touches two");
_Static_assert(sizeof(struct weft_task) ==
                   2 * WEFT_RECORDS_DISTANCE + WEFT_CACHE_LINE,
               "a million parked tasks: a page and 192 bytes each, at most");
#endif

/* Has `t`, which is runnable, not run yet, and no stack to run on? */
static inline bool weft_task_is_fresh(const struct weft_task *t) {
    return t->context.sp == NULL;
}

/* Are the frames of `t`, which does not run, on a thread? */
static inline bool weft_task_is_bound(const struct weft_task *t) {
    return t->context.sp == WEFT_SP_BOUND;
}

#endif
