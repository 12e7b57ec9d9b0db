/* SPDX-License-Identifier: MIT */
/* The poller without a scheduler: pipes, socket pairs and plain threads. */
#define _GNU_SOURCE
#include "weft/sched/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef POLLER
#define POLLER WEFT_POLLER_EPOLL
#endif

#define MANY 16

struct fixture {
    struct weft_poller poller;
    int ends[2]; /* a pipe: read here, write there */
    struct weft_descriptor *reader, *writer;
};

/* Something with an address of its own. */
static _Alignas(8) char alice[8], bob[8];

static int set_up(void **state) {
    struct fixture *f = aligned_alloc(_Alignof(struct fixture), sizeof(*f));
    assert_non_null(f);
    assert_int_equal(weft_poller_init(&f->poller, POLLER), 0);
    assert_int_equal(pipe2(f->ends, O_NONBLOCK | O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            weft_poller_add(&f->poller, f->ends[i], WEFT_DESCRIPTOR_OTHER), 0);
    }
    f->reader = weft_poller_find(&f->poller, f->ends[0]);
    f->writer = weft_poller_find(&f->poller, f->ends[1]);
    assert_non_null(f->reader);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    weft_poller_fini(&f->poller);
    close(f->ends[0]);
    close(f->ends[1]);
    free(f);
    return 0;
}

static void put(int fd) {
    assert_int_equal(write(fd, "x", 1), 1);
}

/* Closes `fd`, on which nobody waits. */
static void drop(struct weft_descriptor *d) {
    void *waiters[WEFT_DIRECTIONS];
    assert_int_equal(weft_poller_close(d, waiters), 0);
    assert_null(waiters[WEFT_READING]);
    assert_null(waiters[WEFT_WRITING]);
    assert_true(weft_poller_leave(d, WEFT_USING));
}

static void an_edge_hands_the_waiter_back_once(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    assert_int_equal(weft_poller_arm(f->reader, WEFT_READING, alice), 0);
    assert_int_equal(weft_poller_waiting(&f->poller), 1);
    assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
    put(f->ends[1]);
    assert_int_equal(weft_poller_wait(&f->poller, WEFT_FOREVER, waiters, MANY),
                     1);
    assert_ptr_equal(waiters[0], alice);
    assert_false(weft_poller_armed(f->reader, WEFT_READING, alice));
    assert_false(weft_poller_disarm(f->reader, WEFT_READING, alice));
    assert_int_equal(weft_poller_waiting(&f->poller), 0);
    put(f->ends[1]);
    assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
}

static void an_edge_before_the_arming_means_try_again(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    put(f->ends[1]);
    assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
    assert_int_equal(weft_poller_arm(f->reader, WEFT_READING, alice),
                     -EALREADY);
    assert_int_equal(weft_poller_waiting(&f->poller), 0);
    assert_int_equal(weft_poller_arm(f->reader, WEFT_READING, alice), 0);
    assert_int_equal(weft_poller_arm(f->reader, WEFT_READING, alice), 0);
    assert_int_equal(weft_poller_waiting(&f->poller), 1);
    assert_true(weft_poller_disarm(f->reader, WEFT_READING, alice));
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
}

static void who_was_taken_out_is_not_handed_back(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    assert_int_equal(weft_poller_arm(f->reader, WEFT_READING, alice), 0);
    assert_true(weft_poller_armed(f->reader, WEFT_READING, alice));
    assert_true(weft_poller_disarm(f->reader, WEFT_READING, alice));
    put(f->ends[1]);
    assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
    /* But the news has been kept. */
    assert_int_equal(weft_poller_arm(f->reader, WEFT_READING, bob), -EALREADY);
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
}

static void both_directions_wait_apart_and_a_hangup_wakes_both(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    assert_int_equal(
        weft_poller_add(&f->poller, pair[0], WEFT_DESCRIPTOR_SOCKET), 0);
    struct weft_descriptor *d = weft_poller_find(&f->poller, pair[0]);
    assert_int_equal(d->kind, WEFT_DESCRIPTOR_SOCKET);
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    assert_int_equal(weft_poller_enter(d, WEFT_WRITING), 0);
    char block[4096] = {0};
    while (write(pair[0], block, sizeof(block)) > 0) {
    }
    /* News of the empty socket, from its registration. */
    weft_poller_wait(&f->poller, 0, waiters, MANY);
    if (weft_poller_arm(d, WEFT_WRITING, bob) == -EALREADY) {
        assert_int_equal(weft_poller_arm(d, WEFT_WRITING, bob), 0);
    }
    assert_int_equal(weft_poller_arm(d, WEFT_READING, alice), 0);
    put(pair[1]);
    assert_int_equal(weft_poller_wait(&f->poller, WEFT_FOREVER, waiters, MANY),
                     1);
    assert_ptr_equal(waiters[0], alice);
    assert_int_equal(weft_poller_arm(d, WEFT_READING, alice), 0);
    close(pair[1]);
    int ready = 0;
    while (weft_poller_waiting(&f->poller) != 0) {
        ready += weft_poller_wait(&f->poller, WEFT_FOREVER, waiters + ready,
                                  MANY - ready);
    }
    assert_int_equal(ready, 2);
    assert_ptr_not_equal(waiters[0], waiters[1]);
    assert_true(weft_poller_leave(d, WEFT_READING));
    assert_true(weft_poller_leave(d, WEFT_WRITING));
    drop(d);
}

static void one_operation_at_a_time_in_each_direction(void **state) {
    struct fixture *f = *state;
    struct weft_descriptor *d = f->reader;
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    assert_int_equal(weft_poller_enter(d, WEFT_READING), -EBUSY);
    assert_int_equal(weft_poller_enter(d, WEFT_WRITING), 0);
    assert_int_equal(weft_poller_enter(d, WEFT_USING), 0);
    assert_true(weft_poller_leave(d, WEFT_USING));
    assert_true(weft_poller_leave(d, WEFT_WRITING));
    atomic_fetch_or_explicit(&d->state, WEFT_DESCRIPTOR_QUEUED(WEFT_READING),
                             memory_order_relaxed);
    assert_false(weft_poller_leave(d, WEFT_READING));
    assert_int_equal(weft_poller_enter(d, WEFT_READING), -EBUSY);
    atomic_fetch_and_explicit(&d->state, ~WEFT_DESCRIPTOR_QUEUED(WEFT_READING),
                              memory_order_relaxed);
    assert_true(weft_poller_leave(d, WEFT_READING));
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    assert_true(weft_poller_leave(d, WEFT_READING));
}

static void what_cannot_be_polled_is_said(void **state) {
    struct fixture *f = *state;
    struct weft_poller *p = &f->poller;
    assert_int_equal(weft_poller_add(p, -1, WEFT_DESCRIPTOR_OTHER), -EBADF);
    assert_int_equal(weft_poller_add(p, f->ends[0], WEFT_DESCRIPTOR_OTHER),
                     -EEXIST);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(weft_poller_add(p, file, WEFT_DESCRIPTOR_OTHER), -EPERM);
    assert_int_equal(weft_poller_enter(weft_poller_find(p, file), WEFT_READING),
                     -EBADF);
    close(file);
    /* The number is not spoilt for the next. */
    assert_int_equal(dup2(f->ends[0], file), file);
    assert_int_equal(weft_poller_add(p, file, WEFT_DESCRIPTOR_OTHER), 0);
    drop(weft_poller_find(p, file));
    assert_null(weft_poller_find(p, -1));
    assert_null(weft_poller_find(p, 1 << 30));
}

static void the_table_grows_to_high_numbers(void **state) {
    struct fixture *f = *state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int high = limit.rlim_cur > 5000 ? 5000 : (int)limit.rlim_cur - 1;
    assert_null(weft_poller_find(&f->poller, WEFT_POLLER_CHUNK * 3));
    assert_int_equal(dup2(f->ends[0], high), high);
    assert_int_equal(weft_poller_add(&f->poller, high, WEFT_DESCRIPTOR_OTHER),
                     0);
    struct weft_descriptor *d = weft_poller_find(&f->poller, high);
    assert_int_equal(d->fd, high);
    void *waiters[MANY];
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    assert_int_equal(weft_poller_arm(d, WEFT_READING, bob), 0);
    put(f->ends[1]);
    assert_int_equal(weft_poller_wait(&f->poller, WEFT_FOREVER, waiters, MANY),
                     1);
    assert_ptr_equal(waiters[0], bob);
    assert_true(weft_poller_leave(d, WEFT_READING));
    drop(d);
}

static void closing_waits_for_the_last_to_leave(void **state) {
    struct fixture *f = *state;
    void *waiters[WEFT_DIRECTIONS];
    struct weft_descriptor *d = f->reader;
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    assert_int_equal(weft_poller_arm(d, WEFT_READING, alice), 0);
    assert_int_equal(weft_poller_close(d, waiters), 0);
    assert_ptr_equal(waiters[WEFT_READING], alice);
    assert_null(waiters[WEFT_WRITING]);
    assert_int_equal(weft_poller_waiting(&f->poller), 0);
    assert_true(weft_poller_closing(d));
    assert_int_equal(weft_poller_close(d, waiters), -EBADF);
    assert_int_equal(weft_poller_enter(d, WEFT_WRITING), -EBADF);
    assert_int_equal(weft_poller_arm(d, WEFT_READING, alice), -EBADF);
    assert_int_equal(
        weft_poller_add(&f->poller, f->ends[0], WEFT_DESCRIPTOR_OTHER),
        -EEXIST);
    assert_true(weft_poller_leave(d, WEFT_USING));
    assert_true(fcntl(f->ends[0], F_GETFD) >= 0);
    assert_true(weft_poller_leave(d, WEFT_READING));
    assert_int_equal(fcntl(f->ends[0], F_GETFD), -1);
    assert_int_equal(weft_poller_enter(d, WEFT_READING), -EBADF);
}

static void news_of_an_earlier_user_of_the_number_is_dropped(void **state) {
    struct fixture *f = *state;
    struct weft_descriptor *d = f->reader;
    int fd = f->ends[0];
    /* The open file stays in the epoll under another number and its old key, as
     * an event that was fetched before the close would. */
    struct weft_poller *p = &f->poller;
    uint64_t before =
        atomic_load_explicit(&d->state, memory_order_relaxed) >> 32;
    int copy = dup(fd);
    drop(d);
    uint64_t after =
        atomic_load_explicit(&d->state, memory_order_relaxed) >> 32;
    assert_int_equal(after, before + 1);
    assert_int_equal(dup2(copy, fd), fd);
    assert_int_equal(weft_poller_add(p, fd, WEFT_DESCRIPTOR_OTHER), 0);
    assert_ptr_equal(weft_poller_find(p, fd), d);
    /* Now age it by hand: what comes with the key of before is not for us. */
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    assert_int_equal(weft_poller_arm(d, WEFT_READING, alice), 0);
    atomic_fetch_add_explicit(&d->state, WEFT_DESCRIPTOR_GENERATION,
                              memory_order_relaxed);
    put(f->ends[1]);
    void *waiters[MANY];
    assert_int_equal(weft_poller_wait(p, WEFT_FOREVER, waiters, MANY), 0);
    assert_true(weft_poller_disarm(d, WEFT_READING, alice));
    assert_true(weft_poller_leave(d, WEFT_READING));
    close(copy);
}

static void a_kick_is_not_lost_and_not_spent_on_a_look(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    weft_poller_kick(&f->poller);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
    }
    /* Would hang without the kick. */
    assert_int_equal(weft_poller_wait(&f->poller, WEFT_FOREVER, waiters, MANY),
                     0);
    /* The kick was used up: only the deadline ends this one. */
    uint64_t until = weft_clock_now() + 3 * WEFT_MS;
    assert_int_equal(weft_poller_wait(&f->poller, until, waiters, MANY), 0);
    assert_true(weft_clock_now() >= until);
}

static void deadlines_and_kicks_work_without_epoll_pwait2(void **state) {
    struct fixture *f = *state;
    atomic_store_explicit(&f->poller.milliseconds_only, 1,
                          memory_order_relaxed);
    a_kick_is_not_lost_and_not_spent_on_a_look(state);
    an_edge_hands_the_waiter_back_once(state);
}

static void the_first_poller_alive_is_the_current_one(void **state) {
    struct fixture *f = *state;
    struct weft_poller second;
    assert_ptr_equal(weft_poller_current(), &f->poller);
    assert_int_equal(weft_poller_init(&second, POLLER), 0);
    assert_ptr_equal(weft_poller_current(), &f->poller);
    weft_poller_fini(&second);
    assert_ptr_equal(weft_poller_current(), &f->poller);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_edge_hands_the_waiter_back_once),
        CASE(an_edge_before_the_arming_means_try_again),
        CASE(who_was_taken_out_is_not_handed_back),
        CASE(both_directions_wait_apart_and_a_hangup_wakes_both),
        CASE(one_operation_at_a_time_in_each_direction),
        CASE(what_cannot_be_polled_is_said),
        CASE(the_table_grows_to_high_numbers),
        CASE(closing_waits_for_the_last_to_leave),
        CASE(news_of_an_earlier_user_of_the_number_is_dropped),
        CASE(a_kick_is_not_lost_and_not_spent_on_a_look),
        CASE(deadlines_and_kicks_work_without_epoll_pwait2),
        CASE(the_first_poller_alive_is_the_current_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
