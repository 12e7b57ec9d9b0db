/* SPDX-License-Identifier: MIT */
/* Lines, pieces and counted bytes, however they come. */
#include "weft/io/reader.h"

#include "weft/io/pipe.h"
#include "weft/io/testing.h"

struct source {
    int fd;
    const char *text;
    size_t size;
    size_t step;
};

/* Writes `step` bytes at a time, lets them be read, and closes. */
static void *drip(void *arg) {
    struct source *s = arg;
    for (size_t at = 0; at < s->size; at += s->step) {
        size_t part = s->size - at < s->step ? s->size - at : s->step;
        EXPECT(weft_write(s->fd, s->text + at, part, soon()), part);
        weft_yield();
    }
    EXPECT(weft_close(s->fd), 0);
    return NULL;
}

static void expect_text(const char *got, const char *text) {
    if (strcmp(got, text) != 0) {
        weft_fatal("\"%s\" came, not \"%s\"", got, text);
    }
}

IO_TEST(lines_come_whole_however_they_were_cut) {
    static const char text[] = "one\r\ntwo\n\n\r\nthe fifth\rx\nlast";
    static const char *const lines[] = {"one", "two",          "",
                                        "",    "the fifth\rx", "last"};
    static const ssize_t taken[] = {5, 4, 1, 2, 12, 4};
    for (size_t step = 1; step < sizeof(text); step++) {
        int ends[2];
        char buffer[13]; /* just enough for the longest */
        char *line = NULL;
        struct weft_reader r;
        EXPECT(weft_pipe(ends), 0);
        struct source s = {ends[1], text, sizeof(text) - 1, step};
        struct weft_task *task = start(drip, &s);
        weft_reader_init(&r, ends[0], buffer, sizeof(buffer));
        for (int i = 0; i < 6; i++) {
            EXPECT(weft_reader_line(&r, &line, soon()), taken[i]);
            expect_text(line, lines[i]);
        }
        EXPECT(weft_reader_line(&r, &line, soon()), 0);
        EXPECT(finish(task), 0);
        EXPECT(weft_close(ends[0]), 0);
    }
}

IO_TEST(counted_bytes_and_pieces_may_alternate) {
    static const char text[] = "5:hello,11:hello,world,rest";
    for (size_t step = 1; step < sizeof(text); step++) {
        int ends[2];
        char buffer[16];
        char data[16] = "";
        char *piece = NULL;
        struct weft_reader r;
        EXPECT(weft_pipe(ends), 0);
        struct source s = {ends[1], text, sizeof(text) - 1, step};
        struct weft_task *task = start(drip, &s);
        weft_reader_init(&r, ends[0], buffer, sizeof(buffer));
        EXPECT(weft_reader_until(&r, ':', &piece, soon()), 2);
        EXPECT(memcmp(piece, "5:", 2), 0);
        EXPECT(weft_reader_exact(&r, data, 6, soon()), 6);
        EXPECT(memcmp(data, "hello,", 6), 0);
        EXPECT(weft_reader_until(&r, ':', &piece, soon()), 3);
        EXPECT(weft_reader_exact(&r, data, 12, soon()), 12);
        EXPECT(memcmp(data, "hello,world,", 12), 0);
        /* Too few: they are still there. */
        EXPECT(weft_reader_exact(&r, data, 5, soon()), -ENODATA);
        EXPECT(weft_reader_exact(&r, data, 0, soon()), 0);
        EXPECT(weft_reader_read(&r, data, 16, soon()), 4);
        EXPECT(memcmp(data, "rest", 4), 0);
        EXPECT(weft_reader_read(&r, data, 16, soon()), 0);
        EXPECT(weft_reader_until(&r, ':', &piece, soon()), 0);
        EXPECT(finish(task), 0);
        EXPECT(weft_close(ends[0]), 0);
    }
}

IO_TEST(what_does_not_fit_is_told_and_not_lost) {
    int ends[2];
    char buffer[8];
    char data[16];
    char *line = NULL;
    struct weft_reader r;
    EXPECT(weft_pipe(ends), 0);
    weft_reader_init(&r, ends[0], buffer, sizeof(buffer));
    EXPECT(weft_write(ends[1], "too long a line\n", 16, soon()), 16);
    EXPECT(weft_reader_line(&r, &line, soon()), -EMSGSIZE);
    EXPECT(weft_reader_exact(&r, data, 8, soon()), -EMSGSIZE);
    EXPECT(weft_reader_read(&r, data, 16, soon()), 7);
    EXPECT(memcmp(data, "too lon", 7), 0);
    /* A large one goes past the buffer. */
    EXPECT(weft_reader_read(&r, data, 16, soon()), 9);
    EXPECT(memcmp(data, "g a line\n", 9), 0);
    close_both(ends);
}

static struct weft_reader shared;

static void *read_line(void *arg) {
    char *line;
    return (void *)weft_reader_line(&shared, &line, soon());
}

IO_TEST(waiting_ends_by_deadline_cancel_and_close_and_may_go_on) {
    int ends[2];
    char buffer[64];
    char data[4];
    char *line = NULL;
    EXPECT(weft_pipe(ends), 0);
    weft_reader_init(&shared, ends[0], buffer, sizeof(buffer));
    EXPECT(weft_write(ends[1], "ab", 2, soon()), 2);
    uint64_t brief = weft_now() + 2 * WEFT_MS;
    EXPECT(weft_reader_line(&shared, &line, brief), -ETIMEDOUT);
    EXPECT(weft_reader_exact(&shared, data, 3, 0), -ETIMEDOUT);
    EXPECT(weft_reader_until(&shared, '\n', &line, 0), -ETIMEDOUT);
    struct weft_task *task = start(read_line, NULL);
    await_busy(ends[0], WEFT_READING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    EXPECT(weft_write(ends[1], "c\n", 2, soon()), 2);
    EXPECT(weft_reader_line(&shared, &line, soon()), 4);
    expect_text(line, "abc");
    EXPECT(weft_reader_read(&shared, data, 1, 0), -ETIMEDOUT);
    task = start(read_line, NULL);
    await_busy(ends[0], WEFT_READING);
    EXPECT(weft_close(ends[0]), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(weft_close(ends[1]), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_whole_however_they_were_cut),
        cmocka_unit_test(counted_bytes_and_pieces_may_alternate),
        cmocka_unit_test(what_does_not_fit_is_told_and_not_lost),
        cmocka_unit_test(
            waiting_ends_by_deadline_cancel_and_close_and_may_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
