/* SPDX-License-Identifier: MIT */
/* Each byte once and in order, whatever the sizes and the interruptions. */
#include "weft/io/writer.h"

#include "weft/io/pipe.h"
#include "weft/io/testing.h"

#define SIZE 300000

static char sent[SIZE];
static char got[SIZE];

static void fill(void) {
    for (int i = 0; i < SIZE; i++) {
        sent[i] = (char)(i * 7 + i / 251);
    }
}

static void *receive(void *arg) {
    return (void *)read_all(*(int *)arg, got, SIZE);
}

IO_TEST(pieces_of_all_sizes_arrive_in_order) {
    static const size_t buffers[] = {1, 2, 7, 100, 4096};
    fill();
    for (int i = 0; i < 5; i++) {
        int ends[2];
        static char buffer[4096];
        struct weft_writer w;
        EXPECT(weft_pipe(ends), 0);
        struct weft_task *task = start(receive, &ends[0]);
        weft_writer_init(&w, ends[1], buffer, buffers[i]);
        size_t at = 0;
        for (unsigned n = 0; at < SIZE; n++) {
            size_t size = (n * 331) % (i < 3 ? 5000 : 20000);
            size = size < SIZE - at ? size : SIZE - at;
            EXPECT(weft_writer_write(&w, sent + at, size, NULL, soon()), size);
            at += size;
        }
        EXPECT(weft_writer_flush(&w, soon()), 0);
        EXPECT(weft_writer_flush(&w, soon()), 0);
        EXPECT(finish(task), SIZE);
        EXPECT(memcmp(sent, got, SIZE), 0);
        close_both(ends);
    }
}

IO_TEST(nothing_is_sent_before_it_must_be) {
    int ends[2];
    char buffer[8], data[16];
    size_t taken = 0;
    struct weft_writer w;
    EXPECT(weft_pipe(ends), 0);
    weft_writer_init(&w, ends[1], buffer, sizeof(buffer));
    EXPECT(weft_writer_write(&w, "abc", 3, NULL, soon()), 3);
    EXPECT(weft_writer_write(&w, "defgh", 5, &taken, soon()), 5);
    EXPECT(taken, 5);
    EXPECT(weft_read(ends[0], data, 16, 0), -ETIMEDOUT);
    EXPECT(weft_writer_write(&w, "i", 1, NULL, soon()), 1);
    EXPECT(weft_read(ends[0], data, 16, soon()), 8);
    EXPECT(weft_writer_flush(&w, soon()), 0);
    EXPECT(weft_read(ends[0], data, 16, soon()), 1);
    EXPECT(data[0], 'i');
    close_both(ends);
}

static struct weft_writer shared;

static void *flush(void *arg) {
    return (void *)(long)weft_writer_flush(&shared, soon());
}

IO_TEST(after_a_deadline_or_a_cancel_it_goes_on_where_it_was) {
    int ends[2];
    static char buffer[1000];
    size_t at = 0;
    size_t taken = 0;
    fill();
    EXPECT(weft_pipe(ends), 0);
    weft_writer_init(&shared, ends[1], buffer, sizeof(buffer));
    /* Until pipe and buffer are full. */
    ssize_t result;
    do {
        result = weft_writer_write(&shared, sent + at, 900, &taken, 0);
        at += taken;
    } while (result >= 0);
    EXPECT(result, -ETIMEDOUT);
    EXPECT(weft_writer_flush(&shared, weft_now() + 2 * WEFT_MS), -ETIMEDOUT);
    struct weft_task *task = start(flush, NULL);
    await_busy(ends[1], WEFT_WRITING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    /* All of it comes, once. */
    task = start(receive, &ends[0]);
    EXPECT(weft_writer_write(&shared, sent + at, SIZE - at, NULL, soon()),
           SIZE - at);
    EXPECT(weft_writer_flush(&shared, soon()), 0);
    EXPECT(finish(task), SIZE);
    EXPECT(memcmp(sent, got, SIZE), 0);
    /* Nobody is there any more. */
    EXPECT(weft_close(ends[0]), 0);
    EXPECT(weft_writer_write(&shared, "x", 1, NULL, soon()), 1);
    EXPECT(weft_writer_flush(&shared, soon()), -EPIPE);
    EXPECT(weft_close(ends[1]), 0);
    EXPECT(weft_writer_flush(&shared, soon()), -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_all_sizes_arrive_in_order),
        cmocka_unit_test(nothing_is_sent_before_it_must_be),
        cmocka_unit_test(after_a_deadline_or_a_cancel_it_goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
