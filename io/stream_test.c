/* SPDX-License-Identifier: MIT */
/* Reading, writing and closing, over pipes and socket pairs. */
#define _GNU_SOURCE
#include <signal.h>

#include "weft/io/operation.h"
#include "weft/io/testing.h"

static void *read_one(void *arg) {
    char byte;
    return (void *)weft_read(*(int *)arg, &byte, 1, soon());
}

static void *read_three(void *arg) {
    char bytes[3];
    return (void *)weft_read(*(int *)arg, bytes, 3, soon());
}

/* Fills what the kernel will hold, then waits. */
static void *write_too_much(void *arg) {
    static char block[1 << 20];
    for (;;) {
        ssize_t result = weft_write(*(int *)arg, block, sizeof(block), soon());
        if (result < 0) {
            return (void *)result;
        }
    }
}

IO_TEST(a_pipe_is_adopted_and_carries_bytes) {
    int ends[2];
    open_pipe(ends);
    EXPECT(weft_open_fd(ends[0]), -EEXIST);
    struct weft_task *reader = start(read_three, &ends[0]);
    let_them_wait();
    EXPECT(weft_write(ends[1], "abc", 3, soon()), 3);
    EXPECT(finish(reader), 3);
    EXPECT(weft_write(ends[1], "", 0, soon()), 0);
    EXPECT(weft_write_some(ends[1], "", 0, soon()), 0);
    EXPECT(weft_close(ends[1]), 0);
    char byte;
    EXPECT(weft_read(ends[0], &byte, 1, soon()), 0);
    EXPECT(weft_close(ends[0]), 0);
    EXPECT(fcntl(ends[0], F_GETFD), -1);
}

IO_TEST(what_cannot_wait_is_refused) {
    char byte;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT(weft_open_fd(file), -EPERM);
    EXPECT(fcntl(file, F_GETFL) & O_NONBLOCK, 0);
    EXPECT(weft_read(file, &byte, 1, 0), -EBADF);
    EXPECT(weft_close(file), -EBADF);
    EXPECT(weft_open_fd(-1), -EBADF);
    EXPECT(weft_read(-1, &byte, 1, 0), -EBADF);
    EXPECT(weft_write(1 << 30, &byte, 1, 0), -EBADF);
    EXPECT(weft_shutdown(file, SHUT_WR), -EBADF);
    close(file);
    EXPECT(weft_writev(file, NULL, -1, 0), -EINVAL);
}

IO_TEST(a_deadline_ends_a_read_and_spoils_nothing) {
    int pair[2];
    char byte = 0;
    open_pair(pair);
    uint64_t until = weft_now() + 2 * WEFT_MS;
    EXPECT(weft_read(pair[0], &byte, 1, until), -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= until);
    EXPECT(weft_write(pair[1], "x", 1, 0), 1);
    /* What is there is given, however late it is. */
    EXPECT(weft_read(pair[0], &byte, 1, until), 1);
    EXPECT(byte, 'x');
    EXPECT(weft_read(pair[0], &byte, 1, 0), -ETIMEDOUT);
    close_both(pair);
}

/* As a process may with which the socket is shared. */
IO_TEST(a_socket_waits_no_more_in_the_kernel_when_made_to_block) {
    static char block[4 << 20];
    int pair[2];
    char byte;
    open_pair(pair);
    EXPECT(fcntl(pair[0], F_SETFL, 0), 0);
    EXPECT(weft_read(pair[0], &byte, 1, weft_now() + 2 * WEFT_MS), -ETIMEDOUT);
    EXPECT(weft_write(pair[0], block, sizeof(block), weft_now() + 2 * WEFT_MS),
           -ETIMEDOUT);
    close_both(pair);
}

IO_TEST(a_deadline_ends_a_write) {
    int pair[2];
    static char block[4 << 20];
    open_pair(pair);
    EXPECT(weft_write(pair[0], block, sizeof(block), weft_now() + 2 * WEFT_MS),
           -ETIMEDOUT);
    ssize_t held = 0;
    ssize_t count;
    while ((count = weft_read(pair[1], block, sizeof(block), 0)) > 0) {
        held += count;
    }
    EXPECT(count, -ETIMEDOUT);
    WEFT_CHECK_OP(held, >, (ssize_t)0);
    EXPECT(weft_write_some(pair[0], "abc", 3, 0), 3);
    close_both(pair);
}

IO_TEST(a_cancelled_task_stops_waiting) {
    int pair[2];
    open_pair(pair);
    struct weft_task *reader = start(read_one, &pair[0]);
    let_them_wait();
    EXPECT(weft_cancel(reader), 0);
    EXPECT(finish(reader), -ECANCELED);
    /* The direction is free again, and the descriptor as good as before. */
    reader = start(read_one, &pair[0]);
    EXPECT(weft_write(pair[1], "x", 1, soon()), 1);
    EXPECT(finish(reader), 1);
    close_both(pair);
}

IO_TEST(closing_wakes_those_who_wait) {
    for (int i = 0; i < 50; i++) {
        int pair[2];
        open_pair(pair);
        struct weft_task *tasks[6];
        /* One reads, one writes, the others wait for their turn. */
        for (int t = 0; t < 6; t++) {
            tasks[t] = start(t % 2 ? read_one : write_too_much, &pair[0]);
        }
        if (i % 2 == 0) {
            let_them_wait();
        }
        EXPECT(weft_close(pair[0]), 0);
        for (int t = 0; t < 6; t++) {
            EXPECT(finish(tasks[t]), -EBADF);
        }
        EXPECT(weft_close(pair[0]), -EBADF);
        /* Really closed: the other side sees the end after what was sent. */
        static char block[1 << 20];
        ssize_t count;
        while ((count = weft_read(pair[1], block, sizeof(block), soon())) > 0) {
        }
        WEFT_CHECK(count == 0 || count == -ECONNRESET);
        EXPECT(weft_close(pair[1]), 0);
    }
}

IO_TEST(one_side_may_end_and_still_listen) {
    int pair[2];
    char text[8];
    open_pair(pair);
    EXPECT(weft_write(pair[0], "ask", 3, soon()), 3);
    EXPECT(weft_shutdown(pair[0], SHUT_WR), 0);
    EXPECT(read_all(pair[1], text, sizeof(text)), 3);
    EXPECT(weft_write(pair[1], "answer", 6, soon()), 6);
    EXPECT(weft_close(pair[1]), 0);
    EXPECT(read_all(pair[0], text, sizeof(text)), 6);
    EXPECT(weft_write(pair[0], "x", 1, soon()), -EPIPE);
    EXPECT(weft_close(pair[0]), 0);
}

IO_TEST(a_broken_pipe_is_an_error_and_no_signal) {
    for (int way = 0; way < 2; way++) {
        atomic_store_explicit(&weft_io_pipes_signal, way, memory_order_relaxed);
        int ends[2];
        open_pipe(ends);
        struct weft_task *writer = start(write_too_much, &ends[1]);
        let_them_wait();
        EXPECT(weft_close(ends[0]), 0);
        EXPECT(finish(writer), -EPIPE);
        struct iovec pieces[] = {{"a", 1}, {"b", 1}};
        EXPECT(weft_writev(ends[1], pieces, 2, soon()), -EPIPE);
        sigset_t pending;
        sigpending(&pending);
        EXPECT(sigismember(&pending, SIGPIPE), 0);
        EXPECT(weft_close(ends[1]), 0);
    }
    atomic_store_explicit(&weft_io_pipes_signal, 0, memory_order_relaxed);
}

#define PIECES 3000

static size_t piece_size(int i) {
    return i % 7 == 0 ? 0 : (size_t)(i * 37) % 501;
}

static void *read_pieces(void *arg) {
    static char data[PIECES * 501];
    size_t expected = 0;
    for (int i = 0; i < PIECES; i++) {
        expected += piece_size(i);
    }
    EXPECT(read_all(*(int *)arg, data, expected), expected);
    const char *at = data;
    for (int i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < piece_size(i); k++) {
            EXPECT(*at++, (char)(i + (int)k));
        }
    }
    return NULL;
}

IO_TEST(many_pieces_arrive_whole_through_a_small_buffer) {
    static char data[PIECES][501];
    static struct iovec pieces[PIECES];
    size_t sum = 0;
    for (int i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < piece_size(i); k++) {
            data[i][k] = (char)(i + (int)k);
        }
        pieces[i] = (struct iovec){data[i], piece_size(i)};
        sum += piece_size(i);
    }
    for (int kind = 0; kind < 2; kind++) {
        int fds[2];
        if (kind == 0) {
            int small = 2048;
            open_pair(fds);
            EXPECT(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small,
                              sizeof(small)),
                   0);
        } else {
            open_pipe(fds);
            fcntl(fds[1], F_SETPIPE_SZ, 4096);
        }
        struct weft_task *reader = start(read_pieces, &fds[0]);
        EXPECT(weft_writev(fds[1], pieces, PIECES, soon()), sum);
        EXPECT(finish(reader), 0);
        EXPECT(weft_writev(fds[1], pieces, 1, soon()), 0);
        EXPECT(weft_writev(fds[1], pieces, 0, soon()), 0);
        close_both(fds);
    }
}

#define BLOCK   5000
#define BLOCKS  20
#define WRITERS 4

struct writer {
    int fd;
    char letter;
};

static void *write_blocks(void *arg) {
    struct writer *writer = arg;
    char block[BLOCK];
    memset(block, writer->letter, sizeof(block));
    for (int i = 0; i < BLOCKS; i++) {
        EXPECT(weft_write(writer->fd, block, sizeof(block), soon()), BLOCK);
    }
    return NULL;
}

IO_TEST(writes_of_several_tasks_do_not_mix) {
    int ends[2];
    open_pipe(ends);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    struct weft_task *tasks[WRITERS];
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ends[1], (char)('a' + i)};
        tasks[i] = start(write_blocks, &writers[i]);
    }
    int seen[WRITERS] = {0};
    for (int i = 0; i < WRITERS * BLOCKS; i++) {
        char block[BLOCK];
        EXPECT(read_all(ends[0], block, sizeof(block)), BLOCK);
        for (int k = 1; k < BLOCK; k++) {
            EXPECT(block[k], block[0]);
        }
        seen[block[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++) {
        EXPECT(finish(tasks[i]), 0);
        EXPECT(seen[i], BLOCKS);
    }
    close_both(ends);
}

static void *count_bytes(void *arg) {
    long count = 0;
    char byte;
    while (weft_read(*(int *)arg, &byte, 1, soon()) == 1) {
        count++;
    }
    return (void *)count;
}

IO_TEST(readers_of_one_pipe_get_each_byte_once) {
    int ends[2];
    open_pipe(ends);
    struct weft_task *readers[4];
    for (int i = 0; i < 4; i++) {
        readers[i] = start(count_bytes, &ends[0]);
    }
    static const char block[100];
    for (int i = 0; i < 50; i++) {
        EXPECT(weft_write(ends[1], block, sizeof(block), soon()), 100);
        weft_yield();
    }
    EXPECT(weft_close(ends[1]), 0);
    long sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += finish(readers[i]);
    }
    EXPECT(sum, 5000);
    EXPECT(weft_close(ends[0]), 0);
}

static void *read_briefly(void *arg) {
    char byte;
    return (void *)weft_read(*(int *)arg, &byte, 1, weft_now() + 2 * WEFT_MS);
}

IO_TEST(who_waits_for_a_turn_may_give_up) {
    int pair[2];
    open_pair(pair);
    struct weft_task *first = start(read_one, &pair[0]);
    let_them_wait();
    struct weft_task *brief[8];
    for (int i = 0; i < 8; i++) {
        brief[i] = start(read_briefly, &pair[0]);
    }
    struct weft_task *last = start(read_one, &pair[0]);
    struct weft_task *gone = start(read_one, &pair[0]);
    let_them_wait();
    weft_cancel(gone);
    EXPECT(finish(gone), -ECANCELED);
    for (int i = 0; i < 8; i++) {
        EXPECT(finish(brief[i]), -ETIMEDOUT);
    }
    EXPECT(weft_write(pair[1], "ab", 2, soon()), 2);
    EXPECT(finish(first), 1);
    EXPECT(finish(last), 1);
    close_both(pair);
}

/* Opens, talks and closes: the same few numbers come again and again. */
static void *reuse_numbers(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < 300; i++) {
        int pair[2];
        char sent[16];
        char got[16];
        open_pair(pair);
        snprintf(sent, sizeof(sent), "%u.%d", seed, i);
        struct weft_task *waiting = NULL;
        if (i % 3 == 0) {
            waiting = start(read_one, &pair[1]);
            await_busy(pair[1], WEFT_READING);
        }
        EXPECT(weft_write(pair[1], sent, sizeof(sent), soon()), 16);
        EXPECT(read_all(pair[0], got, sizeof(got)), 16);
        EXPECT(memcmp(sent, got, sizeof(sent)), 0);
        EXPECT(weft_close(pair[1]), 0);
        if (waiting != NULL) {
            EXPECT(finish(waiting), -EBADF);
        }
        EXPECT(weft_read(pair[0], got, 1, soon()), 0);
        EXPECT(weft_close(pair[0]), 0);
    }
    return NULL;
}

IO_TEST(numbers_that_come_again_are_new_descriptors) {
    struct weft_task *tasks[4];
    for (long i = 0; i < 4; i++) {
        tasks[i] = start(reuse_numbers, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        EXPECT(finish(tasks[i]), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_is_adopted_and_carries_bytes),
        cmocka_unit_test(what_cannot_wait_is_refused),
        cmocka_unit_test(a_deadline_ends_a_read_and_spoils_nothing),
        cmocka_unit_test(
            a_socket_waits_no_more_in_the_kernel_when_made_to_block),
        cmocka_unit_test(a_deadline_ends_a_write),
        cmocka_unit_test(a_cancelled_task_stops_waiting),
        cmocka_unit_test(closing_wakes_those_who_wait),
        cmocka_unit_test(one_side_may_end_and_still_listen),
        cmocka_unit_test(a_broken_pipe_is_an_error_and_no_signal),
        cmocka_unit_test(many_pieces_arrive_whole_through_a_small_buffer),
        cmocka_unit_test(writes_of_several_tasks_do_not_mix),
        cmocka_unit_test(readers_of_one_pipe_get_each_byte_once),
        cmocka_unit_test(who_waits_for_a_turn_may_give_up),
        cmocka_unit_test(numbers_that_come_again_are_new_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
