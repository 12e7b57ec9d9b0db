/* SPDX-License-Identifier: MIT */
/* What failed and what is left is asked when the runtime has ended: before, its
 * threads make records when they like. */
#include "tests/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/sync/failing.h"

struct trial {
    int (*call)(void);
    long nth;
    int result;
    bool failed; /* an allocation did */
};

const struct weft_config trial_config = {.workers = 1,
                                         .clock = WEFT_CLOCK_VIRTUAL};

static void make_call(void *arg) {
    struct trial *t = arg;
    weft_test_fail_nth_of_tasks(t->nth);
    t->result = t->call();
    t->failed = weft_test_has_failed();
    weft_test_fail_nth(0);
}

long trial_count_allocated(void) {
    return weft_test_allocated() + weft_test_aligned();
}

int trial_count_open(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static bool allowed(const struct trial *t, enum trial_answer answer) {
    return t->result == 0 ||
           (t->result == -ENOMEM && t->failed && answer != TRIAL_NEVER);
}

void trial_of(const char *name, int (*call)(void), enum trial_answer answer) {
    struct trial t = {.call = call};
    int refused = 0;
    assert_int_equal(weft_run(&trial_config, make_call, &t), 0); /* what stays
                                                                  */
    if (t.result != 0) {
        fail_msg("%s: %d though nothing failed", name, t.result);
    }
    do {
        long allocated = trial_count_allocated();
        long mapped = weft_test_mapped();
        int open = trial_count_open();
        t.nth++;
        assert_int_equal(weft_run(&trial_config, make_call, &t), 0);
        if (!allowed(&t, answer)) {
            fail_msg("%s: %d when allocation %ld failed", name, t.result,
                     t.nth);
        }
        refused += t.result != 0;
        if (trial_count_allocated() != allocated ||
            weft_test_mapped() != mapped || trial_count_open() != open) {
            fail_msg("%s left something when allocation %ld failed", name,
                     t.nth);
        }
        assert_true(t.nth < TRIAL_MOST);
    } while (t.failed);
    if (answer == TRIAL_MUST && refused == 0) {
        fail_msg("%s was never refused", name);
    }
}
