/* SPDX-License-Identifier: MIT */
/* The hand-over as a model: every interleaving of its atomic steps.
 *
 * One owner and one giver, who gives VALUES values, each after the previous one
 * was taken (the right to give comes back with the thing). The kernel may wake
 * a sleeper for no reason and, where the scenario allows it, let its time run
 * out. The steps are those at the top of handover.c, by the same numbers.
 * Checked in every state: a box that is given to is empty; what was given is in
 * the box until it is taken, once and in order; an owner never sleeps on a full
 * box with nobody about to wake it.
 *
 * The model is only worth something if it can fail: the last tests break the
 * protocol in ways that are tempting, and the search must find it out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { VALUES = 3, SLEEPER = 9, STATES = 4096 };

enum owner {
    LOOK,  /* the spin: poll once, or go to sleep */
    CLAIM, /* a: 0 -> SLEEPER */
    DOZE,  /* b: enter the kernel, which compares the word */
    ASLEEP,
    WOKEN,   /* poll after the sleep, then sleep again */
    EXPIRED, /* poll after the time-out */
    UNCLAIM, /* SLEEPER -> 0 */
    DONE,
};

enum giver {
    GIVE, /* 1: exchange */
    WAKE, /* 2 */
    WAIT_TAKEN,
    FINISHED,
};

/* Bytes only: states are compared with memcmp(). */
struct state {
    uint8_t word, owner, giver, given, taken, old;
};

enum fault { NONE, NO_WAKE, STORE_FOR_CLAIM, STORE_FOR_UNCLAIM };

struct search {
    struct state seen[STATES];
    int count;
    enum fault fault;
    bool timeouts;
    const char *failure;
};

static void visit(struct search *search, struct state state);

static void take(struct search *search, struct state s) {
    if (s.word != s.taken + 1) {
        search->failure = "a value was lost, doubled or out of order";
        return;
    }
    s.taken++;
    s.word = 0;
    s.owner = s.taken == VALUES ? DONE : LOOK;
    visit(search, s);
}

/* Whatever the owner may do next. */
static void step_owner(struct search *search, struct state s) {
    bool full = s.word != 0 && s.word != SLEEPER;
    switch (s.owner) {
        case LOOK:
        case WOKEN:
        case EXPIRED:
            if (full) {
                take(search, s);
                return;
            }
            s.owner = s.owner == LOOK    ? CLAIM
                      : s.owner == WOKEN ? DOZE
                                         : UNCLAIM;
            break;
        case CLAIM:
            if (search->fault == STORE_FOR_CLAIM || s.word == 0) {
                s.word = SLEEPER;
                s.owner = DOZE;
            } else {
                s.owner = LOOK; /* finds the value */
            }
            break;
        case DOZE:
            s.owner = s.word == SLEEPER ? ASLEEP : WOKEN;
            break;
        case ASLEEP: /* wakes for no reason */
            s.owner = WOKEN;
            break;
        case UNCLAIM:
            if (search->fault == STORE_FOR_UNCLAIM || s.word == SLEEPER) {
                s.word = 0;
                s.owner = LOOK; /* the caller got NULL and waits again */
            } else {
                s.owner = WOKEN;
            }
            break;
        default:
            return;
    }
    visit(search, s);
}

static void step_giver(struct search *search, struct state s) {
    switch (s.giver) {
        case GIVE:
            if (s.word != 0 && s.word != SLEEPER) {
                search->failure = "given to a full box";
                return;
            }
            s.old = s.word;
            s.word = ++s.given;
            s.giver = WAKE;
            break;
        case WAKE:
            if (s.old == SLEEPER && s.owner == ASLEEP &&
                search->fault != NO_WAKE) {
                s.owner = WOKEN;
            }
            s.old = 0;
            s.giver = s.given == VALUES ? FINISHED : WAIT_TAKEN;
            break;
        case WAIT_TAKEN:
            if (s.taken != s.given) {
                return; /* not its turn */
            }
            s.giver = GIVE;
            break;
        default:
            return;
    }
    visit(search, s);
}

static void visit(struct search *search, struct state s) {
    for (int i = 0; i < search->count; i++) {
        if (memcmp(&search->seen[i], &s, sizeof(s)) == 0) {
            return;
        }
    }
    if (search->failure != NULL || search->count == STATES) {
        return;
    }
    search->seen[search->count++] = s;
    if (s.given > s.taken && s.word != s.given) {
        search->failure = "a value vanished";
        return;
    }
    /* Nobody may count on a wake-up for no reason or on a time-out: a sleeper
     * with a value in its box and no giver that will wake it is lost. */
    bool will_wake = s.giver == WAKE && s.old == SLEEPER;
    if (s.owner == ASLEEP && s.word != SLEEPER &&
        (!will_wake || search->fault == NO_WAKE)) {
        search->failure = "a wake-up was lost";
        return;
    }
    if (s.owner == ASLEEP && search->timeouts) {
        struct state expired = s;
        expired.owner = EXPIRED;
        visit(search, expired);
    }
    step_owner(search, s);
    step_giver(search, s);
}

static struct search run(enum fault fault, bool timeouts) {
    struct search search = {.fault = fault, .timeouts = timeouts};
    visit(&search, (struct state){.owner = LOOK, .giver = GIVE});
    assert_in_range(search.count, 1, STATES - 1);
    return search;
}

static bool reaches_the_end(const struct search *search) {
    for (int i = 0; i < search->count; i++) {
        if (search->seen[i].owner == DONE &&
            search->seen[i].giver == FINISHED) {
            return true;
        }
    }
    return false;
}

static void every_interleaving_hands_over_every_value(void **state) {
    struct search search = run(NONE, false);
    assert_null(search.failure);
    assert_true(reaches_the_end(&search));
}

static void a_timeout_at_any_step_loses_nothing(void **state) {
    struct search search = run(NONE, true);
    assert_null(search.failure);
    assert_true(reaches_the_end(&search));
}

static void the_model_sees_a_missing_wake(void **state) {
    assert_non_null(run(NO_WAKE, false).failure);
}

static void the_model_sees_that_the_claim_must_be_a_cas(void **state) {
    assert_non_null(run(STORE_FOR_CLAIM, false).failure);
}

static void the_model_sees_that_giving_up_must_be_a_cas(void **state) {
    assert_non_null(run(STORE_FOR_UNCLAIM, true).failure);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_hands_over_every_value),
        cmocka_unit_test(a_timeout_at_any_step_loses_nothing),
        cmocka_unit_test(the_model_sees_a_missing_wake),
        cmocka_unit_test(the_model_sees_that_the_claim_must_be_a_cas),
        cmocka_unit_test(the_model_sees_that_giving_up_must_be_a_cas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
