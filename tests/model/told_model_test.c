/* SPDX-License-Identifier: MIT */
/* The wait group, the condition and the once (sync/) in the checker, each with
 * its wait list: who is told that something is so, and who gives up meanwhile.
 *
 * Checked: who was told sees what was done before (the data is plain); nobody
 * sleeps beside what it waits for; who gave up has taken nobody's signal or
 * turn; a function is done once, and again by the next when it failed; and the
 * memory may go as soon as the header says: who is told last writes over all of
 * it, where a late touch of another would be a race. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "tasks.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/condition.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/wait_group.h"

enum { DEADLINE = 1 }; /* has passed whenever the model likes */

static union {
    struct weft_wait_group group;
    struct {
        struct weft_condition condition;
        struct weft_mutex mutex;
    } cell;
    struct weft_once once;
    uint64_t words[12];
} at;

/* Plain: a race on it is an order missing. */
static uint32_t done[MODEL_THREADS], items, made, left;

static void free_it(bool last) {
    for (int i = 0; last && i < 12; i++) {
        at.words[i] = ~UINT64_C(0);
    }
}

static void set_up(void (*name_words)(void)) {
    tasks_reset(WEFT_MS, 0);
    memset(&at, 0, sizeof(at));
    memset(done, 0, sizeof(done));
    items = made = left = 0;
    name_words();
    model_label(&at, sizeof(at), "the structure");
    model_label(done, sizeof(done), "what is done");
    model_label(&items, sizeof(items), "the items");
    model_label(&made, sizeof(made), "what is made");
}

static void check_error(int error) {
    WEFT_CHECK(error == 0 || error == -ETIMEDOUT);
}

/* --- the wait group ----------------------------------------------------------
 */

static void does(void) {
    done[model_self()] = 1;
    weft_wait_group_done(&at.group);
}

/* One more, which may be a new round. */
static void adds_and_does(void) {
    weft_wait_group_add(&at.group, 1);
    weft_wait_group_done(&at.group);
}

/* Who was told sees what the first so many threads did before they were done:
 * the count was zero at no time before that. */
static void see_all_done(void) {
    for (int i = 0; i < model_arg(); i++) {
        WEFT_CHECK_OP(done[i], ==, 1u);
    }
}

static void waits_for_all(void) {
    WEFT_CHECK_OP(weft_wait_group_wait(&at.group), ==, 0);
    see_all_done();
}

static void waits_and_frees(void) {
    waits_for_all();
    free_it(true);
}

static void waits_or_gives_up(void) {
    int error = weft_wait_group_wait_until(&at.group, DEADLINE);
    check_error(error);
    if (error == 0) {
        see_all_done();
    }
}

static void name_group(void) {
    weft_wait_group_add(&at.group, (uint32_t)model_arg());
    model_name(&at.group.word, sizeof(at.group.word), "word");
    model_name(&at.group.waiters.lock, sizeof(at.group.waiters.lock), "lock");
}

static void set_up_group(void) {
    set_up(name_group);
}

static void check_group(void) {
}

/* The group is still there. */
static void check_kept_group(void) {
    WEFT_CHECK(weft_wait_group_try_wait(&at.group));
    WEFT_CHECK_OP(at.group.word, ==, 0u);
    WEFT_CHECK(at.group.waiters.head == NULL);
}

/* --- the condition -----------------------------------------------------------
 */

/* Takes an item; false: it has given up. */
static bool take(uint64_t deadline) {
    int error = 0;
    weft_mutex_lock(&at.cell.mutex);
    while (items == 0 && error == 0) {
        error = weft_condition_wait_until(&at.cell.condition, &at.cell.mutex,
                                          deadline);
        check_error(error);
    }
    bool taken = error == 0;
    items -= taken;
    made += taken;
    weft_mutex_unlock(&at.cell.mutex);
    return taken;
}

static void takes(void) {
    WEFT_CHECK(take(WEFT_FOREVER));
}

static void takes_or_gives_up(void) {
    take(DEADLINE);
}

static void puts_and_signals(void) {
    weft_mutex_lock(&at.cell.mutex);
    items++;
    weft_condition_signal(&at.cell.condition);
    weft_mutex_unlock(&at.cell.mutex);
}

/* The other way round, which is allowed. */
static void puts_then_signals(void) {
    weft_mutex_lock(&at.cell.mutex);
    items++;
    weft_mutex_unlock(&at.cell.mutex);
    weft_condition_signal(&at.cell.condition);
}

static void puts_two(void) {
    puts_and_signals();
    puts_then_signals();
}

static void opens(void) {
    weft_mutex_lock(&at.cell.mutex);
    items = 1;
    weft_mutex_unlock(&at.cell.mutex);
    weft_condition_broadcast(&at.cell.condition);
}

/* The last one out frees both, if it was the broadcast that woke it: then all
 * others have been chosen. */
static void waits_until_open(void) {
    bool woken = false;
    weft_mutex_lock(&at.cell.mutex);
    while (items == 0) {
        WEFT_CHECK_OP(weft_condition_wait(&at.cell.condition, &at.cell.mutex),
                      ==, 0);
        woken = true;
    }
    bool last = ++left == (uint32_t)model_arg() && woken;
    weft_mutex_unlock(&at.cell.mutex);
    free_it(last);
}

static void name_condition(void) {
    struct weft_condition *c = &at.cell.condition;
    model_name(&c->waiters.lock, sizeof(c->waiters.lock), "lock");
}

static void set_up_condition(void) {
    set_up(name_condition);
}

static void check_condition(void) {
}

/* Who still sleeps found nothing. */
static void check_taken(void) {
    WEFT_CHECK_OP(items, ==, 0u);
    WEFT_CHECK_OP(made, ==, (uint32_t)model_arg());
}

/* --- the once ----------------------------------------------------------------
 */

static int build(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(made, ==, 0u);
    made++;
    return 0;
}

static int refuse(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(made, ==, 0u);
    return -EIO;
}

static void makes(void) {
    WEFT_CHECK_OP(weft_once_run(&at.once, build, NULL), ==, 0);
    WEFT_CHECK_OP(made, ==, 1u);
}

static void makes_or_gives_up(void) {
    int error = weft_once_run_until(&at.once, build, NULL, DEADLINE);
    check_error(error);
    if (error == 0) {
        WEFT_CHECK_OP(made, ==, 1u);
    }
}

static void fails(void) {
    int error = weft_once_run(&at.once, refuse, NULL);
    WEFT_CHECK(error == 0 || error == -EIO);
    if (error == 0) {
        WEFT_CHECK_OP(made, ==, 1u);
    }
}

static void looks(void) {
    if (weft_once_is_done(&at.once)) {
        WEFT_CHECK_OP(made, ==, 1u);
    }
}

static void name_once(void) {
    model_name(&at.once.state, sizeof(at.once.state), "state");
    model_name(&at.once.waiters.lock, sizeof(at.once.waiters.lock), "lock");
}

static void set_up_once(void) {
    set_up(name_once);
}

static void check_once(void) {
    WEFT_CHECK(weft_once_is_done(&at.once));
    WEFT_CHECK_OP(made, ==, 1u);
    WEFT_CHECK(at.once.waiters.head == NULL);
}

/* --- all of them -------------------------------------------------------------
 */

/* `sleepers`: bits, who may still sleep at the end; the rest as in
 * model.h. */
#define SCENARIO(kind, checks, title, number, switches, sleepers, ...)    \
    {                                                                     \
        .name = title, .set_up = set_up_##kind, .threads = {__VA_ARGS__}, \
        .check = check_##checks, .preemptions = switches, .stale = 1,     \
        .daemons = sleepers, .arg = number                                \
    }

static const struct model_scenario groups[] = {
    SCENARIO(group, group, "who has waited frees it", 1, MODEL_ALL, 0, does,
             waits_and_frees),
    SCENARIO(group, group, "two are done", 2, 2, 0, does, does,
             waits_and_frees),
    SCENARIO(group, kept_group, "two wait", 1, 2, 0, does, waits_for_all,
             waits_for_all),
    SCENARIO(group, kept_group, "one gives up", 1, 1, 0, does,
             waits_or_gives_up, waits_for_all),
    SCENARIO(group, kept_group, "one more comes", 1, 2, 0, does, adds_and_does,
             waits_for_all),
};

static const struct model_scenario conditions[] = {
    SCENARIO(condition, taken, "one item", 1, 2, 0, puts_and_signals, takes),
    SCENARIO(condition, taken, "one signal after the unlock", 1, MODEL_ALL, 0,
             puts_then_signals, takes),
    SCENARIO(condition, taken, "two items", 2, 1, 0, puts_two, takes, takes),
    SCENARIO(condition, taken, "two items come late", 2, 1, 0, takes, takes,
             puts_two),
    SCENARIO(condition, taken, "one of two gives up", 1, 1, 2, puts_and_signals,
             takes, takes_or_gives_up),
    SCENARIO(condition, condition, "the last to be woken frees it", 2, 1, 0,
             opens, waits_until_open, waits_until_open),
    /* Not for the orders, one preemption is enough for which. */
    SCENARIO(condition, condition, "the same, longer", 2, 2, 0, opens,
             waits_until_open, waits_until_open),
};

static const struct model_scenario onces[] = {
    SCENARIO(once, once, "two make", 0, MODEL_ALL, 0, makes, makes),
    SCENARIO(once, once, "three make", 0, 2, 0, makes, makes, makes),
    SCENARIO(once, once, "one fails", 0, 2, 0, fails, makes, looks),
    SCENARIO(once, once, "one fails, one gives up", 0, 2, 0, fails, makes,
             makes_or_gives_up),
};

#define COUNT(all) (sizeof(all) / sizeof((all)[0]))

/* `enough`: with how many of them every order is needed. */
#define RIGHT_AND_NEEDED(all, enough, spared, spared_count)         \
    static void all##_keep_order(void **state) {                    \
        (void)state;                                                \
        for (size_t i = 0; i < COUNT(all); i++) {                   \
            model_expect_right(&all[i]);                            \
        }                                                           \
        model_expect_all_needed(all, enough, spared, spared_count); \
    }

/* Of the wait group. Thread 0 is one that is done: what it acquires it does
 * twice, in the look and in the step that counts down. Who waits, thread 2,
 * only adds a bit, which goes on with the release of others whatever its own
 * order is. */
static const struct model_fault spared_by_groups[] = {
    {"word", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, 0},
    {"word", MODEL_REFUSED, memory_order_acquire, memory_order_relaxed, 0},
    {"word", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_release, -1},
    {"word", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_acquire, 2},
};

RIGHT_AND_NEEDED(groups, COUNT(groups), spared_by_groups,
                 COUNT(spared_by_groups))
RIGHT_AND_NEEDED(conditions, COUNT(conditions) - 1, NULL, 0)
RIGHT_AND_NEEDED(onces, COUNT(onces), NULL, 0)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_keep_order),
        cmocka_unit_test(conditions_keep_order),
        cmocka_unit_test(onces_keep_order),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
