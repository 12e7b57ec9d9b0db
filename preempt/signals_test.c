/* SPDX-License-Identifier: MIT */
/* What the handler decides. Requests come from the test's main thread; a victim
 * thread is interrupted. Time is a parameter, so nothing waits for expiries. */
#define _GNU_SOURCE /* pthread_sigqueue() */
#include "weft/preempt/signals.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/syscall.h"
#include "weft/preempt/thread.h"

/* One victim at a time; what the hooks see and say. */
static struct {
    struct weft_thread thread;
    _Atomic bool ready;
    _Atomic bool stop;
    _Atomic uint64_t foreign; /* of somebody_elses() */
    _Atomic uint64_t calls;   /* of preempt() */
    _Atomic int depth;        /* handlers at work on the victim */
    _Atomic int depth_max;
    _Atomic bool may;
    _Atomic uintptr_t pc;
    int pipe[2];
    int error;
    jmp_buf home;
} rig;

#define LOAD(word) atomic_load_explicit(&(word), memory_order_acquire)
#define STORE(word, value) \
    atomic_store_explicit(&(word), value, memory_order_release)

static bool may(void *arg, struct weft_thread *thread) {
    return LOAD(rig.may) && weft_gate_is_closed(&thread->gate);
}

static void deeper(void) {
    int depth =
        atomic_fetch_add_explicit(&rig.depth, 1, memory_order_relaxed) + 1;
    if (depth > LOAD(rig.depth_max)) {
        STORE(rig.depth_max, depth);
    }
}

static void preempt(void *arg, struct weft_interrupt *interrupt) {
    deeper();
    errno = 77; /* whatever hooks do to it */
    STORE(rig.pc, interrupt->pc);
    atomic_fetch_add_explicit(&rig.calls, 1, memory_order_release);
    atomic_fetch_sub_explicit(&rig.depth, 1, memory_order_relaxed);
}

static void install(uint64_t resend_after_ns) {
    struct weft_signals_config config = {
        .mode = WEFT_PREEMPT_SIGNAL,
        .may = may,
        .preempt = preempt,
        .resend_after_ns = resend_after_ns,
    };
    /* Under ThreadSanitizer each atomic is a call into it: no exact counts. */
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    assert_int_equal(weft_signals_install(&config), 0);
    STORE(rig.ready, false);
    STORE(rig.stop, false);
    STORE(rig.calls, 0);
    STORE(rig.depth_max, 0);
    STORE(rig.may, true);
    rig.error = 0;
}

static pthread_t begin(void *(*victim)(void *)) {
    pthread_t id;
    assert_int_equal(pthread_create(&id, NULL, victim, NULL), 0);
    while (!LOAD(rig.ready)) {
        usleep(100);
    }
    return id;
}

static struct weft_preempt_counters end(pthread_t id) {
    STORE(rig.stop, true);
    pthread_join(id, NULL);
    assert_int_equal(weft_signals_uninstall(), 0);
    struct weft_preempt_counters counters = {0};
    weft_thread_counters(&rig.thread, &counters);
    return counters;
}

/* Asks, and waits until the answer is complete. */
static void ask(void) {
    assert_true(weft_signals_request(&rig.thread, weft_clock_now()));
    while (LOAD(rig.thread.in_flight) != 0) {
        usleep(50);
    }
}

static void *spin(void *arg) {
    weft_thread_enter(&rig.thread);
    weft_gate_open(&rig.thread.gate);
    errno = 5;
    STORE(rig.ready, true);
    while (!LOAD(rig.stop)) {
    }
    rig.error = errno;
    weft_gate_close(&rig.thread.gate);
    weft_thread_leave();
    return NULL;
}

static void a_request_interrupts_a_loop_without_calls(void **state) {
    install(0);
    pthread_t id = begin(spin);
    ask();
    ask();
    struct weft_preempt_counters counters = end(id);
    assert_int_equal(LOAD(rig.calls), 2);
    assert_int_equal(counters.requests, 2);
    assert_int_equal(counters.deliveries, 2);
    assert_int_equal(counters.kept, 2);
}

static void errno_survives_what_the_hooks_do(void **state) {
    install(0);
    pthread_t id = begin(spin);
    ask();
    end(id);
    assert_int_equal(LOAD(rig.calls), 1);
    assert_int_equal(rig.error, 5);
}

static void the_hook_learns_where(void **state) {
    install(0);
    pthread_t id = begin(spin);
    ask();
    end(id);
    uintptr_t distance = LOAD(rig.pc) - (uintptr_t)spin;
    assert_in_range(distance, 0, 4096);
}

static void an_unwanted_request_does_nothing(void **state) {
    install(0);
    pthread_t id = begin(spin);
    STORE(rig.may, false);
    ask();
    struct weft_preempt_counters counters = end(id);
    assert_int_equal(LOAD(rig.calls), 0);
    assert_int_equal(counters.stale, 1);
    assert_int_equal(counters.kept, 0);
}

/* Requests to oneself arrive before the call returns. */
static void a_closed_gate_defers_and_opening_tells(void **state) {
    install(0);
    struct weft_preempt_counters counters = {0};
    weft_thread_enter(&rig.thread);
    assert_true(weft_signals_request(&rig.thread, weft_clock_now()));
    weft_thread_counters(&rig.thread, &counters);
    assert_int_equal(counters.deferred_gate, 1);
    assert_true(weft_gate_open(&rig.thread.gate));
    weft_gate_close(&rig.thread.gate);
    assert_false(weft_gate_open(&rig.thread.gate));
    weft_gate_close(&rig.thread.gate);
    weft_thread_leave();
    assert_int_equal(LOAD(rig.calls), 0);
    assert_int_equal(weft_signals_uninstall(), 0);
}

static void the_runtimes_own_text_is_never_interrupted(void **state) {
    install(0);
    struct weft_preempt_counters counters = {0};
    weft_thread_enter(&rig.thread);
    weft_gate_open(&rig.thread.gate);
    /* It meets us in the system call that sends it. */
    assert_true(weft_signals_request(&rig.thread, weft_clock_now()));
    weft_gate_close(&rig.thread.gate);
    weft_thread_counters(&rig.thread, &counters);
    assert_int_equal(counters.deferred_text, 1);
    assert_true(weft_gate_is_pending(&rig.thread.gate));
    weft_thread_leave();
    assert_int_equal(LOAD(rig.calls), 0);
    assert_int_equal(weft_signals_uninstall(), 0);
}

/* Waits until the kernel says that the victim sleeps. */
static void wait_until_asleep(void) {
    char path[64];
    char line[256];
    for (int i = 0; i < 50000; i++) {
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
                 (int)rig.thread.tid);
        FILE *stat = fopen(path, "r");
        assert_non_null(stat);
        assert_non_null(fgets(line, sizeof(line), stat));
        fclose(stat);
        const char *after_name = strrchr(line, ')');
        if (after_name != NULL && after_name[2] == 'S') {
            return;
        }
        usleep(100);
    }
    fail();
}

static void *read_in_libc(void *arg) {
    char byte;
    weft_thread_enter(&rig.thread);
    weft_gate_open(&rig.thread.gate);
    STORE(rig.ready, true);
    rig.error = read(rig.pipe[0], &byte, 1) == 1 ? 0 : errno;
    weft_gate_close(&rig.thread.gate);
    weft_thread_leave();
    return NULL;
}

static void a_request_in_libc_is_deferred_and_comes_later(void **state) {
    install(0);
    assert_int_equal(pipe(rig.pipe), 0);
    pthread_t id = begin(read_in_libc);
    wait_until_asleep();
    ask();
    ask();
    assert_int_equal(LOAD(rig.calls), 0);
    ask(); /* two ticks in a row were enough patience */
    assert_int_equal(LOAD(rig.calls), 1);
    ask(); /* and it begins anew */
    assert_int_equal(LOAD(rig.calls), 1);
    assert_int_equal(write(rig.pipe[1], "x", 1), 1);
    struct weft_preempt_counters counters = end(id);
    assert_int_equal(counters.deferred_libc, 3);
    assert_int_equal(rig.error, 0); /* read() was begun again each time */
    close(rig.pipe[0]);
    close(rig.pipe[1]);
}

static void one_request_at_a_time_is_on_its_way(void **state) {
    install(0);
    sigset_t urgent;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    weft_thread_enter(&rig.thread);
    pthread_sigmask(SIG_BLOCK, &urgent, NULL);
    uint64_t now = weft_clock_now();
    assert_true(weft_signals_request(&rig.thread, now));
    assert_false(weft_signals_request(&rig.thread, now));
    assert_false(weft_signals_request(&rig.thread, now + 40 * WEFT_MS));
    assert_false(weft_signals_request(&rig.thread, now - 40 * WEFT_MS));
    pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
    assert_true(weft_signals_request(&rig.thread, now));
    weft_thread_leave();
    assert_int_equal(weft_signals_uninstall(), 0);
}

static void a_swallowed_signal_is_sent_again(void **state) {
    install(0);
    pthread_t id = begin(spin);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction ours;
    uint64_t now = weft_clock_now();
    sigaction(SIGURG, &ignore, &ours);
    assert_true(weft_signals_request(&rig.thread, now));
    usleep(1000);
    sigaction(SIGURG, &ours, NULL);
    assert_false(weft_signals_request(&rig.thread, now + 49 * WEFT_MS));
    assert_int_equal(LOAD(rig.calls), 0);
    assert_true(weft_signals_request(&rig.thread, now + 51 * WEFT_MS));
    while (LOAD(rig.thread.in_flight) != 0) {
        usleep(50);
    }
    assert_int_equal(LOAD(rig.calls), 1);
    /* Should the first one come after all, it is known as ours, once. */
    uint64_t foreign = weft_signals_foreign();
    uint64_t before = LOAD(rig.thread.deliveries);
    weft_syscall(SYS_tgkill, getpid(), rig.thread.tid, SIGURG, 0, 0, 0);
    while (LOAD(rig.thread.deliveries) == before) {
        usleep(50);
    }
    weft_syscall(SYS_tgkill, getpid(), rig.thread.tid, SIGURG, 0, 0, 0);
    while (weft_signals_foreign() == foreign) {
        usleep(50);
    }
    struct weft_preempt_counters counters = end(id);
    assert_int_equal(counters.resent, 1);
    assert_int_equal(counters.stale, 1);
    assert_int_equal(weft_signals_foreign() - foreign, 1);
    assert_int_equal(LOAD(rig.calls), 1);
}

static void *hammer(void *arg) {
    uint64_t later = 0;
    while (!LOAD(rig.stop)) { /* a clock that runs makes everything overdue */
        weft_signals_request(&rig.thread, weft_clock_now() + later);
        later += WEFT_MS;
    }
    return NULL;
}

static void somebody_elses(int number) {
    deeper();
    for (int i = 0; i < 1000; i++) {
        __asm__ volatile("");
    }
    atomic_fetch_add_explicit(&rig.foreign, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&rig.depth, 1, memory_order_relaxed);
}

static void *flood(void *arg) {
    const union sigval none = {.sival_int = 0};
    while (!LOAD(rig.stop)) { /* SI_QUEUE: never taken for ours */
        pthread_sigqueue(*(pthread_t *)arg, SIGURG, none);
    }
    return NULL;
}

/* With SA_NODEFER somebody else's signals nest without a bound. */
static void handlers_never_pile_up_on_a_stack(void **state) {
    struct sigaction previous = {.sa_handler = somebody_elses,
                                 .sa_flags = SA_NODEFER};
    struct sigaction before;
    sigaction(SIGURG, &previous, &before);
    install(1);
    STORE(rig.foreign, 0);
    pthread_t id = begin(spin);
    pthread_t senders[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            pthread_create(&senders[i], NULL, i < 1 ? hammer : flood, &id), 0);
    }
    for (int i = 0;
         i < 20000 && (LOAD(rig.calls) < 20 || LOAD(rig.foreign) < 200); i++) {
        usleep(100);
    }
    STORE(rig.stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(senders[i], NULL);
    }
    end(id);
    sigaction(SIGURG, &before, NULL);
    assert_true(LOAD(rig.calls) >= 20);
    assert_true(LOAD(rig.foreign) >= 200);
    assert_int_equal(LOAD(rig.depth_max), 1);
}

static void *come_and_go(void *arg) {
    for (int i = 0; i < 2000; i++) {
        weft_thread_enter(&rig.thread);
        STORE(rig.ready, true);
        weft_gate_open(&rig.thread.gate);
        weft_gate_close(&rig.thread.gate);
        STORE(rig.ready, false);
        weft_thread_leave();
    }
    STORE(rig.stop, true);
    return NULL;
}

static void no_signal_meets_a_thread_that_has_left(void **state) {
    install(0);
    uint64_t foreign = weft_signals_foreign();
    pthread_t id;
    assert_int_equal(pthread_create(&id, NULL, come_and_go, NULL), 0);
    while (!LOAD(rig.stop)) {
        if (LOAD(rig.ready)) {
            weft_signals_request(&rig.thread, weft_clock_now());
        }
    }
    end(id);
    assert_int_equal(weft_signals_foreign(), foreign);
    assert_false(weft_signals_request(&rig.thread, weft_clock_now()));
}

static void leave_the_stack(void *arg, struct weft_interrupt *interrupt) {
    if (atomic_fetch_add_explicit(&rig.calls, 1, memory_order_relaxed) == 0) {
        weft_signals_abandon(interrupt);
        _longjmp(rig.home, 1);
    }
}

static void *throw_away(void *arg) {
    weft_thread_enter(&rig.thread);
    STORE(rig.ready, true);
    if (_setjmp(rig.home) == 0) {
        weft_gate_open(&rig.thread.gate);
        for (;;) {
            __asm__ volatile("");
        }
    }
    assert_true(weft_gate_is_closed(&rig.thread.gate));
    weft_gate_open(&rig.thread.gate);
    while (!LOAD(rig.stop)) {
    }
    weft_gate_close(&rig.thread.gate);
    weft_thread_leave();
    return NULL;
}

static void an_abandoned_thread_can_be_interrupted_again(void **state) {
    install(0);
    assert_int_equal(weft_signals_uninstall(), 0);
    struct weft_signals_config config = {.mode = WEFT_PREEMPT_SIGNAL,
                                         .preempt = leave_the_stack};
    assert_int_equal(weft_signals_install(&config), 0);
    pthread_t id = begin(throw_away);
    while (LOAD(rig.calls) < 2) {
        weft_signals_request(&rig.thread, weft_clock_now());
        usleep(50);
    }
    end(id);
}

static void cooperative_mode_only_leaves_a_note(void **state) {
    struct sigaction before;
    struct sigaction after;
    struct weft_signals_config config = {.mode = WEFT_PREEMPT_COOPERATIVE};
    sigaction(SIGURG, NULL, &before);
    assert_int_equal(weft_signals_install(&config), 0);
    assert_int_equal(weft_signals_mode(), WEFT_PREEMPT_COOPERATIVE);
    sigaction(SIGURG, NULL, &after);
    assert_ptr_equal(before.sa_sigaction, after.sa_sigaction);
    weft_thread_enter(&rig.thread);
    assert_true(weft_signals_request(&rig.thread, weft_clock_now()));
    assert_false(weft_signals_request(&rig.thread, weft_clock_now()));
    assert_true(weft_thread_take_asked(&rig.thread));
    assert_true(weft_signals_request(&rig.thread, weft_clock_now()));
    weft_thread_leave();
    assert_int_equal(weft_signals_uninstall(), 0);
}

static void off_means_nothing_at_all(void **state) {
    struct sigaction before;
    struct sigaction after;
    struct weft_signals_config config = {.mode = WEFT_PREEMPT_OFF};
    sigaction(SIGURG, NULL, &before);
    assert_int_equal(weft_signals_install(&config), 0);
    sigaction(SIGURG, NULL, &after);
    assert_ptr_equal(before.sa_sigaction, after.sa_sigaction);
    weft_thread_enter(&rig.thread);
    assert_false(weft_signals_request(&rig.thread, weft_clock_now()));
    assert_false(weft_thread_take_asked(&rig.thread));
    weft_thread_leave();
    assert_int_equal(weft_signals_uninstall(), 0);
    assert_int_equal(weft_signals_mode(), WEFT_PREEMPT_OFF);
}

static void a_senseless_configuration_is_refused(void **state) {
    struct weft_signals_config config = {.mode = WEFT_PREEMPT_DEFAULT};
    assert_int_equal(weft_signals_install(&config), -EINVAL);
    config.mode = WEFT_PREEMPT_SIGNAL; /* and no hook */
    assert_int_equal(weft_signals_install(&config), -EINVAL);
    config.mode = (enum weft_preempt_mode)17;
    assert_int_equal(weft_signals_install(&config), -EINVAL);
    config.mode = WEFT_PREEMPT_OFF;
    assert_int_equal(weft_signals_install(&config), 0);
    assert_int_equal(weft_signals_install(&config), -EBUSY);
    assert_int_equal(weft_signals_uninstall(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_interrupts_a_loop_without_calls),
        cmocka_unit_test(errno_survives_what_the_hooks_do),
        cmocka_unit_test(the_hook_learns_where),
        cmocka_unit_test(an_unwanted_request_does_nothing),
        cmocka_unit_test(a_closed_gate_defers_and_opening_tells),
        cmocka_unit_test(the_runtimes_own_text_is_never_interrupted),
        cmocka_unit_test(a_request_in_libc_is_deferred_and_comes_later),
        cmocka_unit_test(one_request_at_a_time_is_on_its_way),
        cmocka_unit_test(a_swallowed_signal_is_sent_again),
        cmocka_unit_test(handlers_never_pile_up_on_a_stack),
        cmocka_unit_test(no_signal_meets_a_thread_that_has_left),
        cmocka_unit_test(an_abandoned_thread_can_be_interrupted_again),
        cmocka_unit_test(cooperative_mode_only_leaves_a_note),
        cmocka_unit_test(off_means_nothing_at_all),
        cmocka_unit_test(a_senseless_configuration_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
