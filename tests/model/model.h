/* SPDX-License-Identifier: MIT */
/* A stateless model checker for the C files that ship.
 *
 * The files under test are compiled with -fsanitize=thread, so that the
 * compiler turns each atomic operation and each plain access to memory into a
 * call; the calls come here (hooks.c) instead of to the thread sanitizer. So
 * not a line of them is changed or replaced, orders included.
 *
 * A scenario has up to MODEL_THREADS threads, which are contexts on one OS
 * thread. Before each atomic operation on a word that two threads use any other
 * may go on; a load may return any value that C11 lets it return. A run is
 * therefore a list of choices, and all lists are gone through, depth first
 * (explore.c). Wrong is: a check that fails, a data race, threads that sleep
 * with nobody to wake them, a run without an end.
 *
 * Memory (memory.c): each word has its values in modification order; each
 * thread has a view, the oldest value of each word that it may still read. A
 * release puts the view into the value written, an acquire takes it out, an
 * acquire or release fence does so for the relaxed operations around it, and
 * sequentially consistent fences take their view from the last one and leave
 * it to the next. A read-modify-write reads the newest value and continues a
 * release sequence; no other store does (as in C++20).
 * What is left out, so that a mistake which needs it is not found:
 * - modification order is the order of execution (no 2+2W outcome: two threads
 *   that both write x and y, and each word ends with the older writer's value);
 *   but see model_watch();
 * - a load never returns what is written later in the run (no load buffering,
 *   nothing out of thin air); but on words that are watched a store that could
 *   be seen so is a failure (race.c);
 * - sequentially consistent operations that are not fences take effect in the
 *   order of execution;
 * - a futex call looks at the newest value and orders nothing, though in Linux
 *   it is a fence: what rests on that is a mistake here;
 * - what a plain load that races would return is not asked: the race is the
 *   failure;
 * - signal fences do nothing: nothing is reordered within a thread but what a
 *   view can tell, and handlers are called by the scenario.
 *
 * Context: all from one OS thread. */
#ifndef WEFT_TESTS_MODEL_MODEL_H_
#define WEFT_TESTS_MODEL_MODEL_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_THREADS = 4 };

/* Bounds: none. */
enum { MODEL_ALL = -1 };

struct model_scenario {
    const char *name;
    void (*set_up)(void);                 /* alone, before all */
    void (*threads[MODEL_THREADS])(void); /* NULL: no such thread */
    void (*check)(void);                  /* alone, after all */
    /* The most switches away from a thread that could go on. MODEL_ALL: all
     * schedules, but of those that differ only in the order of independent
     * steps just one (sleep sets). */
    int preemptions;
    /* The most loads that return another value than the newest. */
    int stale;
    /* The most futex sleeps that end, and weak exchanges that fail, for no
     * reason. */
    int spurious;
    /* Bits: threads that may be asleep at the end. */
    unsigned daemons;
    int arg; /* for the functions above: model_arg() */
};

/* What an order is for, to weaken it. A fence's word is NULL. */
enum model_op {
    MODEL_LOAD,
    MODEL_STORE,
    MODEL_EXCHANGE, /* any read-modify-write that writes */
    MODEL_REFUSED,  /* a compare-and-exchange that does not */
    MODEL_FENCE,
};

/* An order that is planted wrong: operations `op` of `thread` (-1: any) on the
 * word named `name` with order `order` (memory_order_...) are relaxed. Of an
 * acq_rel one may weaken a half: `keep` is the order that is left then. */
struct model_fault {
    const char *name;
    enum model_op op;
    int order;
    int keep;
    int thread;
};

struct model_result {
    bool failed;
    unsigned long runs;
    char message[256];
    char schedule[4096]; /* for model_replay() and --replay */
};

/* --- for tests -------------------------------------------------------------
 */

/* Reads --preemptions=N, --stale=N, --spurious=N (all scenarios; longer runs),
 * --replay=SCENARIO:SCHEDULE and the same in WEFT_MODEL_REPLAY. */
void model_options(int argc, char **argv);

/* Goes through all runs, until one fails. `fault` may be NULL. */
struct model_result model_explore(const struct model_scenario *scenario,
                                  const struct model_fault *fault);

/* The one run that `schedule` describes, in the program that it came from. */
struct model_result model_replay(const struct model_scenario *scenario,
                                 const char *schedule);

/* As model_explore(); prints how many runs there were, and on failure the steps
 * of the run that failed and how to replay it, and ends the test. */
void model_expect_right(const struct model_scenario *scenario);

/* Some run of one of the `count` scenarios must fail with this fault. */
void model_expect_caught(const struct model_scenario *scenarios, size_t count,
                         struct model_fault fault);

/* Weakens, one after the other, every order above relaxed that the scenarios
 * used on a named word, and each fence; each must be caught, but for those in
 * `spared`, which must not be. */
void model_expect_all_needed(const struct model_scenario *scenarios,
                             size_t count, const struct model_fault *spared,
                             size_t spared_count);

/* --- for scenarios ---------------------------------------------------------
 */

/* Names `size` bytes at `start`, for traces; a name is also what faults are
 * planted by, a label is not. From set_up(). */
void model_name(const volatile void *start, size_t size, const char *name);
void model_label(const volatile void *start, size_t size, const char *label);

/* Loads and stores of these words must not come too late: see race.c. From
 * set_up(). */
void model_watch(const volatile void *start, size_t size);

/* The calling thread's number; -1 in set_up() and check(). */
int model_self(void);

/* The scenario's `arg`. */
int model_arg(void);

/* The run has failed. Does not return. */
void model_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* Sleeps until the newest value at `word` is `value`. */
void model_await(const volatile uint32_t *word, uint32_t value);

/* One turn of a loop that waits for another thread: it goes on when somebody
 * has stored something. Not in a scenario without a bound on preemptions. */
void model_spin(void);

/* futex(2): see weft/base/futex.h. */
int model_futex_wait(const volatile void *word, uint32_t expected, bool timed);
int model_futex_wake(const volatile void *word, int count);

/* membarrier(2): a full fence in every thread. */
void model_membarrier(void);

/* Any of `count` answers, as the environment likes; 0 comes first. */
int model_choose(int count);

#endif
