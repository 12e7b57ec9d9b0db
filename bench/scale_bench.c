/* SPDX-License-Identifier: MIT */
/* Many at once: a million parked tasks, a million sleepers, 10,000 connections
 * that say nothing. Each row prints lines "NAME VALUE UNIT", as the programs in
 * peers/ do for the same rows.
 *
 *   parked       bytes resident for each of 1 M tasks that wait, and what it
 *                took to make them all and to wake and end them all (2 workers)
 *   sleepers     1 M tasks with deadlines a microsecond apart, in mixed order:
 *                how late they ran, the CPU of it all, and that from when all
 *                were asleep
 *   cold         a word of each of 1 M pages that are laid out like stacks: the
 *                first touch of each, by one thread; then in mixed order, one
 *                after the other, and 32 at a time
 *   stacks       1 M stacks with guards made and touched by two threads that do
 *                nothing else: what of parked_make is the kernel's
 *   lines        lines of each of 1 M records, written three times, in the
 *                order of a birth, a run and a join: one line; one in memory
 *                that is new; two of three; two that lie among their like
 *   idle_conns   how often any thread of the process woke in 5 s, and its CPU,
 *                with 10,000 connections whose tasks wait for a request
 *
 * Surprising would be: more than 4,352 bytes for a parked task (a page and its
 * record); a sleeper 20 ms late; a single wake-up with idle connections.
 *
 * What bounds the making of parked tasks (row `stacks`): a stack of its own is a
 * page, which the kernel clears, charges and maps, and a guard. Two threads that
 * take a million stacks and do nothing else need 2.29 us each, 3.85 us of CPU;
 * all of parked_make took 2.46 in the same minutes, and Go's 2.33, whose tasks
 * need two thirds of a page and no guard. So 93 parts of 100 are the kernel's. On
 * a machine that is a guest whose free pages go back to the host, a first touch
 * (cold_touch) varies by more than all the rest: what was made must not be
 * compared across windows.
 *
 * What bounds the sleepers (row `cold`): each of a million stacks has a page of
 * its own, 80 KB from the next. To read a word of one after the other in mixed
 * order takes 0.5 us each where an address is known only when the last word is
 * there, and a ninth of that where all are known, 32 at a time. All wake-ups
 * together take 1.1 s of CPU: two workers keep up, one does not quite, so where
 * the kernel leaves both on one CPU for a while, the p99 is 0.3 s (one run in
 * four or five). To make the million is page faults and guards, 4 s of CPU:
 * half of what Tokio's tasks without stacks need in all is out of reach.
 *
 * What bounds a million births, runs and joins (row `lines`): their lines come
 * from memory each time. One line of each, without gaps, is 11 to 12 ns for the
 * three; two among their like 18 to 25; two of three that lie side by side 42
 * to 52, for what is after a gap is not fetched ahead. Hence sched/record.h. In
 * new memory, which the kernel fills with zeroes, 2 MiB at a time, one line is
 * 17 to 19 (`lines_1_new`); 185 where a hypervisor had to find it first.
 *
 *   bazel run -c opt //bench:scale_bench -- parked sleepers cold lines */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/arch/stack.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/io/io.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sync/wait_group.h"

enum { MILLION = 1000000, CONNECTIONS = 10000, IDLE_SECONDS = 5 };

static struct weft_wait_group gate, all;
static atomic_int waiting;
static uint64_t first_deadline;
static uint64_t late[MILLION];

static void show(const char *name, double value, const char *unit) {
    printf("%s %.4f %s\n", name, value, unit);
    fflush(stdout);
}

static double resident(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    WEFT_CHECK(f != NULL && fscanf(f, "%*d %ld", &pages) == 1);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void wait_at_gate(void *arg) {
    (void)arg;
    atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    weft_wait_group_wait(&gate);
    weft_wait_group_done(&all);
}

/* Spawns a million and returns when all wait. */
static void make_million(void) {
    atomic_store_explicit(&waiting, 0, memory_order_relaxed);
    weft_wait_group_add(&gate, 1);
    weft_wait_group_add(&all, MILLION);
    for (int i = 0; i < MILLION; i++) {
        WEFT_CHECK(weft_go(wait_at_gate, NULL) == 0);
    }
    while (atomic_load_explicit(&waiting, memory_order_relaxed) < MILLION) {
        weft_yield();
    }
}

static void parked(void *arg) {
    (void)arg;
    double before = resident();
    uint64_t begin = weft_clock_now();
    make_million();
    double made = (double)(weft_clock_now() - begin);
    double bytes = resident() - before;
    begin = weft_clock_now();
    weft_wait_group_done(&gate);
    weft_wait_group_wait(&all);
    double woken = (double)(weft_clock_now() - begin);
    show("parked_bytes", bytes / MILLION, "bytes");
    show("parked_make", made / MILLION, "ns");
    show("parked_wake", woken / MILLION, "ns");
}

static void sleep_once(void *arg) {
    uint64_t i = (uint64_t)(intptr_t)arg;
    uint64_t deadline = first_deadline + i * 611953 % MILLION * WEFT_US;
    atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    WEFT_CHECK(weft_sleep_until(deadline) == 0);
    late[i] = weft_clock_now() - deadline;
    weft_wait_group_done(&all);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sleepers(void *arg) {
    (void)arg;
    double before = cpu_seconds();
    atomic_store_explicit(&waiting, 0, memory_order_relaxed);
    first_deadline = weft_clock_now() + 12 * WEFT_S;
    weft_wait_group_add(&all, MILLION);
    for (intptr_t i = 0; i < MILLION; i++) {
        WEFT_CHECK(weft_go(sleep_once, (void *)i) == 0);
    }
    while (atomic_load_explicit(&waiting, memory_order_relaxed) < MILLION) {
        weft_sleep(10 * WEFT_MS);
    }
    if (weft_clock_now() > first_deadline) {
        fprintf(stderr, "the first deadline came before the last task\n");
        exit(1);
    }
    double asleep = cpu_seconds();
    weft_wait_group_wait(&all);
    double after = cpu_seconds();
    qsort(late, MILLION, sizeof late[0], by_value);
    show("sleepers_p50", (double)late[MILLION / 2] / 1e6, "ms");
    show("sleepers_p99", (double)late[MILLION / 100 * 99] / 1e6, "ms");
    show("sleepers_cpu", after - before, "s");
    show("sleepers_fire_cpu", after - asleep, "s");
}

static void cold(void *arg) {
    (void)arg;
    enum { STRIDE = 80 << 10, AHEAD = 32 };
    static char *at[MILLION];
    uint64_t sum = 0;
    char *low = mmap(NULL, (size_t)STRIDE * MILLION, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    WEFT_CHECK(low != MAP_FAILED);
    madvise(low, (size_t)STRIDE * MILLION, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < MILLION; i++) {
        at[i] = low + (i + 1) * STRIDE - 512 - i % 16 * 64;
    }
    uint64_t begin = weft_clock_now();
    for (size_t i = 0; i < MILLION; i++) {
        *(volatile uint64_t *)(void *)at[i] = 0;
    }
    show("cold_touch", (double)(weft_clock_now() - begin) / MILLION, "ns");
    for (size_t i = 0; i < MILLION; i++) {
        at[i * 611953 % MILLION] = low + (i + 1) * STRIDE - 512 - i % 16 * 64;
    }
    begin = weft_clock_now();
    for (int i = 0; i < MILLION; i++) {
        sum += *(volatile uint64_t *)(void *)(at[i] + sum); /* it is 0 */
    }
    show("cold_one_by_one", (double)(weft_clock_now() - begin) / MILLION, "ns");
    begin = weft_clock_now();
    for (int i = 0; i < MILLION; i += AHEAD) {
        for (int k = i; k < i + AHEAD && k < MILLION; k++) {
            (void)*(volatile uint64_t *)(void *)at[k];
        }
        atomic_thread_fence(memory_order_seq_cst); /* no further ahead */
    }
    show("cold_together", (double)(weft_clock_now() - begin) / MILLION, "ns");
    munmap(low, (size_t)STRIDE * MILLION);
}

/* Half a million stacks, as the runtime takes them. */
static void *take_stacks(void *pool) {
    enum { BATCH = 32 };
    struct weft_stack taken[BATCH];
    for (int i = 0; i < MILLION / 2;) {
        int got = weft_stack_take_batch(pool, 0, taken, BATCH);
        WEFT_CHECK(got > 0);
        for (int k = 0; k < got; k++) {
            char *top = taken[k].low + taken[k].size - sizeof(uint64_t);
            *(volatile uint64_t *)(void *)top = 0;
        }
        i += got;
    }
    return NULL;
}

static void stacks(void *arg) {
    struct weft_stack_pool *pool;
    pthread_t other;
    (void)arg;
    WEFT_CHECK(weft_stack_pool_new(&pool, NULL) == 0);
    double before = cpu_seconds();
    uint64_t begin = weft_clock_now();
    WEFT_CHECK(pthread_create(&other, NULL, take_stacks, pool) == 0);
    weft_preempt_disable(); /* the pool has locks */
    take_stacks(pool);
    weft_preempt_enable();
    pthread_join(other, NULL);
    show("stacks_make", (double)(weft_clock_now() - begin) / MILLION, "ns");
    show("stacks_make_cpu", (cpu_seconds() - before) * WEFT_S / MILLION, "ns");
    weft_stack_pool_free(pool);
}

/* Passes over a million records, `stride` bytes from one to the next, of which
 * `lines` lines are used, `apart` bytes from one to the next. Returns what they
 * took the last of so many times: the first, when the memory is new, or the
 * second. */
static double pass_thrice(size_t stride, size_t apart, int lines, int times) {
    enum { HUGE = 2 << 20 };
    size_t size = (lines - 1) * apart + (MILLION + 1) * stride;
    static char *made[MILLION];
    uint64_t begin = 0;
    char *memory = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    WEFT_CHECK(memory != MAP_FAILED);
    char *first = memory + (HUGE - (uintptr_t)memory % HUGE) % HUGE;
    madvise(first, size, MADV_HUGEPAGE);
    for (int time = 0; time < times; time++) {
        begin = weft_clock_now();
        for (int pass = 0; pass < 3; pass++) {
            for (size_t i = 0; i < MILLION; i++) {
                char *at = pass == 0 ? first + i * stride : made[i];
                made[i] = at;
                for (int line = 0; line < lines; line++) {
                    for (int word = 0; word < 8; word += pass == 0 ? 1 : 3) {
                        ((volatile uint64_t *)(void *)at)[word] = i;
                    }
                    at += apart;
                }
            }
        }
    }
    double took = (double)(weft_clock_now() - begin);
    munmap(memory, size + HUGE);
    return took / MILLION;
}

static void lines(void *arg) {
    enum { APART = MILLION * 64 };
    (void)arg;
    show("lines_1", pass_thrice(64, APART, 1, 2), "ns");
    show("lines_1_new", pass_thrice(64, APART, 1, 1), "ns");
    show("lines_2_of_3", pass_thrice(192, 64, 2, 2), "ns");
    show("lines_2_apart", pass_thrice(64, APART, 2, 2), "ns");
}

/* How often the threads of `pid` gave the CPU up to wait, all in all. */
static long waits_of(pid_t pid) {
    char path[300];
    long total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    WEFT_CHECK(threads != NULL);
    for (struct dirent *e; (e = readdir(threads)) != NULL;) {
        char line[128];
        long count;
        snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid,
                 e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1) {
                total += count;
            }
        }
        if (f != NULL) {
            fclose(f);
        }
    }
    closedir(threads);
    return total;
}

/* CPU time of `pid` in clock ticks. */
static long ticks_of(pid_t pid) {
    char path[64];
    long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    WEFT_CHECK(f != NULL);
    int found = fscanf(f,
                       "%*d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                       "%ld %ld",
                       &user, &kernel);
    fclose(f);
    return found == 2 ? user + kernel : 0;
}

/* The other ends live in a child, which also looks on: the runtime that is
 * watched has then nothing of its own to do. */
static void watch(int port, pid_t server) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        WEFT_CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    }
    sleep(2);
    long waits = waits_of(server);
    long ticks = ticks_of(server);
    sleep(IDLE_SECONDS);
    show("idle_conns_wakes", (double)(waits_of(server) - waits), "wake-ups");
    show(
        "idle_conns_cpu",
        (double)(ticks_of(server) - ticks) * 1e3 / (double)sysconf(_SC_CLK_TCK),
        "ms");
}

static void serve(void *arg) {
    int fd = (int)(intptr_t)arg;
    char byte;
    while (weft_read(fd, &byte, 1, WEFT_FOREVER) > 0) {
    }
    weft_close(fd);
    weft_wait_group_done(&all);
}

static void idle_conns(void *arg) {
    (void)arg;
    int listener = weft_listen("127.0.0.1:0", 0);
    WEFT_CHECK(listener >= 0);
    int port = weft_local_port(listener);
    pid_t server = getpid();
    pid_t child = fork();
    if (child == 0) {
        watch(port, server);
        _exit(0);
    }
    weft_wait_group_add(&all, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = weft_accept(listener, NULL, WEFT_FOREVER);
        WEFT_CHECK(fd >= 0);
        WEFT_CHECK(weft_go(serve, (void *)(intptr_t)fd) == 0);
    }
    weft_wait_group_wait(&all);
    weft_close(listener);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void *);
    } rows[] = {
        {"parked", parked},
        {"sleepers", sleepers},
        {"cold", cold},
        {"stacks", stacks},
        {"lines", lines},
        {"idle_conns", idle_conns},
    };
    struct weft_config config = {.workers = 2};
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 1; i < argc; i++) {
        size_t row = 0;
        while (row < sizeof rows / sizeof rows[0] &&
               strcmp(argv[i], rows[row].name) != 0) {
            row++;
        }
        if (row == sizeof rows / sizeof rows[0]) {
            fprintf(stderr, "scale_bench: no row %s\n", argv[i]);
            return 2;
        }
        WEFT_CHECK(weft_run(&config, rows[row].run, NULL) == 0);
    }
    return 0;
}
