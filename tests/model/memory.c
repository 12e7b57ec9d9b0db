/* SPDX-License-Identifier: MIT */
/* The memory of C11, as far as model.h says: values, messages, views.
 *
 * A message is one value of one word, with the view that an acquire takes from
 * it. Memory itself always holds the newest value of each word, so that code
 * outside the model (set-up, check, the kernel's part) may simply look.
 *
 * A word that only one thread uses needs none of this, and nobody need be let
 * in before an operation on it. Which words are shared is learnt: when a second
 * thread comes to one, it is noted and the search begins again. */
#include <stdatomic.h>
#include <string.h>

#include "inside.h"

enum { PLACES = 1 << 12, NAMES = 96, USES = 256 };

struct message {
    uint64_t value;
    struct model_view view;
};

struct word {
    uint16_t count;
    uint16_t values[MODEL_VALUES]; /* indices of messages, oldest first */
};

/* What is known of an address. */
struct place {
    uintptr_t at;
    bool shared; /* for the whole search */
    unsigned run;
    int16_t owner; /* in this run: who used it, -1: nobody */
    int16_t word;  /* in this run, -1: none yet */
};

struct thread {
    struct model_view now;
    struct model_view acquired; /* what an acquire fence would add */
    struct model_view released; /* what a release fence has put by */
};

static struct message messages[MODEL_MESSAGES];
static struct word words[MODEL_WORDS];
static struct place places[PLACES];
static struct thread threads[MODEL_THREADS];
static struct model_view last_fence; /* of the sequentially consistent ones */
static unsigned message_count, word_count, run;
static struct model_fault planted;

static struct {
    uintptr_t start;
    size_t size;
    const char *name;
    bool is_label;
} names[NAMES];
static unsigned name_count;

static struct model_use uses[USES];
static size_t use_count;

void model_memory_reset(const struct model_fault *fault) {
    memset(threads, 0, sizeof(threads));
    memset(&last_fence, 0, sizeof(last_fence));
    for (int i = 0; i < MODEL_THREADS; i++) {
        threads[i].now.clock[i] = 1;
    }
    message_count = word_count = name_count = 0;
    run++;
    planted = fault != NULL ? *fault : (struct model_fault){.order = -1};
}

void model_memory_forget(void) {
    memset(places, 0, sizeof(places));
    use_count = 0;
}

size_t model_uses(const struct model_use **out) {
    *out = uses;
    return use_count;
}

const struct model_view *model_view_of(int thread) {
    return &threads[thread].now;
}

static void add_name(const volatile void *start, size_t size, const char *name,
                     bool is_label) {
    if (name_count == NAMES) {
        model_fail("too many names");
    }
    names[name_count].start = (uintptr_t)start;
    names[name_count].size = size;
    names[name_count].is_label = is_label;
    names[name_count++].name = name;
}

void model_name(const volatile void *start, size_t size, const char *name) {
    add_name(start, size, name, false);
}

void model_label(const volatile void *start, size_t size, const char *label) {
    add_name(start, size, label, true);
}

static const char *known_name(const volatile void *at, bool labels) {
    for (unsigned i = 0; i < name_count; i++) {
        if ((uintptr_t)at - names[i].start < names[i].size) {
            return names[i].is_label && !labels ? NULL : names[i].name;
        }
    }
    return NULL;
}

const char *model_name_of(const volatile void *at) {
    const char *name = known_name(at, true);
    return name != NULL ? name : "a word without a name";
}

static bool releases(int order) {
    return order >= memory_order_release;
}

static bool acquires(int order) {
    return order == memory_order_consume || order == memory_order_acquire ||
           order >= memory_order_acq_rel;
}

static void note_use(const char *name, enum model_op op, int order) {
    if (name == NULL && op != MODEL_FENCE) {
        return;
    }
    for (size_t i = 0; i < use_count; i++) {
        if (uses[i].name == name && uses[i].op == op &&
            uses[i].order == order && uses[i].thread == model_current) {
            return;
        }
    }
    if (use_count < USES) {
        uses[use_count++] = (struct model_use){name, op, order, model_current};
    }
}

/* The order that counts: `order`, unless a fault is planted here. */
static int effective(const volatile void *at, enum model_op op, int order) {
    if (order == memory_order_relaxed) {
        return order;
    }
    const char *name = at == NULL ? NULL : known_name(at, false);
    note_use(name, op, order);
    if (op == planted.op && order == planted.order &&
        (planted.thread < 0 || planted.thread == model_current) &&
        (at == NULL ? planted.name == NULL
                    : name != NULL && planted.name != NULL &&
                          strcmp(name, planted.name) == 0)) {
        return planted.keep;
    }
    return order;
}

static void join_seen(struct model_view *view, const struct model_view *other) {
    for (unsigned i = 0; i < word_count; i++) {
        if (other->seen[i] > view->seen[i]) {
            view->seen[i] = other->seen[i];
        }
    }
}

static void join(struct model_view *view, const struct model_view *other) {
    join_seen(view, other);
    for (int i = 0; i < MODEL_THREADS; i++) {
        if (other->clock[i] > view->clock[i]) {
            view->clock[i] = other->clock[i];
        }
    }
}

static uint64_t peek(const volatile void *at, unsigned size) {
    uint64_t value = 0;
    memcpy(&value, (const void *)at, size);
    return value;
}

static void poke(volatile void *at, unsigned size, uint64_t value) {
    memcpy((void *)at, &value, size);
}

static struct place *place_of(const volatile void *at) {
    for (uintptr_t i = (uintptr_t)at * 0x9e3779b97f4a7c15u >> 52;; i++) {
        struct place *place = &places[i % PLACES];
        if (place->at == 0) {
            place->at = (uintptr_t)at;
        }
        if (place->at == (uintptr_t)at) {
            if (place->run != run) {
                place->run = run;
                place->owner = place->word = -1;
            }
            return place;
        }
    }
}

/* Does nobody else use it? */
static bool is_private(const volatile void *at) {
    struct place *place = place_of(at);
    if (place->shared) {
        return false;
    }
    if (place->owner < 0) {
        place->owner = (int16_t)model_current;
    } else if (place->owner != model_current) {
        place->shared = true;
        model_restart();
    }
    return true;
}

size_t model_shared(uintptr_t *out, size_t max) {
    size_t count = 0;
    for (int i = 0; i < PLACES && count < max; i++) {
        if (places[i].shared) {
            out[count++] = places[i].at;
        }
    }
    return count;
}

void model_share(uintptr_t at) {
    place_of((void *)at)->shared = true;
}

static struct message *add_message(struct word *word, uint64_t value) {
    if (message_count == MODEL_MESSAGES || word->count == MODEL_VALUES) {
        model_fail("a run with too many stores");
    }
    struct message *message = &messages[message_count];
    word->values[word->count++] = (uint16_t)message_count++;
    message->value = value;
    return message;
}

static int word_of(const volatile void *at, unsigned size) {
    struct place *place = place_of(at);
    if (place->word < 0) {
        if (word_count == MODEL_WORDS) {
            model_fail("a run with too many words");
        }
        place->word = (int16_t)word_count++;
        struct word *word = &words[place->word];
        word->count = 0;
        memset(&add_message(word, peek(at, size))->view, 0,
               sizeof(struct model_view));
        model_first_value(word->values[0]);
    }
    return place->word;
}

static struct message *nth(int word, unsigned n) {
    return &messages[words[word].values[n]];
}

/* Others may go on before this. False: nobody else cares. */
static bool begin(const volatile void *at, unsigned size, bool writes,
                  int order) {
    bool shared = model_current >= 0 && !is_private(at);
    if (model_current >= 0) {
        model_count_step();
    }
    if (shared) {
        model_step((struct model_step){
            .kind = order == memory_order_seq_cst ? STEP_FENCE_WORD
                    : writes                      ? STEP_WRITE
                                                  : STEP_READ,
            .word = (uintptr_t)at >> 3,
        });
    }
    if (model_current >= 0) {
        model_access(at, size, ACCESS_ATOMIC);
    }
    return shared;
}

/* The calling thread reads the nth value of `word`. */
static uint64_t read_message(const volatile void *at, int word, unsigned n,
                             int order) {
    struct thread *t = &threads[model_current];
    struct message *message = nth(word, n);
    model_hear(at, words[word].values[n]);
    if (n > t->now.seen[word]) {
        t->now.seen[word] = (uint16_t)n;
    }
    join(&t->acquired, &message->view);
    if (acquires(order)) {
        join(&t->now, &message->view);
    }
    return message->value;
}

/* The oldest value of `word` that the calling thread may read. */
static unsigned oldest(int word, int order) {
    unsigned seen = threads[model_current].now.seen[word];
    if (order == memory_order_seq_cst && last_fence.seen[word] > seen) {
        seen = last_fence.seen[word];
    }
    return seen;
}

/* The calling thread writes; `head` is the message whose release sequence goes
 * on, or NULL. */
static void write_message(const volatile void *at, int word, uint64_t value,
                          int order, const struct message *head) {
    struct thread *t = &threads[model_current];
    struct message *message = add_message(&words[word], value);
    unsigned n = words[word].count - 1;
    model_note_store();
    model_tell(at, words[word].values[n], (int)n, t->now.seen[word]);
    t->now.seen[word] = (uint16_t)n;
    message->view = releases(order) ? t->now : t->released;
    message->view.seen[word] = (uint16_t)n;
    if (head != NULL) {
        join(&message->view, &head->view);
    }
    if (order == memory_order_seq_cst) {
        last_fence.seen[word] = (uint16_t)n;
    }
    if (releases(order)) {
        t->now.clock[model_current]++;
    }
}

uint64_t model_load(const volatile void *at, unsigned size, int order) {
    if (!begin(at, size, false, order)) {
        return peek(at, size);
    }
    order = effective(at, MODEL_LOAD, order);
    int word = word_of(at, size);
    unsigned newest = words[word].count - 1u;
    unsigned choices = newest - oldest(word, order) + 1;
    unsigned back = 0;
    if (choices > 1 && model_stale_left() > 0) {
        back = (unsigned)model_choose((int)choices);
        if (back > 0) {
            model_spend_stale();
        }
    }
    uint64_t value = read_message(at, word, newest - back, order);
    if (model_tracing) {
        model_trace("load  %s = %#llx%s", model_name_of(at),
                    (unsigned long long)value, back > 0 ? " (old)" : "");
    }
    return value;
}

void model_store(volatile void *at, unsigned size, uint64_t value, int order) {
    if (!begin(at, size, true, order)) {
        poke(at, size, value);
        return;
    }
    order = effective(at, MODEL_STORE, order);
    int word = word_of(at, size);
    write_message(at, word, value, order, NULL);
    poke(at, size, value);
    if (model_tracing) {
        model_trace("store %s = %#llx", model_name_of(at),
                    (unsigned long long)value);
    }
}

uint64_t model_rmw(volatile void *at, unsigned size, int order,
                   uint64_t (*change)(uint64_t, uint64_t), uint64_t by) {
    bool shared = begin(at, size, true, order);
    uint64_t value = peek(at, size);
    uint64_t changed = change(value, by);
    if (shared) {
        order = effective(at, MODEL_EXCHANGE, order);
        int word = word_of(at, size);
        unsigned newest = words[word].count - 1u;
        read_message(at, word, newest, order);
        write_message(at, word, changed, order, nth(word, newest));
        if (model_tracing) {
            model_trace("rmw   %s: %#llx -> %#llx", model_name_of(at),
                        (unsigned long long)value, (unsigned long long)changed);
        }
    }
    poke(at, size, changed);
    return value;
}

/* Which value does a compare-and-exchange read? Any that differs from what is
 * expected may refuse it, as a load would read it; only the newest may let it
 * through. Returns how old the value is; *refused is set. */
static unsigned compared(int word, uint64_t expected, int failure, bool weak,
                         bool *refused) {
    unsigned newest = words[word].count - 1u, lowest = oldest(word, failure);
    unsigned ages[MODEL_VALUES], count = 0;
    bool fits = nth(word, newest)->value == expected;
    ages[count++] = 0;
    for (unsigned n = newest; model_stale_left() > 0 && n-- > lowest;) {
        if (nth(word, n)->value != expected) {
            ages[count++] = newest - n;
        }
    }
    bool may_spur = weak && fits && model_spurious_left() > 0;
    unsigned chosen = 0;
    if (count + may_spur > 1) {
        chosen = (unsigned)model_choose((int)(count + may_spur));
    }
    *refused = chosen > 0 || !fits;
    if (chosen == count) {
        model_spend_spurious();
        return 0;
    }
    if (chosen > 0) {
        model_spend_stale();
    }
    return ages[chosen];
}

bool model_compare(volatile void *at, unsigned size, uint64_t *expected,
                   uint64_t desired, int order, int failure, bool weak) {
    if (!begin(at, size, true, order)) {
        uint64_t value = peek(at, size);
        if (value == *expected) {
            poke(at, size, desired);
            return true;
        }
        *expected = value;
        return false;
    }
    int word = word_of(at, size);
    bool refused;
    unsigned age = compared(word, *expected, failure, weak, &refused);
    unsigned n = words[word].count - 1u - age;
    if (refused) {
        failure = effective(at, MODEL_REFUSED, failure);
        *expected = read_message(at, word, n, failure);
    } else {
        order = effective(at, MODEL_EXCHANGE, order);
        read_message(at, word, n, order);
        write_message(at, word, desired, order, nth(word, n));
        poke(at, size, desired);
    }
    if (model_tracing) {
        model_trace("cas   %s: %#llx %s%#llx", model_name_of(at),
                    (unsigned long long)nth(word, n)->value,
                    refused ? "is not -> " : "-> ",
                    (unsigned long long)desired);
    }
    return !refused;
}

/* Two full fences alone let nothing happen before anything: no clocks. */
static void full_fence(struct thread *t, int thread) {
    join(&t->now, &t->acquired);
    join_seen(&t->now, &last_fence);
    last_fence = t->now;
    t->released = t->now;
    t->now.clock[thread]++;
}

void model_fence(int order) {
    struct thread *t;
    if (model_current < 0) {
        return;
    }
    order = effective(NULL, MODEL_FENCE, order);
    t = &threads[model_current];
    if (order == memory_order_seq_cst) {
        model_step((struct model_step){.kind = STEP_FENCE});
        full_fence(t, model_current);
        if (model_tracing) {
            model_trace("fence");
        }
        return;
    }
    if (acquires(order)) {
        join(&t->now, &t->acquired);
    }
    if (releases(order)) {
        t->released = t->now;
        t->now.clock[model_current]++;
    }
}

/* A full fence in every thread, at this moment: twice round, since each gets
 * what each has. */
void model_fence_all(void) {
    for (int i = 0; i < 2 * MODEL_THREADS; i++) {
        full_fence(&threads[i % MODEL_THREADS], i % MODEL_THREADS);
    }
}
