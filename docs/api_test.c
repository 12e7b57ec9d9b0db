/* SPDX-License-Identifier: MIT */
/* The examples of api.md, taken from there by the build, do what they say. That
 * they compile, and that the synopses agree with the headers, is half of it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/io/address.h"
#include "weft/weft.h"

int example_run(void);
void example_metrics(void);
long example_spawn(void);
int example_join_until(void);
long example_cancel(void);
long example_check(long n);
int example_sleep(int rounds);
int example_virtual_clock(void);
void example_preempt_disable(long amount);
long example_blocking(const char *path);
int example_pin_thread(void);
bool example_self(void);
long example_mutex(void);
int example_condition_take(uint64_t ns);
void example_condition_put(void);
int example_semaphore(void);
int example_wait_group(void);
int example_channel(void);
int example_select(void);
int example_rwlock(int at, int value);
int example_event(void);
int example_once(void);
int example_barrier(int *a, int *b);
int example_ticker(int rounds);
int example_scope(int parts[4][4]);
long example_local(long id);
int example_io(char *data, size_t size);
int example_open_fd(void);
ssize_t example_udp(const char *server, char *data, size_t size);
int example_hand_over(int to, int connection, uint64_t deadline);
int example_take_over(int from, uint64_t deadline);
int example_pipe(void);
ssize_t example_lines(int fd, uint64_t deadline);
int example_resolve(const char *host, const char *service);
ssize_t example_file(const char *path, char *data, size_t size);
ssize_t example_process(char *data, size_t size);
int example_signals_wait(uint64_t deadline);
ssize_t example_sendfile(int socket, const char *path);
uint64_t example_clock(uint64_t now, uint32_t milliseconds);
int example_address(int fd, char *text);
bool example_version(void);
enum weft_preempt_mode example_mode(const char *option);
bool example_signals(void);
bool example_handover(void);
int example_timer(void);
int example_lockfree_queue(void);
int example_block_queue(void);
int example_queues(void);

static void use_tasks(void *arg) {
    example_metrics();
    WEFT_CHECK_OP(example_spawn(), ==, 385L);
    WEFT_CHECK_OP(example_join_until(), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(example_cancel(), >, 0L);
    WEFT_CHECK_OP(example_check(1000), ==, 500500L);
    WEFT_CHECK_OP(example_sleep(3), ==, 0);
    example_preempt_disable(10);
    WEFT_CHECK_OP(example_blocking("/"), >=, 0L);
    WEFT_CHECK_OP(example_blocking("/no such file"), ==, (long)-ENOENT);
    WEFT_CHECK_OP(example_pin_thread(), ==, 3);
    WEFT_CHECK(example_self());
}

static void use_sync(void *arg) {
    WEFT_CHECK_OP(example_mutex(), ==, 1L);
    WEFT_CHECK_OP(example_mutex(), ==, 2L);
    WEFT_CHECK_OP(example_condition_take(WEFT_MS), ==, -ETIMEDOUT);
    example_condition_put();
    WEFT_CHECK_OP(example_condition_take(WEFT_MS), ==, 0);
    WEFT_CHECK_OP(example_semaphore(), <=, 2);
    WEFT_CHECK_OP(example_wait_group(), ==, 45);
    WEFT_CHECK_OP(example_channel(), ==, 15);
    WEFT_CHECK_OP(example_select(), ==, 6);
    WEFT_CHECK_OP(example_rwlock(1, 5), ==, 5);
    WEFT_CHECK_OP(example_rwlock(3, 2), ==, 7);
    WEFT_CHECK_OP(example_event(), ==, 42);
    WEFT_CHECK_OP(example_once(), ==, 1);
    int a = 1, b = 2;
    WEFT_CHECK_OP(example_barrier(&a, &b), ==, 0);
    WEFT_CHECK(a == 2 && b == 1);
    WEFT_CHECK_OP(example_ticker(2), ==, 0);
    int parts[4][4] = {{0}};
    WEFT_CHECK_OP(example_scope(parts), ==, 0);
    parts[2][3] = 7;
    WEFT_CHECK_OP(example_scope(parts), ==, -EEXIST);
    WEFT_CHECK_OP(example_local(99), ==, 99L);
}

static void *answer_once(void *arg) {
    struct sockaddr_storage from;
    char question[8];
    int fd = *(int *)arg;
    ssize_t n = weft_recvfrom(fd, question, sizeof question, &from,
                              weft_now() + 10 * WEFT_S);
    WEFT_CHECK_OP((long)n, ==, 5L);
    weft_sendto(fd, "now", 3, &from, WEFT_FOREVER);
    return NULL;
}

static void use_udp(void) {
    struct weft_task *task;
    char data[8];
    char address[32];
    int fd = weft_udp_open("127.0.0.1:0");
    snprintf(address, sizeof address, "127.0.0.1:%d", weft_local_port(fd));
    WEFT_CHECK_OP(weft_spawn(&task, answer_once, &fd, NULL), ==, 0);
    WEFT_CHECK_OP((long)example_udp(address, data, sizeof data), ==, 3L);
    WEFT_CHECK_OP(data[0], ==, 'n');
    WEFT_CHECK_OP(weft_join(task, NULL), ==, 0);
    WEFT_CHECK_OP(weft_close(fd), ==, 0);
}

static void use_lines(void) {
    int pair[2];
    char data[16];
    uint64_t deadline = weft_now() + 10 * WEFT_S;
    WEFT_CHECK_OP(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    WEFT_CHECK_OP(weft_open_fd(pair[0]), ==, 0);
    WEFT_CHECK_OP(weft_open_fd(pair[1]), ==, 0);
    WEFT_CHECK_OP((long)weft_write(pair[0], "a\nb", 3, deadline), ==, 3L);
    WEFT_CHECK_OP(weft_shutdown(pair[0], SHUT_WR), ==, 0);
    WEFT_CHECK_OP((long)example_lines(pair[1], deadline), ==, 0L);
    WEFT_CHECK_OP((long)weft_read(pair[0], data, 16, deadline), ==, 10L);
    WEFT_CHECK_OP(data[8], ==, 'b');
    WEFT_CHECK_OP(weft_close(pair[0]), ==, 0);
    WEFT_CHECK_OP(weft_close(pair[1]), ==, 0);
}

static void use_messages(void) {
    uint64_t soon = weft_now() + 20 * WEFT_S;
    int pair[2];
    int ends[2];
    char byte = 'y';
    WEFT_CHECK_OP(weft_socketpair(SOCK_STREAM, pair), ==, 0);
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    WEFT_CHECK_OP(example_hand_over(pair[0], ends[0], soon), ==, 0);
    int came = example_take_over(pair[1], soon);
    WEFT_CHECK_OP(came, >=, 0);
    WEFT_CHECK_OP((long)weft_write(ends[1], "x", 1, soon), ==, 1L);
    WEFT_CHECK_OP((long)weft_read(came, &byte, 1, soon), ==, 1L);
    WEFT_CHECK_OP(byte, ==, 'x');
    weft_close(came);
    weft_close(ends[1]);
    weft_close(pair[0]);
    WEFT_CHECK_OP(example_take_over(pair[1], soon), ==, -ENOTCONN);
    weft_close(pair[1]);
}

static void use_io(void *arg) {
    char data[16];
    int ends[2];
    use_udp();
    use_lines();
    use_messages();
    WEFT_CHECK_OP(example_pipe(), ==, 'x');
    WEFT_CHECK_OP(example_resolve("127.0.0.1", "no such service"), ==, -EINVAL);
    WEFT_CHECK_OP((long)example_file("/dev/zero", data, 3), ==, 3L);
    WEFT_CHECK_OP((long)example_process(data, sizeof data), ==, 6L);
    WEFT_CHECK_OP(data[4], ==, 'o');
    WEFT_CHECK_OP(example_signals_wait(WEFT_FOREVER), ==, SIGTERM);
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    WEFT_CHECK_OP(weft_close(ends[0]), ==, 0);
    WEFT_CHECK_OP((long)example_sendfile(ends[1], "/proc/self/exe"), ==,
                  (long)-EPIPE);
    WEFT_CHECK_OP(weft_close(ends[1]), ==, 0);
    WEFT_CHECK_OP(example_io(data, sizeof data), ==, 5);
    WEFT_CHECK_OP(data[0], ==, 'h');
    WEFT_CHECK_OP(data[4], ==, 'o');
    WEFT_CHECK_OP(example_open_fd(), ==, 'x');
}

static void the_first_example_returns_42(void **state) {
    assert_int_equal(example_run(), 42);
}

static void a_day_has_24_hours_and_passes_at_once(void **state) {
    assert_int_equal(example_virtual_clock(), 24);
}

static void examples_of_tasks_do_what_they_say(void **state) {
    assert_int_equal(weft_run(NULL, use_tasks, NULL), 0);
}

static void examples_of_sync_do_what_they_say(void **state) {
    assert_int_equal(weft_run(NULL, use_sync, NULL), 0);
}

static void examples_of_io_do_what_they_say(void **state) {
    assert_int_equal(weft_run(NULL, use_io, NULL), 0);
}

static void examples_of_times_and_addresses_do_what_they_say(void **state) {
    char text[WEFT_ADDRESS_TEXT];
    assert_int_equal(example_clock(5, 0), WEFT_FOREVER);
    assert_int_equal(example_clock(5, 2), 5 + 2 * WEFT_MS);
    assert_int_equal(example_clock(WEFT_FOREVER - 1, 2), WEFT_FOREVER);
    assert_true(example_address(-1, text) < 0);
    assert_true(example_version());
}

static void examples_of_preempt_do_what_they_say(void **state) {
    assert_int_equal(example_mode("off"), WEFT_PREEMPT_OFF);
    assert_int_not_equal(example_mode("nonsense"), WEFT_PREEMPT_DEFAULT);
    if (weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_OFF) {
        assert_true(example_signals()); /* else nobody is asked */
    }
    assert_true(example_handover());
    assert_int_equal(example_timer(), -1);
}

static void examples_of_queues_do_what_they_say(void **state) {
    assert_int_equal(example_lockfree_queue(), 123);
    assert_int_equal(example_block_queue(), 35);
    assert_int_equal(example_queues(), 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_example_returns_42),
        cmocka_unit_test(a_day_has_24_hours_and_passes_at_once),
        cmocka_unit_test(examples_of_tasks_do_what_they_say),
        cmocka_unit_test(examples_of_sync_do_what_they_say),
        cmocka_unit_test(examples_of_io_do_what_they_say),
        cmocka_unit_test(examples_of_times_and_addresses_do_what_they_say),
        cmocka_unit_test(examples_of_preempt_do_what_they_say),
        cmocka_unit_test(examples_of_queues_do_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
