/* SPDX-License-Identifier: MIT */
/* What the files of the checker share: explore.c, memory.c, race.c, hooks.c. */
#ifndef WEFT_TESTS_MODEL_INSIDE_H_
#define WEFT_TESTS_MODEL_INSIDE_H_

#include "model.h"

enum {
    MODEL_WORDS = 96,     /* atomic words that two threads use, in a run */
    MODEL_VALUES = 512,   /* values of one of them, in a run */
    MODEL_MESSAGES = 4096 /* values of all, in a run */
};

/* What a thread may rely on: per word the oldest value that it may still read,
 * and per thread how much of what that did happened before. */
struct model_view {
    uint16_t seen[MODEL_WORDS];
    uint16_t clock[MODEL_THREADS];
};

/* What a thread is about to do, for the sleep sets. */
struct model_step {
    enum {
        STEP_NOTHING, /* depends on nothing */
        STEP_READ,
        STEP_WRITE,
        STEP_FENCE,      /* sequentially consistent */
        STEP_FENCE_WORD, /* both: such an operation */
        STEP_ALL,        /* depends on everything */
    } kind;
    uintptr_t word;
};

/* explore.c */
enum model_outcome {
    RUN_GOES_ON,
    RUN_ENDED,
    RUN_CUT,    /* the rest is one of the other runs */
    RUN_FAILED, /* see model_message */
    RUN_LEARNT, /* a word is shared that was not known to be: begin again */
};
extern int model_current;  /* who runs; -1: nobody, set-up or check */
extern bool model_tracing; /* print the steps of this run */
extern char model_message[256];
enum model_outcome model_run(const struct model_scenario *of,
                             const struct model_fault *fault);
bool model_next(void); /* the next choices; false after the last */
void model_set_choices(const uint16_t *choices, int count);
int model_choices(const uint16_t **out); /* of the last run */
void model_step(struct model_step step); /* others may go on before it */
void model_count_step(void);
void model_note_store(void);
int model_stale_left(void);
void model_spend_stale(void);
int model_spurious_left(void);
void model_spend_spurious(void);
void model_restart(void) __attribute__((noreturn)); /* with what was learnt */
void model_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* memory.c */
struct model_use { /* an order that was used, see model_expect_all_needed() */
    const char *name;
    enum model_op op;
    int order;
    int thread;
};
void model_memory_reset(const struct model_fault *fault);
void model_memory_forget(void); /* which words are shared, what was used */
uint64_t model_load(const volatile void *at, unsigned size, int order);
void model_store(volatile void *at, unsigned size, uint64_t value, int order);
uint64_t model_rmw(volatile void *at, unsigned size, int order,
                   uint64_t (*change)(uint64_t, uint64_t), uint64_t by);
bool model_compare(volatile void *at, unsigned size, uint64_t *expected,
                   uint64_t desired, int order, int refused, bool weak);
void model_fence(int order);
void model_fence_all(void);
size_t model_shared(uintptr_t *out, size_t max); /* addresses learnt */
void model_share(uintptr_t at);
size_t model_uses(const struct model_use **out);
const char *model_name_of(const volatile void *at);
const struct model_view *model_view_of(int thread);

/* race.c */
enum model_access { ACCESS_READ, ACCESS_WRITE, ACCESS_ATOMIC };
void model_race_reset(void);
void model_first_value(unsigned message); /* of a word, from before the run */
void model_hear(const volatile void *at, unsigned message); /* is read */
/* Is written, as the word's nth value, by one who has seen value `seen`. */
void model_tell(const volatile void *at, unsigned message, int nth, int seen);
void model_access(const volatile void *at, size_t size,
                  enum model_access access);

#endif
