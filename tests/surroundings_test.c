/* SPDX-License-Identifier: MIT */
/* What a process may find around it: limits that are used up, a kernel that
 * forbids what it knows, memory that is locked, a runtime that was here before.
 * Each test in a child, since none of it can be taken back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/compiler.h"
#include "weft/io/io.h"
#include "weft/io/pipe.h"

enum { GOOD, BAD, CANNOT };

/* What it finds; ends the child. */
static void expect(bool good) {
    if (!good) {
        _exit(BAD);
    }
}

static const struct weft_config config = {
    .workers = 2, .quantum_ns = WEFT_MS, .shutdown_grace_ns = 20 * WEFT_S};

/* Runs `fn` as the first task of a child's runtime; `before` comes first. */
static void in_a_child_with(const struct weft_config *c, void (*before)(void),
                            void (*fn)(void *)) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(30); /* where it stands still */
        before();
        expect(weft_run(c, fn, NULL) == 0);
        _exit(GOOD);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), GOOD);
}

static void in_a_child(void (*before)(void), void (*fn)(void *)) {
    in_a_child_with(&config, before, fn);
}

static void as_it_is(void) {
}

static void as_it_was(void *arg) {
    (void)arg;
}

/* --- what is to work everywhere ------------------------------------------ */

static int ends[2];

static void write_later(void *arg) {
    (void)arg;
    weft_sleep(5 * WEFT_MS);
    expect(weft_write(ends[1], "x", 1, WEFT_FOREVER) == 1);
}

/* A task waits for a descriptor, and hears of it. */
static void hear(void) {
    char byte;
    expect(weft_go(write_later, NULL) == 0);
    expect(weft_read(ends[0], &byte, 1, weft_now() + 5 * WEFT_S) == 1);
}

static void talk(void *arg) {
    (void)arg;
    expect(weft_pipe(ends) == 0);
    hear();
    expect(weft_close(ends[0]) == 0 && weft_close(ends[1]) == 0);
}

static _Atomic bool enough;

static void compute(void *arg) {
    (void)arg;
    while (!atomic_load_explicit(&enough, memory_order_relaxed)) {
        STORM_CHECK();
    }
}

/* Who sleeps gets on beside many that compute. */
static void sleep_beside_hogs(void *arg) {
    (void)arg;
    for (int i = 0; i < 8; i++) {
        expect(weft_go(compute, NULL) == 0);
    }
    for (int i = 0; i < 20; i++) {
        weft_sleep(WEFT_MS);
    }
    atomic_store_explicit(&enough, true, memory_order_relaxed);
}

enum { NAPS = 12 };

static _Atomic uint64_t steps; /* of who computes */

static void step(void *arg) {
    (void)arg;
    while (!atomic_load_explicit(&enough, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
        STORM_CHECK();
    }
}

static void work_for(uint64_t ns) {
    struct timespec ts;
    uint64_t now, end = 0;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        now = (uint64_t)ts.tv_sec * WEFT_S + (uint64_t)ts.tv_nsec;
        end = end == 0 ? now + ns : end;
    } while (now < end);
}

/* Another has the only processor while this task sleeps in the kernel, which it
 * has told nobody, and its call is not cut short: one may be by a signal that
 * was on its way when it began, and one by an alarm. Between naps it computes
 * for `ns`, as one that is no hog or is one. */
static void nap_beside_another(uint64_t ns) {
    struct weft_metrics m;
    int cut = 0, naps = 0;
    expect(weft_go(step, NULL) == 0);
    for (int i = 0; i < NAPS; i++) {
        struct timespec ts = {.tv_nsec = 20 * 1000 * 1000};
        work_for(ns);
        uint64_t before = atomic_load_explicit(&steps, memory_order_relaxed);
        do { /* the other may have no CPU for a while */
            naps++;
            cut += nanosleep(&ts, NULL) != 0;
        } while (atomic_load_explicit(&steps, memory_order_relaxed) == before);
        weft_yield();
    }
    weft_metrics_read(&m);
    atomic_store_explicit(&enough, true, memory_order_relaxed);
    expect(cut <= naps / 2);
    expect(m.retaken >= NAPS / 2);
}

static void nap_lightly(void *arg) {
    (void)arg;
    nap_beside_another(0);
}

static void nap_as_a_hog(void *arg) {
    (void)arg;
    nap_beside_another(5 * WEFT_MS);
}

/* --- the surroundings ---------------------------------------------------- */

/* From now on the kernel answers `number` with `error`, in all threads. */
static bool forbid(uint32_t number, uint32_t error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

static void old_container(void) {
    if (!forbid(SYS_epoll_pwait2, EPERM)) {
        _exit(CANNOT);
    }
}

static void a_container_that_is_older_than_a_call_does_no_harm(void **state) {
    (void)state;
    in_a_child(old_container, talk);
}

static void no_new_files(void) {
    if (!forbid(SYS_openat, EMFILE)) {
        _exit(CANNOT);
    }
}

static void no_proc(void) {
    if (chroot("/usr") != 0 || chdir("/") != 0) {
        _exit(CANNOT);
    }
}

/* The files in /proc that tell whether a thread sleeps are not to be had. */
static void sleepers_are_known_by_their_clocks_where_nothing_else_tells(
    void **state) {
    static void (*const kBefore[])(void) = {as_it_is, no_new_files, no_proc};
    struct weft_config one = config;
    (void)state;
    storm_needs_preemption();
    one.workers = 1;
    for (int i = 0; i < 3; i++) {
        in_a_child_with(&one, kBefore[i], nap_lightly);
        in_a_child_with(&one, kBefore[i], nap_as_a_hog);
    }
}

/* From the first limit on with which a runtime begins at all: its threads have
 * none left for their files in /proc. */
static void begin_with_few_files(void) {
    struct weft_config one = config;
    rlim_t files = 3;
    int result;
    one.workers = 1;
    do {
        struct rlimit limit = {files, files + 100};
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
            _exit(CANNOT);
        }
        limit.rlim_cur = files;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            _exit(CANNOT);
        }
        result = weft_run(&one, nap_lightly, NULL);
        expect(result == 0 || result == -EMFILE);
        files++;
    } while (result != 0);
    expect(files > 4 && files < 100);
    _exit(GOOD);
}

static void with_few_descriptors_a_runtime_works_or_does_not_begin(
    void **state) {
    (void)state;
    storm_needs_preemption();
    in_a_child(begin_with_few_files, as_it_was);
}

static void no_queued_signals(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_SIGPENDING, &none) != 0) {
        _exit(CANNOT);
    }
}

static void tasks_are_preempted_where_no_signal_can_be_queued(void **state) {
    (void)state;
    if (!storm_has_signals()) {
        skip();
    }
    in_a_child(no_queued_signals, sleep_beside_hogs);
}

static void *nothing(void *arg) {
    return arg;
}

/* Stacks of a size that there are none of yet, in locked memory. */
static void lock_memory(void *arg) {
    static const struct weft_task_options options = {.stack_size = 128 << 10};
    size_t enough_memory = 4 << 20;
    struct weft_task *tasks[4];
    void *map;
    if (mlockall(MCL_FUTURE | MCL_ONFAULT) != 0 ||
        (map = mmap(NULL, enough_memory, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0)) == MAP_FAILED) {
        _exit(CANNOT);
    }
    munmap(map, enough_memory);
    for (int i = 0; i < 4; i++) {
        expect(weft_spawn(&tasks[i], nothing, arg, &options) == 0);
    }
    for (int i = 0; i < 4; i++) {
        expect(weft_join(tasks[i], NULL) == 0);
    }
}

static void memory_may_be_locked_while_tasks_are_made(void **state) {
    (void)state;
    in_a_child(as_it_is, lock_memory);
}

/* The first key of all is somebody else's. */
static void use_up_keys(void) {
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) {
        expect(pthread_setspecific(key, NULL) == 0);
    }
}

static void look_at_keys(void *arg) {
    (void)arg;
    for (pthread_key_t key = 0; key < 1024; key++) {
        expect(pthread_getspecific(key) == NULL);
    }
}

static void without_a_key_to_be_had_no_other_is_used(void **state) {
    (void)state;
    if (WEFT_ASAN || WEFT_TSAN) {
        skip(); /* the sanitizers have keys of their own */
    }
    in_a_child(use_up_keys, look_at_keys);
}

/* More than the runtime's threads have of stack of their own. */
static _Thread_local char large[1 << 20];

static void use_large(void *arg) {
    (void)arg;
    for (size_t i = 0; i < sizeof large; i += 4096) {
        large[i] = 1;
    }
    weft_sleep(WEFT_MS);
}

static void a_program_may_have_large_thread_locals(void **state) {
    (void)state;
    in_a_child(as_it_is, use_large);
}

static void close_in_a_child(void *arg) {
    int status = -1;
    (void)arg;
    expect(weft_pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(weft_close(ends[0]) == 0 && weft_close(ends[1]) == 0 &&
                      fcntl(ends[0], F_GETFD) < 0 && weft_pipe(ends) == -EPERM
                  ? GOOD
                  : BAD);
    }
    expect(waitpid(child, &status, 0) == child && status == GOOD);
    hear();
}

static void a_child_that_closes_takes_nothing_from_its_parent(void **state) {
    (void)state;
    in_a_child(as_it_is, close_in_a_child);
}

static void leave_one_behind(void *arg) {
    (void)arg;
    weft_go(compute, NULL);
    weft_sleep(WEFT_MS);
}

static void leave_a_runtime_behind(void) {
    struct weft_config hasty = config;
    hasty.shutdown_grace_ns = 20 * WEFT_MS;
    expect(weft_run(&hasty, leave_one_behind, NULL) == -EBUSY);
}

static void descriptors_are_the_runtimes_that_runs(void **state) {
    (void)state;
    if (WEFT_TSAN) {
        skip(); /* it reports the threads that are left behind */
    }
    in_a_child(leave_a_runtime_behind, talk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_that_is_older_than_a_call_does_no_harm),
        cmocka_unit_test(tasks_are_preempted_where_no_signal_can_be_queued),
        cmocka_unit_test(
            sleepers_are_known_by_their_clocks_where_nothing_else_tells),
        cmocka_unit_test(
            with_few_descriptors_a_runtime_works_or_does_not_begin),
        cmocka_unit_test(memory_may_be_locked_while_tasks_are_made),
        cmocka_unit_test(without_a_key_to_be_had_no_other_is_used),
        cmocka_unit_test(a_program_may_have_large_thread_locals),
        cmocka_unit_test(a_child_that_closes_takes_nothing_from_its_parent),
        cmocka_unit_test(descriptors_are_the_runtimes_that_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
