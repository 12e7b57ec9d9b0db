/* SPDX-License-Identifier: MIT */
/* What tests ask of the checker, options, and how a failure is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inside.h"

enum { SHARED = 256, CHOICES = 8192 };

static int more_preemptions = -2, more_stale = -2, more_spurious = -2;
static const char *replay;

void model_options(int argc, char **argv) {
    replay = getenv("WEFT_MODEL_REPLAY");
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--preemptions=%d", &more_preemptions) != 1 &&
            sscanf(argv[i], "--stale=%d", &more_stale) != 1 &&
            sscanf(argv[i], "--spurious=%d", &more_spurious) != 1) {
            if (strncmp(argv[i], "--replay=", 9) != 0) {
                fprintf(stderr, "unknown option %s\n", argv[i]);
                exit(2);
            }
            replay = argv[i] + 9;
        }
    }
}

static struct model_scenario with_options(const struct model_scenario *s) {
    struct model_scenario asked = *s;
    asked.preemptions =
        more_preemptions >= -1 ? more_preemptions : s->preemptions;
    asked.stale = more_stale >= -1 ? more_stale : s->stale;
    asked.spurious = more_spurious >= 0 ? more_spurious : s->spurious;
    return asked;
}

/* A schedule as text: the shared words, as distances from a fixed one of this
 * program, then the choices; zN is N zeros. */
static void write_schedule(char *to, size_t size) {
    uintptr_t shared[SHARED];
    size_t words = model_shared(shared, SHARED), used = 0;
    const uint16_t *choices;
    int count = model_choices(&choices), zeros = 0;
    to[0] = '\0';
    for (size_t i = 0; i < words && used < size; i++) {
        used += (size_t)snprintf(
            to + used, size - used, "%lx,",
            (unsigned long)(shared[i] - (uintptr_t)&model_current));
    }
    if (used < size) {
        used += (size_t)snprintf(to + used, size - used, "/");
    }
    for (int i = 0; i < count && used < size; i++) {
        if (choices[i] == 0) {
            zeros++;
            continue;
        }
        if (zeros > 0) {
            used += (size_t)snprintf(to + used, size - used, "z%d,", zeros);
        }
        zeros = 0;
        if (used < size) {
            used += (size_t)snprintf(to + used, size - used, "%d,", choices[i]);
        }
    }
    if (used >= size) {
        snprintf(to, size, "(too long)");
    }
}

static void read_schedule(const char *from) {
    static uint16_t choices[CHOICES];
    int count = 0;
    char *end;
    model_memory_forget();
    while (*from != '/' && *from != '\0') {
        model_share((uintptr_t)&model_current + strtoul(from, &end, 16));
        from = end + (*end == ',');
    }
    from += *from == '/';
    while (*from != '\0' && count < CHOICES) {
        bool zeros = *from == 'z';
        unsigned long n = strtoul(from + zeros, &end, 10);
        for (unsigned long i = 0; i < (zeros ? n : 1) && count < CHOICES; i++) {
            choices[count++] = zeros ? 0 : (uint16_t)n;
        }
        if (end == from + zeros) {
            break;
        }
        from = end + (*end == ',');
    }
    model_set_choices(choices, count);
}

static struct model_result explore(const struct model_scenario *s,
                                   const struct model_fault *fault) {
    struct model_result result = {.runs = 0};
    model_memory_forget();
    model_set_choices(NULL, 0);
    for (;;) {
        enum model_outcome outcome = model_run(s, fault);
        if (outcome == RUN_LEARNT) {
            model_set_choices(NULL, 0);
            continue;
        }
        result.runs++;
        if (outcome == RUN_FAILED) {
            result.failed = true;
            memcpy(result.message, model_message, sizeof(result.message));
            write_schedule(result.schedule, sizeof(result.schedule));
            return result;
        }
        if (!model_next()) {
            return result;
        }
    }
}

struct model_result model_explore(const struct model_scenario *scenario,
                                  const struct model_fault *fault) {
    struct model_scenario asked = with_options(scenario);
    return explore(&asked, fault);
}

struct model_result model_replay(const struct model_scenario *scenario,
                                 const char *schedule) {
    struct model_result result = {.runs = 1};
    struct model_scenario asked = with_options(scenario);
    read_schedule(schedule);
    if (model_run(&asked, NULL) == RUN_FAILED) {
        result.failed = true;
        memcpy(result.message, model_message, sizeof(result.message));
    }
    return result;
}

/* Runs what was asked for by --replay, with its steps. */
static void run_replay(const struct model_scenario *s) {
    size_t length = strlen(s->name);
    if (strncmp(replay, s->name, length) != 0 || replay[length] != ':') {
        skip();
    }
    model_tracing = true;
    struct model_result result = model_replay(s, replay + length + 1);
    model_tracing = false;
    if (result.failed) {
        fail_msg("%s: %s", s->name, result.message);
    }
}

void model_expect_right(const struct model_scenario *scenario) {
    struct model_scenario asked = with_options(scenario);
    if (replay != NULL) {
        run_replay(scenario);
        return;
    }
    struct model_result result = explore(&asked, NULL);
    print_message("%s: %lu runs\n", asked.name, result.runs);
    if (result.failed) {
        model_tracing = true;
        (void)model_run(&asked, NULL);
        model_tracing = false;
        print_error("again: --replay=%s:%s\n", asked.name, result.schedule);
        fail_msg("%s: %s", asked.name, result.message);
    }
}

static const char *const op_names[] = {"load", "store", "exchange",
                                       "refused exchange", "fence"};
static const char *const order_names[] = {"relaxed", "consume", "acquire",
                                          "release", "acq_rel", "seq_cst"};

static bool is_caught(const struct model_scenario *scenarios, size_t count,
                      const struct model_fault *fault, bool tell) {
    char who[24] = "any thread";
    struct model_result result = {.failed = false};
    if (fault->thread >= 0) {
        snprintf(who, sizeof(who), "thread %d", fault->thread);
    }
    for (size_t i = 0; i < count && !result.failed; i++) {
        result = model_explore(&scenarios[i], fault);
    }
    if (tell) {
        print_message("  %s %s of %s by %s made %s: %s\n",
                      order_names[fault->order], op_names[fault->op],
                      fault->name != NULL ? fault->name : "all words", who,
                      order_names[fault->keep],
                      result.failed ? result.message : "NOT caught");
    }
    return result.failed;
}

void model_expect_caught(const struct model_scenario *scenarios, size_t count,
                         struct model_fault fault) {
    if (replay != NULL) {
        skip();
    }
    assert_true(is_caught(scenarios, count, &fault, true));
}

static bool same(const struct model_fault *a, const struct model_fault *b) {
    bool names = a->name == b->name || (a->name != NULL && b->name != NULL &&
                                        strcmp(a->name, b->name) == 0);
    return names && a->op == b->op && a->order == b->order &&
           a->keep == b->keep && (a->thread == b->thread || b->thread < 0);
}

/* One fault: caught, or among those that are known not to be? */
static bool as_expected(const struct model_scenario *scenarios, size_t count,
                        const struct model_fault *fault,
                        const struct model_fault *spared, size_t spared_count) {
    bool spare = false;
    for (size_t i = 0; i < spared_count; i++) {
        spare |= same(fault, &spared[i]);
    }
    return is_caught(scenarios, count, fault, true) != spare;
}

void model_expect_all_needed(const struct model_scenario *scenarios,
                             size_t count, const struct model_fault *spared,
                             size_t spared_count) {
    static struct model_use uses[256];
    size_t use_count = 0, wrong = 0;
    if (replay != NULL) {
        skip();
    }
    for (size_t i = 0; i < count; i++) {
        const struct model_use *more;
        assert_false(model_explore(&scenarios[i], NULL).failed);
        size_t n = model_uses(&more);
        for (size_t j = 0; j < n; j++) {
            bool is_new = true;
            for (size_t k = 0; k < use_count; k++) {
                is_new &= !(uses[k].name == more[j].name &&
                            uses[k].op == more[j].op &&
                            uses[k].order == more[j].order &&
                            uses[k].thread == more[j].thread);
            }
            if (is_new) {
                assert_true(use_count < 256);
                uses[use_count++] = more[j];
            }
        }
    }
    for (size_t i = 0; i < use_count; i++) {
        struct model_fault fault = {uses[i].name, uses[i].op, uses[i].order,
                                    memory_order_relaxed, uses[i].thread};
        bool halves = uses[i].order == memory_order_acq_rel;
        if (uses[i].order == memory_order_seq_cst) {
            fault.keep = memory_order_acq_rel;
        }
        if (halves) {
            fault.keep = memory_order_acquire;
        }
        wrong += !as_expected(scenarios, count, &fault, spared, spared_count);
        if (halves) {
            fault.keep = memory_order_release;
            wrong +=
                !as_expected(scenarios, count, &fault, spared, spared_count);
        }
    }
    assert_true(use_count > 0);
    assert_int_equal(wrong, 0);
}
