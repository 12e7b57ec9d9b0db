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

/* A record is three lines: what every switch touches; what a birth, a first run
 * and a death touch beside it; and what only some tasks have.
 *
 * They do not lie side by side. First lines lie next to first lines, second
 * ones next to second ones (records.h): who makes a million tasks, runs them in
 * turn and joins them in turn then reads and writes memory without a gap, which
 * is what a CPU fetches ahead of its program. (To write two lines of three of a
 * million records three times took 44 ns each, 22 where the lines are
 * apart like this: `scale_bench lines`.) A record is no whole, so there is no
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
    struct weft_context context; /* where it goes on, while it does not run; sp
                                  * is NULL until it has run */
    struct weft_worker *bound;   /* its frames are on this worker's thread */

    /* Any thread, atomic. */
    _Atomic uintptr_t joiner;  /* WEFT_JOIN_... or the task that joins it */
    _Atomic(const char *) why; /* what it waits for: a static string; NULL in
                                * a free record */
    _Atomic uint32_t token;    /* WEFT_TOKEN_...: see park.h */
    _Atomic uint8_t state;     /* enum weft_task_state; written as `node` is */
    _Atomic uint8_t cancelled; /* once 1 it stays */

    bool carries; /* `carried` counts; the task's; false in a free record */

    /* Set as one when a task is made: eight bytes. */
    struct {
        /* The task itself, and the handler on its thread. */
        _Alignas(8) bool hog; /* it has used up its patience: see pick.c */
        uint8_t strikes;      /* times it was preempted since it last waited */
        uint8_t priority;     /* enum weft_priority */
        uint8_t keeps;        /* WEFT_KEEPS_... */
        /* Fixed while it lives. */
        bool migratable;
        bool pooled;    /* of the default stack size */
        bool plain : 1; /* made by weft_go(): see fn */
        bool named : 1; /* `name` counts; the task's */
        bool urged : 1; /* it begins however few threads are left: reserve.c */
        bool sleeps;    /* was found asleep in the kernel (alarms.c); as `hog`,
                         * and the monitor, while it takes the processor */
    };
    struct weft_gate gate; /* closed by weft_preempt_disable(); as `hog` */

    WEFT_RECORD_GAP(first_of_others)

    union {
        void *(*fn)(void *);
        void (*fn_plain)(void *);
    };
    void *value; /* its argument; at its end, what its function returned */
    const void *creator;
    _Atomic uint64_t id; /* unique; 0 in a free record */
    /* From its first run to its end, or from its birth if it is not pooled;
     * slot is NULL else. */
    struct weft_stack stack;

    WEFT_RECORD_GAP(second_of_others)

    /* Under the lock of `timer_home`. */
    struct weft_timer_node timer;
    struct weft_processor *timer_home; /* the task's; where `timer` is */

    uint16_t pins; /* the task's: pinned so often; 0 in a free record */
    uint16_t home; /* fixed once it was taken: the node of its memory */
    int32_t owed;  /* CPU time beyond its turns, as a hog (hogs.c); as `node` */
    char name[WEFT_NAME_SIZE];    /* the task's; others read it, for dumps */
    struct weft_carried *carried; /* the task's: see park.h */
};

/* Bytes in a part. */
#define WEFT_RECORD_PART                                       \
    (WEFT_RECORD_PARTS == 1 ? (size_t)sizeof(struct weft_task) \
                            : (size_t)WEFT_CACHE_LINE)

#if WEFT_RECORD_APART && defined(__LP64__)
_Static_assert(offsetof(struct weft_task, gate) < WEFT_CACHE_LINE,
               "a switch touches one line of a record");
_Static_assert(offsetof(struct weft_task, fn) == WEFT_RECORDS_DISTANCE &&
                   offsetof(struct weft_task, timer) ==
                       2 * WEFT_RECORDS_DISTANCE,
               "a task that never waits for a time touches two");
_Static_assert(sizeof(struct weft_task) ==
                   2 * WEFT_RECORDS_DISTANCE + WEFT_CACHE_LINE,
               "a million parked tasks: a page and 192 bytes each");
#endif

#endif
