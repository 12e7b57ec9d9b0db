/* SPDX-License-Identifier: MIT */
/* Memory that fails at the nth allocation, for all of sync's calls that may ask
 * for some: those that make something, and waits with a deadline, which need a
 * timer. What waits without one takes no memory.
 *
 * Each waits here until its deadline, since nothing comes: so 0 stands for
 * -ETIMEDOUT, and anything but -ENOMEM beside it is wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/trial.h"
#include "weft/base/check.h"
#include "weft/weft.h"

static uint64_t later(void) {
    return weft_now() + WEFT_S;
}

static int in_vain(int error) {
    WEFT_CHECK(error != 0);
    return error == -ETIMEDOUT ? 0 : error;
}

static int make_a_channel(void) {
    struct weft_channel *ch;
    int error = weft_channel_new(&ch, 4, sizeof(int));
    if (error == 0) {
        weft_channel_free(ch);
    }
    return error;
}

static int set_local_values(void) {
    static struct weft_task_local keys[20];
    int error = 0;
    for (int i = 0; i < 20 && error == 0; i++) {
        error = weft_task_local_set(&keys[i], &keys[i]);
        WEFT_CHECK(weft_task_local_get(&keys[i]) ==
                   (error == 0 ? &keys[i] : NULL));
    }
    return error;
}

static int nothing(void *arg) {
    (void)arg;
    return 0;
}

static int stay(void *arg) {
    (void)arg;
    return weft_sleep(100 * WEFT_S);
}

static int start_in_a_scope(void) {
    static const struct weft_task_options options = {.stack_size = 1 << 20};
    struct weft_scope s;
    weft_scope_init(&s);
    int error = weft_scope_go(&s, nothing, NULL);
    if (error == 0) {
        error = weft_scope_spawn(&s, nothing, NULL, &options);
    }
    int failed = weft_scope_wait(&s);
    return error != 0 ? error : failed;
}

static int limit_a_scope(void) {
    struct weft_scope s;
    int error = weft_scope_init_until(&s, later());
    if (error != 0) {
        return error;
    }
    (void)weft_scope_go(&s, stay, NULL);
    error = weft_scope_wait(&s);
    return error == -ETIMEDOUT ? 0 : error;
}

static int wait_for_a_scope_in_time(void) {
    struct weft_scope s;
    weft_scope_init(&s);
    int error = weft_scope_go(&s, stay, NULL);
    int failed = weft_scope_wait_until(&s, later());
    return error != 0 ? error : in_vain(failed);
}

static void things_are_refused_or_made(void **state) {
    (void)state;
    trial_of("channel_new", make_a_channel, TRIAL_MUST);
    trial_of("task_local_set", set_local_values, TRIAL_MUST);
    trial_of("scope_go", start_in_a_scope, TRIAL_MUST);
    trial_of("scope_init_until", limit_a_scope, TRIAL_MUST);
    trial_of("scope_wait_until", wait_for_a_scope_in_time, TRIAL_MUST);
}

static struct weft_mutex mutex, own;
static struct weft_rwlock rwlock;
static struct weft_once once;
static struct weft_event held, over;

static int until_it_is_over(void *arg) {
    (void)arg;
    return weft_event_wait(&over);
}

/* Holds what another task waits for. */
static void *hold(void *arg) {
    weft_mutex_lock(&mutex);
    weft_rwlock_write_lock(&rwlock);
    weft_event_set(&held);
    WEFT_CHECK_OP(weft_once_run(&once, until_it_is_over, NULL), ==, 0);
    weft_rwlock_write_unlock(&rwlock);
    weft_mutex_unlock(&mutex);
    return arg;
}

/* Calls `wait` while another holds all that there is to hold. */
static int while_held(int (*wait)(uint64_t deadline)) {
    struct weft_task *holder;
    once = (struct weft_once){0};
    held = over = (struct weft_event){0};
    int error = weft_spawn(&holder, hold, NULL, NULL);
    if (error != 0) {
        return error;
    }
    WEFT_CHECK_OP(weft_event_wait(&held), ==, 0);
    error = in_vain(wait(later()));
    weft_event_set(&over);
    WEFT_CHECK_OP(weft_join(holder, NULL), ==, 0);
    return error;
}

static int lock(uint64_t deadline) {
    return weft_mutex_lock_until(&mutex, deadline);
}

static int read_lock(uint64_t deadline) {
    return weft_rwlock_read_lock_until(&rwlock, deadline);
}

static int write_lock(uint64_t deadline) {
    return weft_rwlock_write_lock_until(&rwlock, deadline);
}

static int run_once(uint64_t deadline) {
    return weft_once_run_until(&once, nothing, NULL, deadline);
}

static int wait_for_the_mutex(void) {
    return while_held(lock);
}

static int wait_to_read(void) {
    return while_held(read_lock);
}

static int wait_to_write(void) {
    return while_held(write_lock);
}

static int wait_for_the_first(void) {
    return while_held(run_once);
}

static void locks_are_waited_for_or_not(void **state) {
    (void)state;
    trial_of("mutex", wait_for_the_mutex, TRIAL_MUST);
    trial_of("read lock", wait_to_read, TRIAL_MUST);
    trial_of("write lock", wait_to_write, TRIAL_MUST);
    trial_of("once", wait_for_the_first, TRIAL_MUST);
}

static int wait_for_a_signal(void) {
    struct weft_condition c = WEFT_CONDITION_INIT;
    weft_mutex_lock(&own);
    int error = weft_condition_wait_until(&c, &own, later());
    weft_mutex_unlock(&own);
    return in_vain(error);
}

static int wait_for_a_permit(void) {
    struct weft_semaphore s;
    weft_semaphore_init(&s, 0);
    return in_vain(weft_semaphore_acquire_until(&s, later()));
}

static int wait_for_a_group(void) {
    struct weft_wait_group g = WEFT_WAIT_GROUP_INIT;
    weft_wait_group_add(&g, 1);
    return in_vain(weft_wait_group_wait_until(&g, later()));
}

static int wait_for_others(void) {
    struct weft_barrier b;
    weft_barrier_init(&b, 2);
    return in_vain(weft_barrier_wait_until(&b, later()));
}

static int wait_for_an_event(void) {
    struct weft_event e = WEFT_EVENT_INIT;
    return in_vain(weft_event_wait_until(&e, later()));
}

static int wait_for_a_tick(void) {
    struct weft_ticker t;
    weft_ticker_init(&t, WEFT_S);
    int error = weft_ticker_wait(&t);
    return error != 0 ? error
                      : in_vain(weft_ticker_wait_until(&t, later() - 1));
}

/* Of one channel, with room for one value. */
static int wait_at_a_channel(int (*wait)(struct weft_channel *ch, int *value,
                                         uint64_t deadline)) {
    struct weft_channel *ch;
    int value = 0;
    int error = weft_channel_new(&ch, 1, sizeof value);
    if (error == 0) {
        error = wait(ch, &value, later());
        weft_channel_free(ch);
    }
    return error;
}

static int send_once_too_often(struct weft_channel *ch, int *value,
                               uint64_t deadline) {
    WEFT_CHECK_OP(weft_channel_send_until(ch, value, deadline), ==, 0);
    return in_vain(weft_channel_send_until(ch, value, deadline));
}

static int receive_nothing(struct weft_channel *ch, int *value,
                           uint64_t deadline) {
    return in_vain(weft_channel_recv_until(ch, value, deadline));
}

static int select_nothing(struct weft_channel *ch, int *value,
                          uint64_t deadline) {
    struct weft_select_case c = weft_select_recv(ch, value);
    return in_vain(weft_select_until(&c, 1, deadline));
}

static int wait_to_send(void) {
    return wait_at_a_channel(send_once_too_often);
}

static int wait_to_receive(void) {
    return wait_at_a_channel(receive_nothing);
}

static int wait_for_the_first_of_one(void) {
    return wait_at_a_channel(select_nothing);
}

static void what_comes_is_waited_for_or_not(void **state) {
    (void)state;
    trial_of("condition", wait_for_a_signal, TRIAL_MUST);
    trial_of("semaphore", wait_for_a_permit, TRIAL_MUST);
    trial_of("wait_group", wait_for_a_group, TRIAL_MUST);
    trial_of("barrier", wait_for_others, TRIAL_MUST);
    trial_of("event", wait_for_an_event, TRIAL_MUST);
    trial_of("ticker", wait_for_a_tick, TRIAL_MUST);
    trial_of("send", wait_to_send, TRIAL_MUST);
    trial_of("recv", wait_to_receive, TRIAL_MUST);
    trial_of("select", wait_for_the_first_of_one, TRIAL_MUST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_refused_or_made),
        cmocka_unit_test(locks_are_waited_for_or_not),
        cmocka_unit_test(what_comes_is_waited_for_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
