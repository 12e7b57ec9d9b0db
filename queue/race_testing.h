/* SPDX-License-Identifier: MIT */
/* A ring among threads. Four slots make every steal meet a wrap, a full ring
 * or another thief, and a pest stops steals half-way. Nodes carry plain fields,
 * so the thread sanitizer sees whether each hand-over was ordered.
 *
 * Included once by each test, which makes a ring of four slots called `four`
 * and defines
 *
 *     steal(to, from, seed, &count)   as four_steal_into
 *     between(q, seed)                the owner, now and then
 *     finish(q)                       the owner, after its last push
 *     stealable(q)                    how many a thief could get
 *     RACE_ITEMS                      how many go through the ring
 *     THIEVES_SEE_ORDER               whether what a thief gets rises always */
#ifndef WEFT_QUEUE_RACE_TESTING_H_
#define WEFT_QUEUE_RACE_TESTING_H_

#include <pthread.h>

#include "weft/queue/pest_testing.h"
#include "weft/queue/testing.h"

enum { THIEVES = 3, ITEMS = RACE_ITEMS / (WEFT_TSAN ? 5 : 1) };

struct race {
    struct four ring;
    _Atomic uint32_t missing; /* threads that have not started */
    _Atomic bool done;        /* the owner will push no more */
    _Atomic uint32_t taken;
    uint64_t seed;
    struct item *items;
    bool batches;
};

struct thief {
    struct race *race;
    struct four ring;
    int32_t last; /* number of the last item it ran, or -1 */
    uint64_t seed;
    uint32_t got;
};

/* Whoever holds an item runs it. `last` proves the order: out of one ring each
 * consumer sees rising numbers. */
static void run(struct race *race, struct weft_node *node, int32_t *last) {
    struct item *item = item_of(node);
    WEFT_CHECK_OP((int32_t)item->number, >, *last);
    *last = (int32_t)item->number;
    item->taken++;
    atomic_fetch_add_explicit(&race->taken, 1, memory_order_relaxed);
}

static void run_all(struct race *race, struct weft_batch *batch) {
    int32_t last = -1;
    WEFT_CHECK(weft_batch_valid(batch));
    while (batch->count != 0) {
        run(race, weft_batch_pop(batch), &last);
    }
}

static void thief_run(struct thief *me, struct weft_node *node) {
    run(me->race, node, &me->last);
    if (!THIEVES_SEE_ORDER) {
        me->last = -1;
    }
}

static void *thief_main(void *arg) {
    struct thief *me = arg;
    struct race *race = me->race;
    struct weft_batch batch;
    test_start_together(&race->missing);
    for (;;) {
        bool done = atomic_load_explicit(&race->done, memory_order_acquire);
        uint32_t count;
        weft_batch_init(&batch);
        if (race->batches && test_random(&me->seed, 2) == 0) {
            count =
                four_steal(&race->ring, 1 + test_random(&me->seed, 4), &batch);
            while (batch.count != 0) {
                thief_run(me, weft_batch_pop(&batch));
            }
        } else {
            struct weft_node *node =
                steal(&me->ring, &race->ring, &me->seed, &count);
            WEFT_CHECK(four_valid(&me->ring));
            for (; node != NULL; node = four_pop(&me->ring)) {
                thief_run(me, node);
            }
        }
        me->got += count;
        if (count == 0) {
            if (done && four_length(&race->ring) == 0) {
                return NULL;
            }
            sched_yield();
        }
    }
}

/* A while, for a thief to come by; not for ever, as they may all be asleep. */
static void wait_for_thieves(struct race *race) {
    uint32_t before = atomic_load_explicit(&race->taken, memory_order_relaxed);
    for (int i = 0; i < 20; i++) {
        if (atomic_load_explicit(&race->taken, memory_order_relaxed) !=
            before) {
            return;
        }
        sched_yield();
    }
}

/* One owner's turn: a few pushes, a few pops. */
static void owner_main(struct race *race) {
    struct four *q = &race->ring;
    int32_t last = -1;
    uint32_t next = 0;
    test_start_together(&race->missing);
    while (next < ITEMS) {
        uint32_t n = 1 + test_random(&race->seed, 7);
        struct weft_batch batch;
        if (race->batches && test_random(&race->seed, 2) == 0) {
            weft_batch_init(&batch);
            for (; n != 0 && next < ITEMS; n--) {
                weft_batch_push(&batch, &race->items[next++].node);
            }
            four_push_batch(q, &batch);
            run_all(race, &batch);
        } else {
            while (n != 0 && next < ITEMS) {
                struct weft_node *node = &race->items[next].node;
                if (four_push(q, node)) {
                    next++, n--;
                } else if (four_overflow(q, node, &batch)) {
                    next++, n--;
                    run_all(race, &batch);
                }
            }
        }
        WEFT_CHECK(four_valid(q));
        between(q, &race->seed);
        WEFT_CHECK(four_valid(q));
        if (test_random(&race->seed, 4) == 0 && stealable(q) != 0) {
            wait_for_thieves(race);
        }
        for (n = test_random(&race->seed, 4); n != 0; n--) {
            struct weft_node *node = four_pop(q);
            if (node == NULL) {
                break;
            }
            run(race, node, &last);
        }
        WEFT_CHECK(four_valid(q));
    }
    finish(q);
    atomic_store_explicit(&race->done, true, memory_order_release);
}

static void race(bool batches) {
    struct race race = {.batches = batches, .seed = test_seed()};
    struct thief thieves[THIEVES];
    pthread_t threads[THIEVES + 1];
    struct pest pest;
    race.items = items_new(ITEMS);
    four_init_at(&race.ring, UINT32_MAX - ITEMS / 4); /* wraps on the way */
    atomic_init(&race.missing, THIEVES + 1);
    for (int i = 0; i < THIEVES; i++) {
        thieves[i] = (struct thief){.race = &race, .last = -1};
        thieves[i].seed = race.seed + (uint64_t)i + 1;
        four_init_at(&thieves[i].ring, UINT32_MAX - ITEMS / 16);
        WEFT_CHECK(pthread_create(&threads[i], NULL, thief_main, &thieves[i]) ==
                   0);
    }
    threads[THIEVES] = pthread_self();
    pest_start(&pest, threads, THIEVES + 1, race.seed);
    owner_main(&race);
    pest_stop(&pest);
    uint32_t stolen = 0;
    for (int i = 0; i < THIEVES; i++) {
        WEFT_CHECK(pthread_join(threads[i], NULL) == 0);
        assert_true(four_valid(&thieves[i].ring));
        assert_int_equal(four_length(&thieves[i].ring), 0);
        stolen += thieves[i].got;
    }
    assert_true(four_valid(&race.ring));
    items_all_taken_once(race.items, ITEMS);
    assert_int_equal(atomic_load(&race.taken), ITEMS);
    print_message("%u of %u stolen\n", stolen, (unsigned)ITEMS);
    assert_true(stolen > 0);
    free(race.items);
}

static void nothing_is_lost_or_seen_twice_when_overflow_meets_steals(
    void **state) {
    race(false);
}

static void batches_race_with_thieves(void **state) {
    race(true);
}

/* Everybody owns a ring and steals from everybody: rings are victims while
 * their owner publishes what it stole. */
struct party {
    struct four rings[THIEVES + 1];
    _Atomic uint32_t missing;
    _Atomic uint32_t left; /* items that nobody has run */
    struct item *items;
    uint64_t seed;
};

struct guest {
    struct party *party;
    uint32_t index;
};

static void *guest_main(void *arg) {
    struct guest *me = arg;
    struct party *party = me->party;
    struct four *mine = &party->rings[me->index];
    uint64_t seed = party->seed + me->index;
    uint32_t share = ITEMS / (THIEVES + 1);
    uint32_t next = me->index * share, end = next + share;
    test_start_together(&party->missing);
    while (atomic_load_explicit(&party->left, memory_order_acquire) != 0) {
        struct weft_batch batch, more;
        uint32_t count, ran = 0;
        weft_batch_init(&batch);
        for (uint32_t n = test_random(&seed, 6); n != 0 && next < end; n--) {
            struct weft_node *node = &party->items[next++].node;
            while (!four_push(mine, node)) {
                if (four_overflow(mine, node, &more)) {
                    weft_batch_append(&batch, &more);
                    break;
                }
            }
        }
        WEFT_CHECK(four_valid(mine));
        between(mine, &seed);
        WEFT_CHECK(four_valid(mine));
        uint32_t from = test_random(&seed, THIEVES + 1);
        struct weft_node *node =
            from == me->index ? four_pop(mine)
                              : steal(mine, &party->rings[from], &seed, &count);
        WEFT_CHECK(four_valid(mine));
        if (node != NULL) {
            weft_batch_push(&batch, node);
        } else if ((node = four_pop(mine)) != NULL) {
            weft_batch_push(&batch, node);
        }
        while ((node = weft_batch_pop(&batch)) != NULL) {
            item_of(node)->taken++;
            ran++;
        }
        if (ran == 0) {
            sched_yield();
        } else {
            atomic_fetch_sub_explicit(&party->left, ran, memory_order_acq_rel);
        }
        while (next == end && (node = four_pop(mine)) != NULL) {
            item_of(node)->taken++;
            atomic_fetch_sub_explicit(&party->left, 1, memory_order_acq_rel);
        }
    }
    return NULL;
}

static void everybody_steals_from_everybody(void **state) {
    enum { GUESTS = THIEVES + 1, COUNT = ITEMS / GUESTS * GUESTS };
    struct party party = {.seed = test_seed()};
    struct guest guests[GUESTS];
    pthread_t threads[GUESTS];
    struct pest pest;
    party.items = items_new(COUNT);
    atomic_init(&party.left, COUNT);
    atomic_init(&party.missing, GUESTS);
    for (uint32_t i = 0; i < GUESTS; i++) {
        four_init_at(&party.rings[i], UINT32_MAX - COUNT / 8);
    }
    for (uint32_t i = 0; i < GUESTS; i++) {
        guests[i] = (struct guest){.party = &party, .index = i};
        WEFT_CHECK(pthread_create(&threads[i], NULL, guest_main, &guests[i]) ==
                   0);
    }
    pest_start(&pest, threads, GUESTS, party.seed);
    while (atomic_load_explicit(&party.left, memory_order_acquire) != 0) {
        sched_yield();
    }
    pest_stop(&pest);
    for (uint32_t i = 0; i < GUESTS; i++) {
        WEFT_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    for (uint32_t i = 0; i < GUESTS; i++) {
        assert_true(four_valid(&party.rings[i]));
        assert_int_equal(four_length(&party.rings[i]), 0);
    }
    items_all_taken_once(party.items, COUNT);
    free(party.items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            nothing_is_lost_or_seen_twice_when_overflow_meets_steals),
        cmocka_unit_test(batches_race_with_thieves),
        cmocka_unit_test(everybody_steals_from_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
