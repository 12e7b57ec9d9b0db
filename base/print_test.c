/* SPDX-License-Identifier: MIT */
/* The formatter agrees with snprintf() where it says that it knows the
 * conversion, and keeps its promises about size, errno and single writes. */
#define _GNU_SOURCE
#include "weft/base/print.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Both formatters, the same text. A macro, so that the compiler checks the
 * arguments against the format twice. */
#define SAME(...)                                                              \
    do {                                                                       \
        char ours[200];                                                        \
        char libc[200];                                                        \
        int length = snprintf(libc, sizeof libc, __VA_ARGS__);                 \
        assert_int_equal(weft_format(ours, sizeof ours, __VA_ARGS__), length); \
        assert_string_equal(ours, libc);                                       \
    } while (0)

static void numbers_look_as_printf_writes_them(void **state) {
    SAME("plain text, 100%%");
    SAME("%d %d %d", 0, 7, -7);
    SAME("%d %d", INT_MAX, INT_MIN);
    SAME("%u %x", UINT_MAX, UINT_MAX);
    SAME("%ld %ld %lu %lx", LONG_MAX, LONG_MIN, ULONG_MAX, ULONG_MAX);
    SAME("%lld %llu", LLONG_MIN, ULLONG_MAX);
    SAME("%zu %zx", SIZE_MAX, (size_t)48879);
    SAME("[%5d] [%5d] [%2d]", 42, -42, 12345);
    SAME("[%05d] [%05d] [%08x] [%016lx]", 42, -42, 0xbeefu, 0xfeedul);
    SAME("[%c%c]", 'o', 'k');
    SAME("%p", (void *)0x7f0012345678);
}

static void strings_are_padded_on_the_right(void **state) {
    char buf[64];
    SAME("%s and %s", "one", "");
    weft_format(buf, sizeof buf, "[%6s] [%2s]", "task", "task");
    assert_string_equal(buf, "[task  ] [task]");
    const char *volatile nothing = NULL; /* volatile: gcc warns otherwise */
    weft_format(buf, sizeof buf, "%s", nothing);
    assert_string_equal(buf, "(null)");
}

static void what_does_not_fit_is_dropped(void **state) {
    char buf[8];
    for (size_t size = 1; size <= sizeof buf; size++) {
        memset(buf, '#', sizeof buf);
        size_t length = weft_format(buf, size, "%s=%d", "workers", 100);
        assert_int_equal(length, size - 1);
        assert_memory_equal(buf, "workers=", length);
        assert_int_equal(buf[length], '\0');
        for (size_t i = size; i < sizeof buf; i++) {
            assert_int_equal(buf[i], '#'); /* nothing past the end */
        }
    }
}

static void a_lone_percent_sign_at_the_end_ends_the_text(void **state) {
    static const char *const formats[] = {"ten%", "ten%0", "ten%5", "ten%l"};
    /* Through a pointer: the compiler need not check these. */
    size_t (*format)(char *, size_t, const char *, ...) = weft_format;
    char buf[16];
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        assert_int_equal(format(buf, sizeof buf, formats[i]), 3);
        assert_string_equal(buf, "ten");
    }
}

static void a_line_leaves_in_one_write(void **state) {
    int pair[2];
    char got[2048];
    char word[200];
    /* Records keep the bounds of each write. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    weft_print(pair[0], "%s %s %d\n", word, word, 5);
    weft_print(pair[0], "next\n");
    assert_int_equal(recv(pair[1], got, sizeof got, 0), 2 * 199 + 4);
    assert_int_equal(recv(pair[1], got, sizeof got, 0), 5);

    /* The longest line: 1,023 bytes. */
    char big[4096];
    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    weft_print(pair[0], "%s", big);
    assert_int_equal(recv(pair[1], got, sizeof got, 0), 1023);
    close(pair[0]);
    close(pair[1]);
}

static void *read_all(void *arg) {
    char buf[512];
    size_t total = 0;
    ssize_t n;
    while ((n = read(*(int *)arg, buf, sizeof buf)) > 0) {
        total += (size_t)n;
    }
    return (void *)(uintptr_t)total;
}

static void a_full_pipe_loses_nothing(void **state) {
    enum { LINES = 2000 };
    int ends[2];
    pthread_t reader;
    void *total;
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096); /* the writer has to wait */
    assert_int_equal(pthread_create(&reader, NULL, read_all, &ends[0]), 0);
    for (int i = 0; i < LINES; i++) {
        weft_print(ends[1], "line %06d\n", i);
    }
    close(ends[1]);
    assert_int_equal(pthread_join(reader, &total), 0);
    assert_int_equal((uintptr_t)total, LINES * 12);
    close(ends[0]);
}

static void errno_is_as_before(void **state) {
    errno = ENOTTY;
    weft_print(-1, "nowhere\n"); /* EBADF inside */
    assert_int_equal(errno, ENOTTY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_look_as_printf_writes_them),
        cmocka_unit_test(strings_are_padded_on_the_right),
        cmocka_unit_test(what_does_not_fit_is_dropped),
        cmocka_unit_test(a_lone_percent_sign_at_the_end_ends_the_text),
        cmocka_unit_test(a_line_leaves_in_one_write),
        cmocka_unit_test(a_full_pipe_loses_nothing),
        cmocka_unit_test(errno_is_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
