/* SPDX-License-Identifier: MIT */
/* The plain alternative: an array of 256 under a pthread mutex, half of which a
 * thief takes in one round. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/queue/node.h"

struct guarded {
    pthread_mutex_t mutex;
    uint32_t head, tail; /* all under mutex */
    struct weft_node *slots[256];
};

static void queue_init(struct guarded *q) {
    pthread_mutex_init(&q->mutex, NULL);
    q->head = q->tail = 0;
}

static bool queue_push(struct guarded *q, struct weft_node *node) {
    pthread_mutex_lock(&q->mutex);
    bool room = q->tail - q->head < 256;
    if (room) {
        q->slots[q->tail++ % 256] = node;
    }
    pthread_mutex_unlock(&q->mutex);
    return room;
}

static struct weft_node *queue_pop(struct guarded *q) {
    pthread_mutex_lock(&q->mutex);
    struct weft_node *node =
        q->head == q->tail ? NULL : q->slots[q->head++ % 256];
    pthread_mutex_unlock(&q->mutex);
    return node;
}

/* Never two locks at once: the catch goes over by way of the stack. */
static struct weft_node *queue_steal(struct guarded *to, struct guarded *from) {
    struct weft_node *taken[128];
    pthread_mutex_lock(&from->mutex);
    uint32_t n = from->tail - from->head;
    n -= n / 2;
    for (uint32_t i = 0; i < n; i++) {
        taken[i] = from->slots[from->head++ % 256];
    }
    pthread_mutex_unlock(&from->mutex);
    if (n == 0) {
        return NULL;
    }
    pthread_mutex_lock(&to->mutex);
    for (uint32_t i = 1; i < n; i++) {
        to->slots[to->tail++ % 256] = taken[i];
    }
    pthread_mutex_unlock(&to->mutex);
    return taken[0];
}

#define QUEUE      struct guarded
#define LOOPS      weft_mutex_loops
#define NAME       "mutex"
#define GOOD_CATCH 32

#include "weft/bench/queue_template.h"
