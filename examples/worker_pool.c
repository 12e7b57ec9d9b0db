/* SPDX-License-Identifier: MIT */
/* Guide, step 3: many jobs, a few workers, one place where answers arrive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/weft.h"

#define WORKERS 4
#define JOBS    1000

struct pool {
    struct weft_channel *jobs, *answers; /* of long */
    struct weft_wait_group working;
};

static void work(void *arg) {
    struct pool *pool = arg;
    long job;
    while (weft_channel_recv(pool->jobs, &job) == 0) {
        long answer = job * job;
        weft_channel_send(pool->answers, &answer);
    }
    weft_wait_group_done(&pool->working);
}

static void *hand_out(void *arg) {
    struct pool *pool = arg;
    for (long job = 1; job <= JOBS; job++) {
        weft_channel_send(pool->jobs, &job);
    }
    weft_channel_close(pool->jobs); /* no more: each worker's loop ends */
    weft_wait_group_wait(&pool->working);
    weft_channel_close(pool->answers);
    return NULL;
}

/* An example has nowhere to go without memory. */
static void need(int error) {
    if (error != 0) {
        fprintf(stderr, "%s\n", strerror(-error));
        exit(1);
    }
}

static void first(void *arg) {
    struct pool pool = {.working = WEFT_WAIT_GROUP_INIT};
    struct weft_task *boss;
    long answer, count = 0, sum = 0;
    (void)arg;
    need(weft_channel_new(&pool.jobs, 16, sizeof(long)));
    need(weft_channel_new(&pool.answers, 16, sizeof(long)));
    weft_wait_group_add(&pool.working, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        need(weft_go(work, &pool));
    }
    need(weft_spawn(&boss, hand_out, &pool, NULL));
    while (weft_channel_recv(pool.answers, &answer) == 0) {
        count++;
        sum += answer;
    }
    weft_join(boss, NULL);
    printf("%ld answers, their sum is %ld\n", count, sum);
    weft_channel_free(pool.jobs);
    weft_channel_free(pool.answers);
}

int main(void) {
    return weft_run(NULL, first, NULL) == 0 ? 0 : 1;
}
