/* SPDX-License-Identifier: MIT */
/* Every call of sched and io that takes memory, or a thread, is made again and
 * again, each time with another of its allocations failing: it says so by an
 * error that its header lists, or does without, and nothing is left behind when
 * the runtime has ended. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sync/failing.h"
#include "weft/weft.h"

enum { MOST = 100 }; /* allocations in one call, and then some */

struct trial {
    int (*call)(void); /* cleans up; 0 or what went wrong */
    long nth;
    int result;
    bool failed; /* an allocation did */
};

static void make_call(void *arg) {
    struct trial *t = arg;
    weft_test_fail_nth_of_tasks(t->nth);
    t->result = t->call();
    t->failed = weft_test_has_failed();
    weft_test_fail_nth(0);
}

/* Allocations there are, when nothing runs. */
static long count_allocated(void) {
    return weft_test_allocated() + weft_test_aligned();
}

static int count_open(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* Times come only when all wait, so that who sleeps needs a timer. */
static const struct weft_config config = {.workers = 1,
                                          .clock = WEFT_CLOCK_VIRTUAL};

/* Each time in a runtime of its own, which has nothing in reserve. With `needs`
 * the call cannot do without all that it asks for. */
static void try_all(const char *name, int (*call)(void), bool needs) {
    struct trial t = {.call = call};
    int refused = 0;
    assert_int_equal(weft_run(&config, make_call, &t), 0); /* what stays */
    assert_int_equal(t.result, 0);
    do {
        long allocated = count_allocated();
        long mapped = weft_test_mapped();
        int open = count_open();
        t.nth++;
        assert_int_equal(weft_run(&config, make_call, &t), 0);
        if (t.result != 0 && (t.result != -ENOMEM || !t.failed)) {
            fail_msg("%s: %d when allocation %ld failed", name, t.result,
                     t.nth);
        }
        refused += t.result != 0;
        assert_int_equal(count_allocated(), allocated);
        assert_int_equal(weft_test_mapped(), mapped);
        assert_int_equal(count_open(), open);
        assert_true(t.nth < MOST);
    } while (t.failed);
    if (needs && refused == 0) {
        fail_msg("%s was never refused", name);
    }
}

/* --- sched -----------------------------------------------------------------
 */

static void nothing(void *arg) {
    (void)arg;
}

static void *nothing_joined(void *arg) {
    return arg;
}

static int go(void) {
    return weft_go(nothing, NULL);
}

/* More than a slab of records, and of stacks, has room for. */
enum { MANY = 2000 };

static int spawn_many(void) {
    static struct weft_task *tasks[MANY];
    int count = 0;
    int error = 0;
    while (count < MANY && error == 0) {
        error = weft_spawn(&tasks[count], nothing_joined, NULL, NULL);
        count += error == 0;
    }
    while (count > 0) {
        WEFT_CHECK_OP(weft_join(tasks[--count], NULL), ==, 0);
    }
    return error;
}

static int spawn_with_a_large_stack(void) {
    static const struct weft_task_options options = {.stack_size = 1 << 20};
    struct weft_task *task;
    int error = weft_spawn(&task, nothing_joined, NULL, &options);
    return error != 0 ? error : weft_join(task, NULL);
}

static int nap(void) {
    return weft_sleep(1);
}

static int join_in_time(void) {
    struct weft_task *task;
    int error = weft_spawn(&task, nothing_joined, NULL, NULL);
    if (error == 0) {
        error = weft_join_until(task, NULL, weft_now() + 100 * WEFT_S);
        if (error != 0) {
            WEFT_CHECK_OP(weft_join(task, NULL), ==, 0);
        }
    }
    return error;
}

static void *block(void *arg) {
    return arg;
}

static int give_way_to_a_call(void) {
    return weft_blocking(block, NULL) == NULL ? 0 : -EIO;
}

static void tasks_are_refused_or_run(void **state) {
    (void)state;
    try_all("go", go, false);
    try_all("spawn", spawn_many, false);
    try_all("large stack", spawn_with_a_large_stack, true);
    try_all("sleep", nap, true);
    try_all("join", join_in_time, true);
    try_all("blocking", give_way_to_a_call, false);
}

static void spawn_without_memory(void *arg) {
    (void)arg;
    for (int round = 0; round < 3; round++) {
        weft_test_fail_mmap(1);
        WEFT_CHECK_OP(spawn_many(), ==, -ENOMEM);
    }
    weft_test_fail_mmap(0);
    WEFT_CHECK_OP(spawn_many(), ==, 0);
}

static void when_no_memory_comes_back_tasks_are_refused(void **state) {
    (void)state;
    assert_int_equal(weft_run(&config, spawn_without_memory, NULL), 0);
}

/* --- io --------------------------------------------------------------------
 */

static int ended(int fd) {
    return fd < 0 ? fd : weft_close(fd);
}

static int both_ended(int error, const int ends[2]) {
    if (error == 0) {
        WEFT_CHECK_OP(weft_close(ends[0]), ==, 0);
        WEFT_CHECK_OP(weft_close(ends[1]), ==, 0);
    }
    return error;
}

static int listen_there(void) {
    return ended(weft_listen("127.0.0.1:0", 0));
}

static int open_datagrams(void) {
    return ended(weft_udp_open("127.0.0.1:0"));
}

static int make_a_pipe(void) {
    int ends[2];
    return both_ended(weft_pipe(ends), ends);
}

static int make_a_pair(void) {
    int ends[2];
    return both_ended(weft_socketpair(SOCK_STREAM, ends), ends);
}

static int adopt(void) {
    int ends[2];
    WEFT_CHECK_OP(pipe(ends), ==, 0);
    close(ends[1]);
    int error = weft_open_fd(ends[0]);
    if (error != 0) {
        close(ends[0]);
        return error;
    }
    return weft_close(ends[0]);
}

/* Over loopback, which may take its time. */
static int connect_and_accept(void) {
    char address[32];
    uint64_t deadline = WEFT_FOREVER;
    int listener = weft_listen("127.0.0.1:0", 0);
    if (listener < 0) {
        return listener;
    }
    snprintf(address, sizeof address, "127.0.0.1:%d",
             weft_local_port(listener));
    int client = weft_connect(address, deadline);
    int server = client < 0 ? client : weft_accept(listener, NULL, deadline);
    if (client >= 0) {
        weft_close(client);
    }
    weft_close(listener);
    return ended(server);
}

/* Nothing comes: a timer is needed, and there is time for it. */
static int read_for_a_while(void) {
    int ends[2];
    char byte;
    int error = weft_pipe(ends);
    if (error == 0) {
        ssize_t n = weft_read(ends[0], &byte, 1, weft_now() + WEFT_US);
        both_ended(0, ends);
        error = n == -ETIMEDOUT ? 0 : (int)n;
    }
    return error;
}

static int pass_a_descriptor(void) {
    uint64_t deadline = weft_now() + 100 * WEFT_S;
    int ends[2];
    int came = -1;
    int count = 1;
    char byte;
    int error = weft_socketpair(SOCK_STREAM, ends);
    if (error != 0) {
        return error;
    }
    ssize_t n = weft_send_fds(ends[0], "c", 1, &ends[0], 1, deadline);
    n = n < 0 ? n : weft_recv_fds(ends[1], &byte, 1, &came, &count, deadline);
    both_ended(0, ends);
    if (n > 0) {
        close(came);
    }
    return n < 0 ? (int)n : 0;
}

static int listen_to_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    int fd = weft_signals_open(&set);
    return fd < 0 ? fd : weft_signals_close(fd);
}

static int resolve(void) {
    struct sockaddr_storage found;
    int n =
        weft_resolve("127.0.0.1", NULL, &found, 1, weft_now() + 100 * WEFT_S);
    return n < 0 ? n : 0;
}

static int run_a_program(void) {
    char *const words[] = {"true", NULL};
    int status = -1;
    int fd = weft_process_spawn(words, NULL, NULL);
    if (fd < 0) {
        return fd;
    }
    weft_clock_hold();
    int error = weft_process_wait(fd, &status, weft_now() + 1);
    weft_clock_release();
    if (error != 0) {
        WEFT_CHECK_OP(weft_process_wait(fd, &status, WEFT_FOREVER), ==, 0);
    }
    WEFT_CHECK_OP(status, ==, 0);
    weft_close(fd);
    return error;
}

static void descriptors_are_refused_or_open(void **state) {
    (void)state;
    try_all("listen", listen_there, true);
    try_all("udp_open", open_datagrams, true);
    try_all("pipe", make_a_pipe, true);
    try_all("socketpair", make_a_pair, true);
    try_all("open_fd", adopt, true);
    try_all("connect", connect_and_accept, true);
    try_all("read", read_for_a_while, true);
    try_all("send_fds", pass_a_descriptor, true);
}

static void so_are_signals_names_and_programs(void **state) {
    (void)state;
    try_all("signals_open", listen_to_signals, true);
    try_all("resolve", resolve, true);
    try_all("process", run_a_program, true);
}

/* --- the runtime itself ------------------------------------------------------
 */

static void count_one(void *ran) {
    ++*(int *)ran;
    (void)weft_sleep(1);
}

static void a_runtime_starts_or_says_why_not(void **state) {
    bool failed = true;
    int refused = 0;
    (void)state;
    for (long nth = 1; failed; nth++) {
        const struct weft_config two = {.workers = 2};
        long allocated = count_allocated();
        long mapped = weft_test_mapped();
        int open = count_open();
        int ran = 0;
        weft_test_fail_nth_of_any(nth);
        int error = weft_run(&two, count_one, &ran);
        failed = weft_test_has_failed();
        weft_test_fail_nth(0);
        assert_true(error == 0 || error == -ENOMEM || error == -EAGAIN);
        assert_int_equal(ran, error == 0);
        assert_true(failed || error == 0);
        refused += error != 0;
        assert_int_equal(count_allocated(), allocated);
        assert_int_equal(weft_test_mapped(), mapped);
        assert_int_equal(count_open(), open);
        assert_true(nth < MOST);
    }
    assert_true(refused >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_starts_or_says_why_not),
        cmocka_unit_test(tasks_are_refused_or_run),
        cmocka_unit_test(when_no_memory_comes_back_tasks_are_refused),
        cmocka_unit_test(descriptors_are_refused_or_open),
        cmocka_unit_test(so_are_signals_names_and_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
