/* SPDX-License-Identifier: MIT */
/* What the kqueue backend says to a kernel, and what it makes of the answers.
 * The kernel is this file: it shows that the backend is consistent with the
 * manual pages, not that a real one is consistent with them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/event.h>
#include <unistd.h>

#include <cmocka.h>

#include "poller_backend.h"

extern const struct weft_poller_backend weft_poller_kqueue;

#define KEY 0x300000007ULL /* descriptor 7, generation 3 */

/* The last call of kevent(), and what the next one answers. */
static struct kevent said[2], answers[2];
static int said_count, answer;
static struct timespec said_limit;
static bool said_forever;

static struct weft_poller poller = {.fd = -1};

int kqueue(void) {
    return dup(STDIN_FILENO);
}

int kevent(int kq, const struct kevent *changes, int change_count,
           struct kevent *events, int room, const struct timespec *limit) {
    assert_int_equal(kq, poller.fd);
    said_count = change_count;
    memcpy(said, changes == NULL ? said : changes,
           (size_t)change_count * sizeof(*said));
    said_forever = limit == NULL;
    said_limit = limit == NULL ? (struct timespec){0, 0} : *limit;
    if (answer < 0) {
        errno = -answer;
        return -1;
    }
    assert_true(answer <= room || room == 0);
    if (room > 0) {
        memcpy(events, answers, (size_t)answer * sizeof(*answers));
    }
    return room > 0 ? answer : 0;
}

static int set_up(void **state) {
    (void)state;
    answer = 0;
    return weft_poller_kqueue.init(&poller);
}

static int tear_down(void **state) {
    (void)state;
    weft_poller_kqueue.fini(&poller);
    return 0;
}

static void a_kick_is_a_user_event(void **state) {
    (void)state;
    assert_int_equal(said_count, 1);
    assert_int_equal(said[0].filter, EVFILT_USER);
    assert_int_equal(said[0].flags, EV_ADD | EV_CLEAR);
    uintptr_t ident = said[0].ident;
    weft_poller_kqueue.kick(&poller);
    assert_int_equal(said_count, 1);
    assert_int_equal(said[0].filter, EVFILT_USER);
    assert_int_equal(said[0].ident, ident);
    assert_int_equal(said[0].fflags, NOTE_TRIGGER);
    assert_int_equal(said[0].flags & EV_ADD, 0);
    struct weft_poller_event event;
    answers[0] = said[0];
    answer = 1;
    assert_int_equal(weft_poller_kqueue.wait(&poller, WEFT_FOREVER, &event, 1),
                     1);
    assert_true(event.key == WEFT_POLLER_KICK);
}

static void both_directions_are_added_by_edge_and_taken_out(void **state) {
    (void)state;
    static const int filters[2] = {EVFILT_READ, EVFILT_WRITE};
    answer = 2;
    memset(answers, 0, sizeof(answers));
    for (int out = 0; out < 2; out++) {
        if (out) {
            weft_poller_kqueue.remove(&poller, 7, KEY);
        } else {
            assert_int_equal(
                weft_poller_kqueue.add(&poller, 7, KEY, WEFT_DESCRIPTOR_TCP),
                0);
        }
        assert_int_equal(said_count, 2);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(said[i].ident, 7);
            assert_int_equal(said[i].filter, filters[i]);
            assert_int_equal(
                said[i].flags,
                out ? EV_DELETE | EV_RECEIPT : EV_ADD | EV_CLEAR | EV_RECEIPT);
            assert_true((uintptr_t)said[i].udata == KEY);
        }
    }
}

static void one_direction_is_enough_and_none_is_an_error(void **state) {
    (void)state;
    enum weft_descriptor_kind kind = WEFT_DESCRIPTOR_PIPE;
    answer = 2;
    memset(answers, 0, sizeof(answers));
    answers[1].data = EINVAL;
    assert_int_equal(weft_poller_kqueue.add(&poller, 7, KEY, kind), 0);
    answers[0].data = EINVAL;
    assert_int_equal(weft_poller_kqueue.add(&poller, 7, KEY, kind), -EINVAL);
    answer = -ENOMEM;
    errno = ERANGE;
    assert_int_equal(weft_poller_kqueue.add(&poller, 7, KEY, kind), -ENOMEM);
    assert_int_equal(errno, ERANGE);
}

static void a_file_is_refused(void **state) {
    (void)state;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(
        weft_poller_kqueue.add(&poller, file, KEY, WEFT_DESCRIPTOR_OTHER),
        -EPERM);
    assert_int_equal(close(file), 0);
    assert_int_equal(
        weft_poller_kqueue.add(&poller, file, KEY, WEFT_DESCRIPTOR_OTHER),
        -EBADF);
}

static void events_say_what_may_be_tried(void **state) {
    (void)state;
    static const struct {
        int filter, flags;
        uint32_t what;
    } cases[] = {
        {EVFILT_READ, 0, WEFT_EVENT_READ},
        {EVFILT_WRITE, 0, WEFT_EVENT_WRITE},
        {EVFILT_READ, EV_EOF, WEFT_EVENT_READ | WEFT_EVENT_ENDS},
        {EVFILT_WRITE, EV_EOF,
         WEFT_EVENT_READ | WEFT_EVENT_WRITE | WEFT_EVENT_ENDS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weft_poller_event event;
        EV_SET(&answers[0], 7, cases[i].filter, cases[i].flags, 0, 0,
               (void *)(uintptr_t)KEY);
        answer = 1;
        assert_int_equal(weft_poller_kqueue.wait(&poller, 0, &event, 1), 1);
        assert_true(event.key == KEY);
        assert_int_equal(event.what, cases[i].what);
    }
}

static void a_deadline_is_a_time_from_now(void **state) {
    (void)state;
    struct weft_poller_event event;
    assert_int_equal(weft_poller_kqueue.wait(&poller, 0, &event, 1), 0);
    assert_false(said_forever);
    assert_int_equal(said_limit.tv_sec + said_limit.tv_nsec, 0);
    weft_poller_kqueue.wait(&poller, weft_clock_now() + 100 * WEFT_S, &event,
                            1);
    assert_false(said_forever);
    assert_in_range(said_limit.tv_sec, 1, 100);
    weft_poller_kqueue.wait(&poller, 1, &event, 1); /* it has passed */
    assert_false(said_forever);
    assert_int_equal(said_limit.tv_sec + said_limit.tv_nsec, 0);
    answer = -EINTR;
    assert_int_equal(weft_poller_kqueue.wait(&poller, WEFT_FOREVER, &event, 1),
                     0);
    assert_true(said_forever);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_kick_is_a_user_event),
        CASE(both_directions_are_added_by_edge_and_taken_out),
        CASE(one_direction_is_enough_and_none_is_an_error),
        CASE(a_file_is_refused),
        CASE(events_say_what_may_be_tried),
        CASE(a_deadline_is_a_time_from_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
