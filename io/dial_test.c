/* SPDX-License-Identifier: MIT */
/* Names that stand for two addresses, of which the second answers; the clock is
 * virtual, so that waiting for the first one takes no time. */
#include "weft/io/dial.h"

#include <netdb.h>

#include "weft/io/testing.h"
#include "weft/sched/runtime.h"
#include "weft/sched/virtual_clock.h"

typedef int asker(const char *host, const char *service,
                  const struct addrinfo *hints, struct addrinfo **found);

/* The name "two" is 127.0.0.2 and then 127.0.0.1; see :resolve_wrapped. */
asker __real_getaddrinfo;
asker __wrap_getaddrinfo;

int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found) {
    if (host == NULL || strcmp(host, "two") != 0) {
        return __real_getaddrinfo(host, service, hints, found);
    }
    int error = __real_getaddrinfo("127.0.0.2", service, hints, found);
    return error != 0 ? error
                      : __real_getaddrinfo("127.0.0.1", service, hints,
                                           &(*found)->ai_next);
}

static void run(void (*fn)(void *)) {
    static const struct weft_config config = {.workers = 2,
                                              .clock = WEFT_CLOCK_VIRTUAL};
    assert_int_equal(weft_run(&config, fn, NULL), 0);
}

/* A listener on 127.0.0.1, and its port. */
static int listen_at(char service[16]) {
    int fd = weft_listen("127.0.0.1:0", 0);
    WEFT_CHECK_OP(fd, >=, 0);
    snprintf(service, 16, "%d", weft_local_port(fd));
    return fd;
}

static void meet(int listener, const char *host, const char *service,
                 uint64_t deadline) {
    char byte = 0;
    int client = weft_dial(host, service, deadline);
    WEFT_CHECK_OP(client, >=, 0);
    int server = weft_accept(listener, NULL, soon());
    WEFT_CHECK_OP(server, >=, 0);
    EXPECT(weft_write(client, "x", 1, soon()), 1);
    EXPECT(weft_read(server, &byte, 1, soon()), 1);
    EXPECT(weft_close(client), 0);
    EXPECT(weft_close(server), 0);
}

static void dial_both(void *arg) {
    char service[16];
    int listener = listen_at(service);
    meet(listener, "127.0.0.1", service, soon());
    meet(listener, "127.0.0.1", service, WEFT_FOREVER);
    meet(listener, "two", service, soon());
    meet(listener, "two", service, WEFT_FOREVER);
    EXPECT(weft_close(listener), 0);
    EXPECT(weft_dial("two", service, soon()), -ECONNREFUSED);
}

static void an_address_that_refuses_is_passed_over(void **state) {
    run(dial_both);
}

/* Listens at 127.0.0.2, and has no room for one more connection. */
static void leave_no_room(int fds[4], const char *service) {
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.2:%s", service);
    fds[0] = weft_listen(address, 1);
    WEFT_CHECK_OP(fds[0], >=, 0);
    for (int i = 1; i < 4; i++) {
        fds[i] = weft_connect(address, weft_now() + WEFT_S);
    }
    WEFT_CHECK_OP(fds[3], <, 0);
}

static void dial_past_silence(void *arg) {
    char service[16];
    int silent[4];
    int listener = listen_at(service);
    leave_no_room(silent, service);
    uint64_t began = weft_now();
    meet(listener, "two", service, began + 10 * WEFT_S);
    WEFT_CHECK(weft_now() >= began + 5 * WEFT_S);
    WEFT_CHECK(weft_now() < began + 10 * WEFT_S);
    EXPECT(weft_close(listener), 0);
    EXPECT(weft_dial("two", service, weft_now() + WEFT_S), -ETIMEDOUT);
    for (int i = 0; i < 4; i++) {
        if (silent[i] >= 0) {
            EXPECT(weft_close(silent[i]), 0);
        }
    }
}

static void one_that_is_silent_leaves_time_for_the_next(void **state) {
    run(dial_past_silence);
}

static void *dial_two(void *service) {
    return (void *)(long)weft_dial("two", service, WEFT_FOREVER);
}

static void dial_in_vain(void *arg) {
    char service[16];
    int silent[4];
    int listener = listen_at(service);
    EXPECT(weft_dial("127.0.0.1", "no such service", soon()), -EINVAL);
    EXPECT(weft_dial(NULL, NULL, soon()), -EINVAL);
    leave_no_room(silent, service);
    EXPECT(weft_dial("127.0.0.2", service, 0), -ETIMEDOUT);
    weft_clock_hold();
    struct weft_task *task = start(dial_two, service);
    while (weft_task_state(task) != WEFT_TASK_WAITING) {
        weft_yield();
    }
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    weft_clock_release();
    for (int i = 0; i < 4; i++) {
        if (silent[i] >= 0) {
            EXPECT(weft_close(silent[i]), 0);
        }
    }
    EXPECT(weft_close(listener), 0);
}

static void what_cannot_be_is_an_error(void **state) {
    int before = count_open();
    run(dial_in_vain);
    assert_int_equal(count_open(), before);
    assert_int_equal(weft_dial("127.0.0.1", "80", WEFT_FOREVER), -EPERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_refuses_is_passed_over),
        cmocka_unit_test(one_that_is_silent_leaves_time_for_the_next),
        cmocka_unit_test(what_cannot_be_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
