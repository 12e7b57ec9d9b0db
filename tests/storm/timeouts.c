/* SPDX-License-Identifier: MIT */
/* Calls that sleep until a time has come, each of which may return EINTR: they
 * are made again, and end when they should, with what they should. (Not
 * sleep(): a second is long, and it does not say how much of it is left.) */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#include "tests/storm/blocking.h"

enum { NAP_US = 200 };

/* --- sleeps
 * --------------------------------------------------------------------- */

static void sleep_relative(uint64_t end) {
    (void)end;
    nap(NAP_US * WEFT_US);
}

static void sleep_absolute(uint64_t end) {
    struct timespec until = timespec_of(end);
    int result;
    do {
        result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    } while (result == EINTR);
    WEFT_CHECK_OP(result, ==, 0);
}

static void sleep_c11(uint64_t end) {
    struct timespec left = timespec_of(NAP_US * WEFT_US);
    (void)end;
    while (thrd_sleep(&left, &left) == -1) {
    }
}

static void sleep_usec(uint64_t end) {
    while (weft_clock_now() < end) {
        if (usleep(NAP_US) == -1) {
            WEFT_CHECK_OP(errno, ==, EINTR);
        }
    }
}

static void (*const sleeps[])(uint64_t) = {sleep_relative, sleep_absolute,
                                           sleep_c11, sleep_usec};

static void sleep_somehow(struct storm_task *self) {
    uint64_t end = weft_clock_now() + NAP_US * WEFT_US;
    sleeps[(self->index + self->rounds) % 4](end);
    WEFT_CHECK(weft_clock_now() >= end);
}

STORM_KIND(nanosleep, sleep_somehow, NULL, NULL);

/* --- nothing comes
 * ---------------------------------------------------------------- */

static int quiet[2] = {-1, -1}; /* two sockets; nobody writes */

static bool make_quiet(void) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, quiet) == 0;
}

static void close_quiet(uint64_t rounds) {
    (void)rounds;
    close(quiet[0]);
    close(quiet[1]);
}

static int rest_ms(uint64_t end) {
    uint64_t now = weft_clock_now();
    return end <= now ? 0 : (int)((end - now + WEFT_MS - 1) / WEFT_MS);
}

static struct timespec rest(uint64_t end) {
    uint64_t now = weft_clock_now();
    return timespec_of(end <= now ? 0 : end - now);
}

static int by_poll(uint64_t end) {
    struct pollfd fd = {.fd = quiet[0], .events = POLLIN};
    return RETRY(poll(&fd, 1, rest_ms(end)));
}

static int by_ppoll(uint64_t end) {
    struct pollfd fd = {.fd = quiet[0], .events = POLLIN};
    struct timespec left;
    return RETRY((left = rest(end), ppoll(&fd, 1, &left, NULL)));
}

static int select_once(uint64_t end) {
    struct timespec left = rest(end);
    struct timeval time = {left.tv_sec, left.tv_nsec / 1000 + 1};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(quiet[0], &set);
    return select(quiet[0] + 1, &set, NULL, NULL, &time);
}

static int by_select(uint64_t end) {
    return RETRY(select_once(end));
}

static int pselect_once(uint64_t end) {
    struct timespec left = rest(end);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(quiet[0], &set);
    return pselect(quiet[0] + 1, &set, NULL, NULL, &left, NULL);
}

static int by_pselect(uint64_t end) {
    return RETRY(pselect_once(end));
}

static int by_epoll(uint64_t end) {
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    WEFT_CHECK_OP(epoll, >=, 0);
    WEFT_CHECK_OP(epoll_ctl(epoll, EPOLL_CTL_ADD, quiet[0], &event), ==, 0);
    int result = RETRY(epoll_wait(epoll, &event, 1, rest_ms(end)));
    close(epoll);
    return result;
}

static int (*const polls[])(uint64_t) = {by_poll, by_ppoll, by_select,
                                         by_pselect, by_epoll};

static void poll_in_vain(struct storm_task *self) {
    uint64_t end = weft_clock_now() + NAP_US * WEFT_US;
    WEFT_CHECK_OP(polls[(self->index + self->rounds) % 5](end), ==, 0);
    WEFT_CHECK(weft_clock_now() >= end);
}

STORM_KIND(poll_select, poll_in_vain, make_quiet, close_quiet);

/* --- nothing is given
 * --------------------------------------------------------------- */

/* Returns the error that the call ended with; `until` is a real time. */
typedef int timed_wait_fn(const struct timespec *until);

static sem_t never_posted;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static int semaphores = -1;
static mqd_t messages = (mqd_t)-1;

static int wait_semaphore(const struct timespec *until) {
    return RETRY(sem_timedwait(&never_posted, until)) == -1 ? errno : 0;
}

static int wait_mutex(const struct timespec *until) {
    return pthread_mutex_timedlock(&held, until); /* begin_waits() holds it */
}

static int wait_condition(const struct timespec *until) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    int result;
    pthread_mutex_lock(&mutex);
    do {
        result = pthread_cond_timedwait(&never, &mutex, until);
    } while (result == 0);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
    pthread_cond_destroy(&never);
    return result;
}

static int wait_futex(const struct timespec *until) {
    uint32_t word = 1;
    long result = RETRY(syscall(
        SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 1,
        until, NULL, FUTEX_BITSET_MATCH_ANY));
    return result == -1 ? errno : 0;
}

/* These two take a time from now. */
static int wait_system_v(const struct timespec *until) {
    struct sembuf down = {.sem_num = 0, .sem_op = -1};
    struct timespec left = {.tv_nsec = NAP_US * 1000};
    (void)until;
    if (RETRY(semtimedop(semaphores, &down, 1, &left)) == 0) {
        return 0;
    }
    return errno == EAGAIN ? ETIMEDOUT : errno;
}

static int wait_socket(const struct timespec *until) {
    struct timeval limit = {.tv_usec = NAP_US};
    int pair[2];
    char byte;
    (void)until;
    WEFT_CHECK_OP(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==,
                  0);
    WEFT_CHECK_OP(
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), ==,
        0);
    ssize_t got = RETRY(recv(pair[0], &byte, 1, 0));
    int error = errno;
    WEFT_CHECK_OP(got, ==, -1);
    got = RETRY(read(pair[0], &byte, 1));
    WEFT_CHECK_OP(got, ==, -1);
    close(pair[0]);
    close(pair[1]);
    return error == EAGAIN ? ETIMEDOUT : error;
}

static int wait_message(const struct timespec *until) {
    char text[64];
    if (messages == (mqd_t)-1) {
        return wait_semaphore(until);
    }
    return RETRY(mq_timedreceive(messages, text, sizeof text, NULL, until)) ==
                   -1
               ? errno
               : 0;
}

static timed_wait_fn *const waits[] = {
    wait_semaphore, wait_mutex,  wait_condition, wait_futex,
    wait_system_v,  wait_socket, wait_message,
};

enum { WAITS = sizeof waits / sizeof waits[0] };

static bool begin_waits(void) {
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 64};
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    messages = mq_open("/weft_storm_timeouts", O_RDWR | O_CREAT | O_CLOEXEC,
                       0600, &attr);
    if (messages != (mqd_t)-1) {
        mq_unlink("/weft_storm_timeouts");
    }
    return sem_init(&never_posted, 0, 0) == 0 && semaphores != -1 &&
           pthread_mutex_lock(&held) == 0;
}

static void end_waits(uint64_t rounds) {
    (void)rounds;
    pthread_mutex_unlock(&held);
    sem_destroy(&never_posted);
    semctl(semaphores, 0, IPC_RMID);
    if (messages != (mqd_t)-1) {
        mq_close(messages);
    }
}

static void wait_in_vain(struct storm_task *self) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t until = (uint64_t)now.tv_sec * WEFT_S + (uint64_t)now.tv_nsec +
                     NAP_US * WEFT_US;
    struct timespec then = timespec_of(until);
    WEFT_CHECK_OP(waits[(self->index + self->rounds) % WAITS](&then), ==,
                  ETIMEDOUT);
}

STORM_KIND(timed_waits, wait_in_vain, begin_waits, end_waits);
