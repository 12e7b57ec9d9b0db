/* SPDX-License-Identifier: MIT */
/* Runs the kinds that it is linked with: each alone, with 16 and with 200
 * tasks, then all together. Two workers, a quantum of 50 us.
 *
 *   --seconds=N   about N seconds in all, in slices of two; without it each
 * kind has a fraction of a second
 *   --kind=NAME   this one alone
 *   --mixed       only all together
 *   --tasks=N --workers=N --quantum=US
 *   --list        prints the names
 *
 * As a test: --test_arg=--seconds=600 --test_timeout=900. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/storm/kind.h"
#include "weft/base/clock.h"

enum { SLICE_MS = 2000, SHORT_MS = 100, PARTS = 3, MAX_KINDS = 128 };

static struct {
    unsigned seconds, tasks, workers, quantum_us;
    const char *kind;
    bool mixed;
} options = {0, 0, 2, 50, NULL, false};

static const struct storm_kind *kinds[MAX_KINDS];
static unsigned kind_count;

/* Storms of `count` kinds for `ms` milliseconds, once at least. */
static void storm(const struct storm_kind *const *some, unsigned count,
                  unsigned tasks, unsigned ms) {
    struct storm_plan plan = {options.workers, options.quantum_us,
                              options.tasks != 0 ? options.tasks : tasks,
                              ms < SLICE_MS ? ms : SLICE_MS};
    uint64_t began = weft_clock_now();
    uint64_t rounds = 0;
    do {
        uint64_t slice = storm_kinds_run(&plan, some, count);
        if (slice == 0) {
            return; /* not to be had here */
        }
        rounds += slice;
    } while (weft_clock_now() < began + ms * WEFT_MS);
    print_message("%s, %u tasks: %llu rounds in %llu ms\n",
                  count == 1 ? some[0]->name : "all", plan.tasks,
                  (unsigned long long)rounds,
                  (unsigned long long)((weft_clock_now() - began) / WEFT_MS));
}

static unsigned part_ms(unsigned kinds_in_it) {
    return options.seconds == 0 ? SHORT_MS
                                : options.seconds * 1000 /
                                      (options.mixed ? 1 : PARTS) / kinds_in_it;
}

static void each(unsigned tasks) {
    if (options.mixed) {
        skip();
    }
    for (unsigned i = 0; i < kind_count; i++) {
        storm(&kinds[i], 1, tasks, part_ms(kind_count));
    }
}

static void sixteen_tasks_of_a_kind(void **state) {
    each(16);
}

static void two_hundred_tasks_of_a_kind(void **state) {
    each(200);
}

/* Twice the time: half with few tasks, half with many. */
static void all_kinds_together(void **state) {
    storm(kinds, kind_count, kind_count > 16 ? kind_count : 16, part_ms(2));
    storm(kinds, kind_count, 200, part_ms(2));
}

static const char *value_of(const char *arg, const char *name) {
    size_t length = strlen(name);
    return strncmp(arg, name, length) == 0 && arg[length] == '='
               ? arg + length + 1
               : NULL;
}

static unsigned parse(const char *value) {
    return (unsigned)strtoul(value, NULL, 10);
}

static void read_options(int argc, char **argv) {
    const char *value;
    for (int i = 1; i < argc; i++) {
        if ((value = value_of(argv[i], "--seconds")) != NULL) {
            options.seconds = parse(value);
        } else if ((value = value_of(argv[i], "--kind")) != NULL) {
            options.kind = value;
        } else if ((value = value_of(argv[i], "--tasks")) != NULL) {
            options.tasks = parse(value);
        } else if ((value = value_of(argv[i], "--workers")) != NULL) {
            options.workers = parse(value);
        } else if ((value = value_of(argv[i], "--quantum")) != NULL) {
            options.quantum_us = parse(value);
        } else if (strcmp(argv[i], "--mixed") == 0) {
            options.mixed = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            for (unsigned k = 0; k < kind_count; k++) {
                puts(kinds[k]->name);
            }
            exit(0);
        } else {
            fprintf(stderr, "what is %s?\n", argv[i]);
            exit(2);
        }
    }
}

static void choose_kind(void) {
    for (unsigned i = 0; i < kind_count; i++) {
        if (strcmp(kinds[i]->name, options.kind) == 0) {
            kinds[0] = kinds[i];
            kind_count = 1;
            return;
        }
    }
    fprintf(stderr, "no kind %s\n", options.kind);
    exit(2);
}

/* Each task may have a few descriptors, each thread has one. */
static void raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_tasks_of_a_kind),
        cmocka_unit_test(two_hundred_tasks_of_a_kind),
        cmocka_unit_test(all_kinds_together),
    };
    for (const struct storm_kind *k = storm_kinds(); k != NULL; k = k->next) {
        kinds[kind_count++] = k;
    }
    read_options(argc, argv);
    if (options.kind != NULL) {
        choose_kind();
    }
    raise_limits();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
