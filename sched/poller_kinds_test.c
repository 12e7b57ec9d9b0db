/* SPDX-License-Identifier: MIT */
/* What is a backend's own business: which one there is, threads that end with
 * their registrations, rings that are full, files that are let go of. Each test
 * is run on both, so that they agree. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/sched/poller.h"

#define MANY 16

struct fixture {
    struct weft_poller poller;
    enum weft_poller_kind kind; /* what was asked for */
    int ends[2];                /* a pipe: read here, write there */
    struct weft_descriptor *reader, *writer;
};

static _Alignas(8) char alice[8];

/* Is io_uring to be had, and new enough? What the poller says of itself is what
 * is tested. */
static bool uring_is_here(void) {
    struct weft_poller poller;
    assert_int_equal(weft_poller_init(&poller, WEFT_POLLER_URING), 0);
    bool here = weft_poller_kind(&poller) == WEFT_POLLER_URING;
    weft_poller_fini(&poller);
    return here;
}

static int set_up(void **state, enum weft_poller_kind kind) {
    struct fixture *f = aligned_alloc(_Alignof(struct fixture), sizeof(*f));
    assert_non_null(f);
    f->kind = kind;
    assert_int_equal(weft_poller_init(&f->poller, kind), 0);
    assert_int_equal(pipe2(f->ends, O_NONBLOCK | O_CLOEXEC), 0);
    *state = f;
    return 0;
}

static int set_up_epoll(void **state) {
    return set_up(state, WEFT_POLLER_EPOLL);
}

static int set_up_uring(void **state) {
    return set_up(state, WEFT_POLLER_URING);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    weft_poller_fini(&f->poller);
    close(f->ends[0]);
    close(f->ends[1]);
    free(f);
    return 0;
}

static void *add_both(void *arg) {
    struct fixture *f = arg;
    struct weft_descriptor **records[2] = {&f->reader, &f->writer};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            weft_poller_add(&f->poller, f->ends[i], WEFT_DESCRIPTOR_PIPE), 0);
        *records[i] = weft_poller_find(&f->poller, f->ends[i]);
    }
    return NULL;
}

static void put(int fd) {
    assert_int_equal(write(fd, "x", 1), 1);
}

static void close_end(struct weft_descriptor *d) {
    void *waiters[WEFT_DIRECTIONS];
    assert_int_equal(weft_poller_close(d, waiters), 0);
    assert_true(weft_poller_leave(d, WEFT_USING));
}

/* Arms alice to read from `d`, whatever edges have come before. */
static void arm_alice(struct weft_descriptor *d) {
    char bytes[4096];
    do {
        while (read(d->fd, bytes, sizeof(bytes)) > 0) {
        }
    } while (weft_poller_arm(d, WEFT_READING, alice) == -EALREADY);
}

/* Sleeps until alice is handed back. */
static void await_alice(struct fixture *f) {
    void *waiters[MANY];
    int count = 0;
    while (count == 0) {
        count = weft_poller_wait(&f->poller, WEFT_FOREVER, waiters, MANY);
    }
    assert_int_equal(count, 1);
    assert_ptr_equal(waiters[0], alice);
}

static void it_is_what_was_asked_for(void **state) {
    struct fixture *f = *state;
    if (f->kind == WEFT_POLLER_URING && !uring_is_here()) {
        skip();
    }
    assert_int_equal(weft_poller_kind(&f->poller), f->kind);
}

static void the_environment_chooses_where_the_program_does_not(void **state) {
    struct fixture *f = *state;
    const char *name = f->kind == WEFT_POLLER_URING ? "uring" : "epoll";
    assert_int_equal(setenv("WEFT_POLLER", name, 1), 0);
    assert_int_equal(weft_poller_choose(WEFT_POLLER_AUTO), f->kind);
    assert_int_equal(setenv("WEFT_POLLER", "select", 1), 0);
    assert_int_equal(weft_poller_choose(f->kind), f->kind);
    assert_int_equal(weft_poller_choose(WEFT_POLLER_AUTO), WEFT_POLLER_EPOLL);
    assert_int_equal(unsetenv("WEFT_POLLER"), 0);
    assert_int_equal(weft_poller_choose(WEFT_POLLER_AUTO), WEFT_POLLER_EPOLL);
}

/* From now on io_uring_setup(2) fails in this process, as in many containers.
 * False: this cannot be done here. */
static bool forbid_uring(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { GOOD = 0, BAD = 1, CANNOT = 2 };

static int judge_forbidden(struct fixture *f) {
    struct weft_poller poller;
    if (!forbid_uring()) {
        return CANNOT;
    }
    return weft_poller_init(&poller, f->kind) == 0 &&
                   weft_poller_kind(&poller) == WEFT_POLLER_EPOLL
               ? GOOD
               : BAD;
}

/* The child's verdict. */
static int in_a_child(struct fixture *f, int (*judge)(struct fixture *f)) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(judge(f));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void where_the_kernel_forbids_it_there_is_epoll(void **state) {
    int verdict = in_a_child(*state, judge_forbidden);
    if (verdict == CANNOT) {
        skip();
    }
    assert_int_equal(verdict, GOOD);
}

static int judge_child(struct fixture *f) {
    weft_poller_forked(&f->poller);
    void *waiters[WEFT_DIRECTIONS];
    if (weft_poller_close(f->reader, waiters) != 0 ||
        !weft_poller_leave(f->reader, WEFT_USING) ||
        fcntl(f->ends[0], F_GETFD) >= 0) {
        return BAD;
    }
    return weft_poller_add(&f->poller, f->ends[0], WEFT_DESCRIPTOR_PIPE) ==
                   -EPERM
               ? GOOD
               : BAD;
}

static void the_child_of_a_fork_does_no_harm_to_the_parents(void **state) {
    struct fixture *f = *state;
    add_both(f);
    assert_int_equal(in_a_child(f, judge_child), GOOD);
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    arm_alice(f->reader);
    put(f->ends[1]);
    await_alice(f);
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
}

static void a_thread_that_ends_leaves_its_descriptors_watched(void **state) {
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, add_both, f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    for (int i = 0; i < 3; i++) {
        arm_alice(f->reader);
        put(f->ends[1]);
        await_alice(f);
    }
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
}

static void more_news_than_has_room_is_not_lost(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    int other[2];
    assert_int_equal(pipe2(other, O_NONBLOCK | O_CLOEXEC), 0);
    add_both(f);
    assert_int_equal(
        weft_poller_add(&f->poller, other[0], WEFT_DESCRIPTOR_PIPE), 0);
    struct weft_descriptor *second = weft_poller_find(&f->poller, other[0]);
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    assert_int_equal(weft_poller_enter(second, WEFT_READING), 0);
    for (int round = 0; round < 3; round++) {
        /* Nobody looks, and each byte is news. */
        for (int i = 0; i < 6000; i++) {
            put(f->ends[1]);
        }
        /* News of another, and a kick, behind all that. */
        arm_alice(second);
        put(other[1]);
        weft_poller_kick(&f->poller);
        await_alice(f);
        /* The one that made too many still tells. */
        for (int i = 0; i < 6000; i++) {
            assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
        }
        arm_alice(f->reader);
        assert_int_equal(weft_poller_wait(&f->poller, 0, waiters, MANY), 0);
        put(f->ends[1]);
        await_alice(f);
    }
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
    assert_true(weft_poller_leave(second, WEFT_READING));
    close_end(second);
    close(other[1]);
}

static void a_closed_end_is_let_go_of_at_once(void **state) {
    struct fixture *f = *state;
    char byte;
    add_both(f);
    close_end(f->writer);
    assert_int_equal(read(f->ends[0], &byte, 1), 0);
}

struct stayer {
    struct fixture *f;
    pthread_barrier_t added, done;
};

static void *add_and_stay(void *arg) {
    struct stayer *s = arg;
    add_both(s->f);
    pthread_barrier_wait(&s->added);
    pthread_barrier_wait(&s->done);
    return NULL;
}

static void a_closed_end_is_let_go_of_by_a_sleeping_thread(void **state) {
    struct fixture *f = *state;
    struct stayer s = {.f = f};
    pthread_t thread;
    void *waiters[MANY];
    assert_int_equal(pthread_barrier_init(&s.added, NULL, 2), 0);
    assert_int_equal(pthread_barrier_init(&s.done, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, add_and_stay, &s), 0);
    pthread_barrier_wait(&s.added);
    assert_int_equal(weft_poller_enter(f->reader, WEFT_READING), 0);
    arm_alice(f->reader);
    close_end(f->writer);
    /* The end of the pipe is news of its own. */
    int count = 0;
    while (count == 0) {
        count = weft_poller_wait(&f->poller, WEFT_FOREVER, waiters, MANY);
    }
    assert_int_equal(count, 1);
    char byte;
    assert_int_equal(read(f->ends[0], &byte, 1), 0);
    assert_true(weft_poller_leave(f->reader, WEFT_READING));
    pthread_barrier_wait(&s.done);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&s.added);
    pthread_barrier_destroy(&s.done);
}

static void ten_thousand_times_the_same_number(void **state) {
    struct fixture *f = *state;
    void *waiters[MANY];
    for (int i = 0; i < 10000; i++) {
        int fd = dup(f->ends[0]);
        assert_true(fd >= 0);
        assert_int_equal(weft_poller_add(&f->poller, fd, WEFT_DESCRIPTOR_PIPE),
                         0);
        struct weft_descriptor *d = weft_poller_find(&f->poller, fd);
        if (i % 100 == 0) {
            assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
            assert_int_equal(weft_poller_arm(d, WEFT_READING, alice), 0);
            put(f->ends[1]);
            await_alice(f);
            char byte;
            assert_int_equal(read(fd, &byte, 1), 1);
            assert_true(weft_poller_leave(d, WEFT_READING));
        }
        close_end(d);
    }
    while (weft_poller_wait(&f->poller, 0, waiters, MANY) > 0) {
    }
}

int main(void) {
#define CASE(name)                                             \
    {#name " (epoll)", name, set_up_epoll, tear_down, NULL}, { \
#name " (uring)", name, set_up_uring, tear_down, NULL  \
    }
    const struct CMUnitTest tests[] = {
        CASE(it_is_what_was_asked_for),
        CASE(the_environment_chooses_where_the_program_does_not),
        CASE(where_the_kernel_forbids_it_there_is_epoll),
        CASE(the_child_of_a_fork_does_no_harm_to_the_parents),
        CASE(a_thread_that_ends_leaves_its_descriptors_watched),
        CASE(more_news_than_has_room_is_not_lost),
        CASE(a_closed_end_is_let_go_of_at_once),
        CASE(a_closed_end_is_let_go_of_by_a_sleeping_thread),
        CASE(ten_thousand_times_the_same_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
