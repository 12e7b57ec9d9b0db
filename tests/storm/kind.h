/* SPDX-License-Identifier: MIT */
/* A kind of task for a storm: something that a program does with libc, with its
 * thread or with the processor, and that checks its own results.
 *
 * A file of kinds announces each of them by STORM_KIND(); the program that is
 * linked from main.c and some of these files runs all that it finds, each alone
 * and all together, while the tasks are interrupted every 50 us.
 *
 * A round is short (well below a millisecond if nobody is in its way), begins
 * and ends without anything in hand, and stops the program when a result is
 * wrong (WEFT_CHECK). Between rounds the task may change its thread; within one
 * it keeps it, unless it calls into weft. A round is called through a pointer,
 * so the compiler keeps no address of errno or a thread-local over its end. */
#ifndef WEFT_TESTS_STORM_KIND_H_
#define WEFT_TESTS_STORM_KIND_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct storm_task {
    unsigned index;  /* among all tasks of the storm */
    uint32_t random; /* for storm_random() */
    uint64_t rounds; /* that it has ended */
};

struct storm_kind {
    const char *name;
    void (*round)(struct storm_task *self);
    bool (*begin)(
        void); /* before the storm; false: not to be had here. NULL ok */
    void (*end)(
        uint64_t rounds); /* after it: those of all its tasks. NULL ok */
    struct storm_kind *next;
};

void storm_kind_add(struct storm_kind *kind);

/* Announces the kind `word`. */
#define STORM_KIND(word, round, begin, end)                                  \
    static struct storm_kind kind_##word = {#word, round, begin, end, NULL}; \
    __attribute__((constructor)) static void add_##word(void) {              \
        storm_kind_add(&kind_##word);                                        \
    }                                                                        \
    struct storm_kind /* takes the semicolon */

/* The first kind, by name; the others follow. */
const struct storm_kind *storm_kinds(void);

/* How a storm is run. */
struct storm_plan {
    unsigned workers;
    unsigned quantum_us;
    unsigned tasks;
    unsigned ms;
};

/* Runs tasks of the `count` kinds by turns; aborts when one of them does not
 * get to the end of a round. Prints which kinds are not to be had. Returns the
 * number of rounds. */
uint64_t storm_kinds_run(const struct storm_plan *plan,
                         const struct storm_kind *const *kinds, unsigned count);

/* Under qemu's user-mode emulation, which lacks some of what kernels do. */
bool storm_is_emulated(void);

/* The next number of a sequence of the task's own. */
uint32_t storm_random(struct storm_task *self);

/* Some time in plain code, about `n` nanoseconds. */
void storm_work(unsigned n);

#ifdef __cplusplus
}
#endif

#endif
