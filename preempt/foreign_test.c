/* SPDX-License-Identifier: MIT */
/* Somebody else's SIGURG stays somebody else's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/preempt/signals.h"
#include "weft/preempt/thread.h"

static volatile sig_atomic_t plain_calls;
static volatile sig_atomic_t info_calls;
static volatile sig_atomic_t last_code;
static volatile sig_atomic_t usr2_blocked;
static volatile sig_atomic_t over_calls;
static struct sigaction below;

static void plain(int number) {
    sigset_t now;
    plain_calls++;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    usr2_blocked = sigismember(&now, SIGUSR2);
}

static void with_info(int number, siginfo_t *info, void *ucontext) {
    info_calls++;
    last_code = info->si_code;
}

static void over(int number, siginfo_t *info, void *ucontext) {
    over_calls++;
    if (below.sa_flags & SA_SIGINFO) {
        below.sa_sigaction(number, info, ucontext);
    }
}

static void never(void *arg, struct weft_interrupt *interrupt) {
}

static const struct weft_signals_config config = {
    .mode = WEFT_PREEMPT_SIGNAL,
    .preempt = never,
};

static int prepare(void **state) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(SIGURG, &usual, NULL);
    plain_calls = info_calls = over_calls = 0;
    return 0;
}

static void install(const struct sigaction *previous) {
    /* ThreadSanitizer's sigaction() has handlers of its own in between. */
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    assert_int_equal(sigaction(SIGURG, previous, NULL), 0);
    assert_int_equal(weft_signals_install(&config), 0);
}

static void the_previous_handler_comes_back(void **state) {
    struct sigaction previous = {.sa_sigaction = with_info,
                                 .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction back;
    sigaddset(&previous.sa_mask, SIGUSR1);
    install(&previous);
    assert_int_equal(weft_signals_uninstall(), 0);
    sigaction(SIGURG, NULL, &back);
    assert_ptr_equal(back.sa_sigaction, with_info);
    assert_true(back.sa_flags & SA_SIGINFO);
    assert_true(back.sa_flags & SA_NODEFER);
    assert_false(back.sa_flags & SA_RESTART);
    assert_true(sigismember(&back.sa_mask, SIGUSR1));
    assert_false(sigismember(&back.sa_mask, SIGUSR2));
    raise(SIGURG);
    assert_int_equal(info_calls, 1);
}

static void uninstalling_what_is_not_installed_does_nothing(void **state) {
    struct sigaction previous = {.sa_handler = plain};
    struct sigaction after;
    sigaction(SIGURG, &previous, NULL);
    assert_int_equal(weft_signals_uninstall(), 0);
    sigaction(SIGURG, NULL, &after);
    assert_ptr_equal(after.sa_handler, plain);
}

static void kill_reaches_a_plain_handler_with_its_mask(void **state) {
    struct sigaction previous = {.sa_handler = plain};
    sigset_t after;
    sigaddset(&previous.sa_mask, SIGUSR2);
    install(&previous);
    uint64_t foreign = weft_signals_foreign();
    kill(getpid(), SIGURG);
    assert_int_equal(plain_calls, 1);
    assert_int_equal(usr2_blocked, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_false(sigismember(&after, SIGUSR2));
    assert_false(sigismember(&after, SIGURG));
    assert_int_equal(weft_signals_foreign() - foreign, 1);
    assert_int_equal(weft_signals_uninstall(), 0);
}

static void a_thread_of_the_same_process_counts_as_foreign(void **state) {
    struct sigaction previous = {.sa_sigaction = with_info,
                                 .sa_flags = SA_SIGINFO};
    struct weft_thread thread;
    install(&previous);
    pthread_kill(pthread_self(), SIGURG); /* a thread weft does not know */
    assert_int_equal(info_calls, 1);
    assert_int_equal(last_code, SI_TKILL);
    weft_thread_enter(&thread);
    pthread_kill(pthread_self(), SIGURG); /* known, but nobody asked */
    assert_int_equal(info_calls, 2);
    weft_signals_request(&thread, weft_clock_now());
    assert_int_equal(info_calls, 2); /* and ours stays with us */
    weft_thread_leave();
    assert_int_equal(weft_signals_uninstall(), 0);
}

static void urgent_data_reaches_the_previous_handler(void **state) {
    struct sigaction previous = {.sa_sigaction = with_info,
                                 .sa_flags = SA_SIGINFO};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    install(&previous);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    int server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(fcntl(server, F_SETOWN, getpid()), 0);
    assert_int_equal(send(client, "!", 1, MSG_OOB), 1);
    for (int i = 0; i < 20000 && info_calls == 0; i++) {
        usleep(100);
    }
    assert_int_equal(info_calls, 1);
    close(server);
    close(client);
    close(listener);
    assert_int_equal(weft_signals_uninstall(), 0);
}

static void nobody_before_means_nothing_happens(void **state) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    install(&usual);
    raise(SIGURG);
    assert_int_equal(weft_signals_uninstall(), 0);
    install(&ignore);
    raise(SIGURG);
    assert_int_equal(weft_signals_uninstall(), 0);
    assert_int_equal(plain_calls + info_calls, 0);
}

static void a_handler_put_over_ours_stays_when_we_go(void **state) {
    struct sigaction previous = {.sa_sigaction = with_info,
                                 .sa_flags = SA_SIGINFO};
    struct sigaction upper = {.sa_sigaction = over, .sa_flags = SA_SIGINFO};
    struct sigaction now;
    install(&previous);
    sigaction(SIGURG, &upper, &below);
    raise(SIGURG);
    assert_int_equal(over_calls, 1);
    assert_int_equal(info_calls, 1);
    assert_int_equal(weft_signals_uninstall(), -EBUSY);
    sigaction(SIGURG, NULL, &now);
    assert_ptr_equal(now.sa_sigaction, over);
    raise(SIGURG); /* through theirs and ours to the first */
    assert_int_equal(over_calls, 2);
    assert_int_equal(info_calls, 2);
    assert_int_equal(weft_signals_install(&config), -EBUSY); /* no circle */
    sigaction(SIGURG, &below, NULL);
    assert_int_equal(weft_signals_install(&config), 0);
    assert_int_equal(weft_signals_uninstall(), 0);
    sigaction(SIGURG, NULL, &now);
    assert_ptr_equal(now.sa_sigaction, with_info);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_previous_handler_comes_back, prepare),
        cmocka_unit_test_setup(uninstalling_what_is_not_installed_does_nothing,
                               prepare),
        cmocka_unit_test_setup(kill_reaches_a_plain_handler_with_its_mask,
                               prepare),
        cmocka_unit_test_setup(a_thread_of_the_same_process_counts_as_foreign,
                               prepare),
        cmocka_unit_test_setup(urgent_data_reaches_the_previous_handler,
                               prepare),
        cmocka_unit_test_setup(nobody_before_means_nothing_happens, prepare),
        cmocka_unit_test_setup(a_handler_put_over_ours_stays_when_we_go,
                               prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
