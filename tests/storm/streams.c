/* SPDX-License-Identifier: MIT */
/* Streams and text: one FILE that all print to, regions under flockfile(),
 * streams in memory, numbers to text and back. */
#define _GNU_SOURCE /* fopencookie() */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

enum { LINE = 25 }; /* "<000013:0123456789abcde>\n" */

/* Takes a stream apart into lines, under the stream's own lock, and checks that
 * each is one task's. */
struct sink {
    FILE *file;
    char line[LINE + 1];
    int length;
    uint64_t lines;
    char buffer[8192]; /* the stream's: its owner for ThreadSanitizer is who
                        * opens it, not the task that prints first */
};

static void check_line(const struct sink *sink) {
    int index;
    char text[16];
    WEFT_CHECK_OP(sink->length, ==, LINE);
    WEFT_CHECK_OP(sscanf(sink->line, "<%06d:%15[0-9a-e]>", &index, text), ==,
                  2);
    WEFT_CHECK(strcmp(text, "0123456789abcde") == 0);
}

static ssize_t swallow(void *cookie, const char *text, size_t size) {
    /* For ThreadSanitizer alone, which does not see the stream's lock. */
    static pthread_mutex_t seen = PTHREAD_MUTEX_INITIALIZER;
    struct sink *sink = cookie;
    if (WEFT_TSAN) {
        pthread_mutex_lock(&seen);
    }
    for (size_t i = 0; i < size; i++) {
        WEFT_CHECK_OP(sink->length, <, LINE);
        sink->line[sink->length++] = text[i];
        if (text[i] == '\n') {
            check_line(sink);
            sink->length = 0;
            sink->lines++;
        }
    }
    if (WEFT_TSAN) {
        pthread_mutex_unlock(&seen);
    }
    return (ssize_t)size;
}

static bool open_sink(struct sink *sink) {
    memset(sink, 0, sizeof *sink);
    sink->file =
        fopencookie(sink, "w", (cookie_io_functions_t){.write = swallow});
    return sink->file != NULL &&
           setvbuf(sink->file, sink->buffer, _IOFBF, sizeof sink->buffer) == 0;
}

static void close_sink(struct sink *sink, uint64_t lines) {
    WEFT_CHECK_OP(fclose(sink->file), ==, 0);
    WEFT_CHECK_OP(sink->length, ==, 0);
    WEFT_CHECK_OP(sink->lines, ==, lines);
}

static struct sink printed, composed;

static bool open_printed(void) {
    return open_sink(&printed);
}

static void close_printed(uint64_t rounds) {
    close_sink(&printed, rounds);
}

static void print_line(struct storm_task *self) {
    WEFT_CHECK_OP(
        fprintf(printed.file, "<%06u:%s>\n", self->index, "0123456789abcde"),
        ==, LINE);
}

STORM_KIND(shared_file, print_line, open_printed, close_printed);

static bool open_composed(void) {
    return open_sink(&composed);
}

static void close_composed(uint64_t rounds) {
    close_sink(&composed, rounds);
}

/* A line in pieces; the lock is the thread's, and is taken again inside. (Not
 * putc_unlocked(): ThreadSanitizer does not know what flockfile() does.) */
static void compose_line(struct storm_task *self) {
    FILE *file = composed.file;
    flockfile(file);
    fprintf(file, "<%06u", self->index);
    fputc(':', file);
    flockfile(file);
    for (const char *c = "0123456789abcde"; *c != '\0'; c++) {
        fputc(*c, file);
    }
    funlockfile(file);
    storm_work(200);
    fputs(">\n", file);
    funlockfile(file);
}

STORM_KIND(flockfile, compose_line, open_composed, close_composed);

static void write_and_read_memory(struct storm_task *self) {
    char *text = NULL;
    size_t size = 0;
    char line[64];
    FILE *out = open_memstream(&text, &size);
    WEFT_CHECK_OP(out, !=, NULL);
    for (unsigned i = 0; i < 40; i++) {
        fprintf(out, "%u %u\n", self->index, i);
    }
    WEFT_CHECK_OP(fclose(out), ==, 0);
    FILE *in = fmemopen(text, size, "r");
    WEFT_CHECK_OP(in, !=, NULL);
    for (unsigned i = 0; i < 40; i++) {
        unsigned index, number;
        WEFT_CHECK_OP(fgets(line, sizeof line, in), !=, NULL);
        WEFT_CHECK_OP(sscanf(line, "%u %u", &index, &number), ==, 2);
        WEFT_CHECK_OP(index, ==, self->index);
        WEFT_CHECK_OP(number, ==, i);
    }
    WEFT_CHECK_OP(fgetc(in), ==, EOF);
    fclose(in);
    free(text);
}

STORM_KIND(memory_stream, write_and_read_memory, NULL, NULL);

static void format_and_parse(struct storm_task *self) {
    char text[128];
    double d = ldexp((double)storm_random(self) + self->index / 7.0,
                     (int)(storm_random(self) % 200) - 100);
    long double l = (long double)d * 3;
    snprintf(text, sizeof text, "%.17g", d);
    WEFT_CHECK(strtod(text, NULL) == d);
    snprintf(text, sizeof text, "%a", d);
    WEFT_CHECK(strtod(text, NULL) == d);
    snprintf(text, sizeof text, "%.40Lg", l);
    WEFT_CHECK(strtold(text, NULL) == l);
    long long n = (long long)self->rounds << 20 | self->index;
    snprintf(text, sizeof text, "%+lld %#llx", n, (unsigned long long)n);
    char *end;
    WEFT_CHECK_OP(strtoll(text, &end, 10), ==, n);
    WEFT_CHECK_OP(strtoll(end, NULL, 0), ==, n);
}

STORM_KIND(snprintf_strtod, format_and_parse, NULL, NULL);
