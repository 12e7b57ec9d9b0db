/* SPDX-License-Identifier: MIT */
/* Overflows, each in a child of its own: how it dies and what it says. */
#include "weft/arch/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/arch/context.h"
#include "weft/base/compiler.h"
#include "weft/base/print.h"
#include "weft/base/syscall.h"

enum { SANITIZED = WEFT_ASAN || WEFT_TSAN, SAID = 8192, CAUGHT = 33 };

static struct weft_stack_pool *pool;
static struct weft_context back, self;
static struct weft_stack stack;
/* A sanitizer's, before cmocka's came. */
static struct sigaction at_start;
static bool keep_handler;

/* A child's last words and the way it went. */
struct death {
    char said[SAID];
    int status;
};

/* Runs `live` in a child whose standard error comes here. */
static struct death watch_die(void (*live)(void)) {
    static struct death death;
    int ends[2];
    memset(&death, 0, sizeof(death));
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        signal(SIGBUS, SIG_DFL); /* cmocka's and sanitizers' */
        signal(SIGSEGV, SIG_DFL);
        if (keep_handler) {
            sigaction(SIGSEGV, &at_start, NULL);
        }
        live();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length < SAID - 1 &&
           (got = read(ends[0], death.said + length, SAID - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &death.status, 0), child);
    return death;
}

static void assert_segv(const struct death *death) {
    if (!WIFSIGNALED(death->status) || WTERMSIG(death->status) != SIGSEGV) {
        fail_msg("status %x, said: %s", death->status, death->said);
    }
}

static void assert_said(const struct death *death, const char *words) {
    if (strstr(death->said, words) == NULL) {
        fail_msg("wanted: %s\nsaid: %s", words, death->said);
    }
}

static void assert_silent(const struct death *death) {
    if (strstr(death->said, "weft:") != NULL) {
        fail_msg("said: %s", death->said);
    }
}

static void describe(void *arg, const struct weft_stack *of, char *buf,
                     size_t size) {
    const char *name = arg;
    weft_format(buf, size, "task \"%s\" (id 7), created by %s", name,
                of->low == stack.low ? "main" : "nobody");
}

static void start(void (*entry)(void *)) {
    if (weft_stack_pool_new(&pool, NULL) < 0 ||
        weft_stack_take(pool, 0, &stack) < 0 ||
        weft_overflow_install(pool, describe, (void *)"deep") < 0 ||
        weft_overflow_thread_init() < 0) {
        _exit(99);
    }
    weft_context_adopt(&back);
    weft_context_init(&self, stack.low, stack.size, entry, NULL);
    weft_context_switch(&back, &self);
}

WEFT_NOINLINE static uintptr_t descend(uintptr_t depth) {
    volatile char frame[64];
    frame[depth % 64] = (char)depth;
    if (depth == UINTPTR_MAX) {
        return 0;
    }
    return descend(depth + 1) + (uintptr_t)frame[depth % 64];
}

static void recurse_for_ever(void *arg) {
    descend(0);
    weft_context_exit(&self, &back);
}

static void overflow(void) {
    start(recurse_for_ever);
}

static void an_overflow_names_the_task_and_dies_by_sigsegv(void **state) {
    struct death death = watch_die(overflow);
    char size[64];
    assert_segv(&death);
    snprintf(size, sizeof(size), ": stack of %zu bytes at 0x",
             weft_stack_default_size());
    assert_said(&death,
                "weft: stack overflow in task \"deep\" (id 7), "
                "created by main: stack of ");
    assert_said(&death, size);
    assert_said(&death, ", fault at 0x");
    assert_said(&death, ", pc 0x");
    assert_null(strstr(strstr(death.said, "weft:") + 1, "weft:"));
}

/* A frame larger than the stack; the build touches it page by page. */
WEFT_NOINLINE static int enlarge(size_t size) {
    volatile char frame[size];
    frame[0] = 1;
    frame[size - 1] = 2;
    return frame[0] + frame[size / 2];
}

static void enlarge_for_ever(void *arg) {
    for (size_t size = 4096;; size *= 2) {
        enlarge(size);
    }
}

static void overflow_by_one_frame(void) {
    start(enlarge_for_ever);
}

static void a_single_large_frame_meets_the_guard(void **state) {
    struct death death = watch_die(overflow_by_one_frame);
    assert_segv(&death);
    assert_said(&death, "weft: stack overflow in task \"deep\"");
}

static void nothing(int signal) {
}

/* Goes down until the kernel finds no room for a frame, not to the guard. */
WEFT_NOINLINE static uintptr_t creep(uintptr_t depth) {
    volatile char frame[16];
    char *here = __builtin_frame_address(0);
    frame[depth % 16] = (char)depth;
    if (here - stack.low < 1536) {
        long id = weft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
        weft_syscall(SYS_tgkill, getpid(), id, SIGUSR1, 0, 0, 0);
        _exit(98); /* there was room */
    }
    if (depth == UINTPTR_MAX) {
        return 0; /* never: the compiler is told that it ends */
    }
    return creep(depth + 1) + (uintptr_t)frame[depth % 16];
}

static void creep_down(void *arg) {
    creep(0);
}

static void leave_no_room(void) {
    signal(SIGUSR1, nothing); /* on the task's stack */
    start(creep_down);
}

static void a_signal_without_room_is_an_overflow(void **state) {
    if (SANITIZED) {
        skip(); /* their frames, their signals */
    }
    struct death death = watch_die(leave_no_room);
    if (WIFEXITED(death.status) && WEXITSTATUS(death.status) == 98) {
        skip(); /* a machine (or an emulator) with small frames */
    }
    assert_segv(&death);
    assert_said(&death, "weft: stack overflow in task \"deep\"");
    assert_said(&death, "(no room for a signal's frame)");
}

static volatile uintptr_t nowhere = 16;

static void write_to_nowhere(void *arg) {
    *(volatile int *)nowhere = 1;
}

static void fault_by_a_wild_pointer(void) {
    start(write_to_nowhere);
}

static void another_fault_dies_without_a_word(void **state) {
    struct death death = watch_die(fault_by_a_wild_pointer);
    assert_segv(&death);
    assert_silent(&death);
}

/* From high up in the stack. */
static void write_into_the_guard(void *arg) {
    *(volatile char *)(stack.low - 100) = 1;
}

static void fault_by_a_stray_write(void) {
    start(write_into_the_guard);
}

static void a_stray_write_into_a_guard_is_no_overflow(void **state) {
    struct death death = watch_die(fault_by_a_stray_write);
    assert_segv(&death);
    assert_silent(&death);
}

static void send_itself_the_signal(void *arg) {
    kill(getpid(), SIGSEGV);
    for (;;) {
    }
}

static void fault_by_somebody(void) {
    start(send_itself_the_signal);
}

static void a_signal_that_was_sent_kills_too(void **state) {
    struct death death = watch_die(fault_by_somebody);
    assert_segv(&death);
    assert_silent(&death);
}

static void catch (int signal, siginfo_t *info, void *ucontext) {
    weft_print(STDERR_FILENO, "caught %d at %p\n", signal, info->si_addr);
    _exit(CAUGHT);
}

static void catch_faults(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = catch;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void fault_with_a_handler(void) {
    catch_faults();
    start(write_to_nowhere);
}

static void another_fault_goes_to_the_previous_handler(void **state) {
    struct death death = watch_die(fault_with_a_handler);
    assert_true(WIFEXITED(death.status));
    assert_int_equal(WEXITSTATUS(death.status), CAUGHT);
    assert_said(&death, "caught 11 at 0x10\n");
    assert_silent(&death);
}

static void overflow_with_a_handler(void) {
    catch_faults();
    start(recurse_for_ever);
}

static void the_previous_handler_sees_the_overflow_too(void **state) {
    struct death death = watch_die(overflow_with_a_handler);
    assert_true(WIFEXITED(death.status));
    assert_int_equal(WEXITSTATUS(death.status), CAUGHT);
    assert_said(&death, "weft: stack overflow in task");
    assert_said(&death, "caught 11 at 0x");
}

static void a_sanitizer_reports_after_us(void **state) {
    if (!WEFT_ASAN) {
        skip();
    }
    keep_handler = true;
    struct death death = watch_die(overflow);
    keep_handler = false;
    assert_int_not_equal(death.status, 0);
    assert_said(&death, "weft: stack overflow in task \"deep\"");
    assert_said(&death, "AddressSanitizer");
}

static void overflow_after_uninstall(void) {
    catch_faults();
    if (weft_stack_pool_new(&pool, NULL) < 0 ||
        weft_overflow_install(pool, NULL, NULL) < 0) {
        _exit(99);
    }
    weft_overflow_uninstall();
    *(volatile int *)nowhere = 1;
}

static void uninstalling_brings_the_previous_handler_back(void **state) {
    struct death death = watch_die(overflow_after_uninstall);
    assert_int_equal(WEXITSTATUS(death.status), CAUGHT);
    assert_silent(&death);
}

static void hand_on(int signal, siginfo_t *info, void *ucontext);
static struct sigaction below;

static void hand_on(int signal, siginfo_t *info, void *ucontext) {
    weft_print(STDERR_FILENO, "handed on\n");
    below.sa_sigaction(signal, info, ucontext);
}

/* Another handler on top of ours, which stays there through two installs. */
static void bury(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = hand_on;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    catch_faults();
    if (weft_stack_pool_new(&pool, NULL) < 0 ||
        weft_overflow_install(pool, NULL, NULL) < 0 ||
        weft_overflow_install(pool, NULL, NULL) != -EBUSY) {
        _exit(99);
    }
    sigaction(SIGSEGV, &action, &below);
    weft_overflow_uninstall();
    start(recurse_for_ever);
}

static void a_handler_on_top_stays_on_top(void **state) {
    struct death death = watch_die(bury);
    assert_int_equal(WEXITSTATUS(death.status), CAUGHT);
    assert_said(&death, "handed on\nweft: stack overflow in task");
    assert_said(&death, "caught 11 at 0x");
}

static void *start_overflow(void *arg) {
    weft_overflow_thread_init();
    weft_context_adopt(&back);
    weft_context_init(&self, stack.low, stack.size, recurse_for_ever, NULL);
    weft_context_switch(&back, &self);
    return NULL;
}

static void overflow_on_a_thread(void) {
    pthread_t thread;
    if (weft_stack_pool_new(&pool, NULL) < 0 ||
        weft_stack_take(pool, 0, &stack) < 0 ||
        weft_overflow_install(pool, NULL, NULL) < 0) {
        _exit(99);
    }
    pthread_create(&thread, NULL, start_overflow, NULL);
    pthread_join(thread, NULL);
}

static void threads_are_watched_once_they_ask(void **state) {
    struct death death = watch_die(overflow_on_a_thread);
    assert_segv(&death);
    assert_said(&death, "weft: stack overflow in a task: stack of ");
}

static void *give_and_take(void *arg) {
    static char own[256 * 1024];
    stack_t mine = {.ss_sp = own, .ss_size = sizeof(own)}, now;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    weft_overflow_thread_fini(); /* without init: nothing */
    if (weft_overflow_thread_init() < 0 || sigaltstack(NULL, &now) < 0 ||
        (now.ss_flags & SS_DISABLE)) {
        return "none was given";
    }
    weft_overflow_thread_fini();
    sigaltstack(NULL, &now);
    if (!(now.ss_flags & SS_DISABLE)) {
        return "it was not taken away";
    }
    sigaltstack(&mine, NULL);
    weft_overflow_thread_init();
    weft_overflow_thread_fini();
    sigaltstack(NULL, &now);
    if (now.ss_sp != own) {
        return "the thread's own was not kept";
    }
    sigaltstack(&none, NULL);
    return NULL;
}

static void a_thread_keeps_the_alternate_stack_it_has(void **state) {
    /* Here and now: sanitizers watch over those of other threads. */
    stack_t before;
    assert_int_equal(sigaltstack(NULL, &before), 0);
    const char *wrong = give_and_take(NULL);
    sigaltstack(&before, NULL);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overflow_names_the_task_and_dies_by_sigsegv),
        cmocka_unit_test(a_single_large_frame_meets_the_guard),
        cmocka_unit_test(a_signal_without_room_is_an_overflow),
        cmocka_unit_test(another_fault_dies_without_a_word),
        cmocka_unit_test(a_stray_write_into_a_guard_is_no_overflow),
        cmocka_unit_test(a_signal_that_was_sent_kills_too),
        cmocka_unit_test(another_fault_goes_to_the_previous_handler),
        cmocka_unit_test(the_previous_handler_sees_the_overflow_too),
        cmocka_unit_test(a_sanitizer_reports_after_us),
        cmocka_unit_test(uninstalling_brings_the_previous_handler_back),
        cmocka_unit_test(a_handler_on_top_stays_on_top),
        cmocka_unit_test(threads_are_watched_once_they_ask),
        cmocka_unit_test(a_thread_keeps_the_alternate_stack_it_has),
    };
    sigaction(SIGSEGV, NULL, &at_start);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
