/* SPDX-License-Identifier: MIT */
/* The child is a fork that calls http_main(), not another program: under an
 * emulator there is nothing that could run one. */
#define _GNU_SOURCE
#include "weft/demo_http/server_testing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/demo_http/program.h"
#include "weft/sched/runtime.h"

enum { PATIENCE_MS = 5000, MAX_FLAGS = 24, MAX_BODY = 70 << 20 };

/* What was read past a reply, of the connection it was read from. */
static char ahead[1 << 16];
static size_t ahead_length;
static int ahead_fd = -1;

static struct server_child *latest; /* of the servers */

static void dump(int signal_number) {
    (void)signal_number;
    weft_dump(STDERR_FILENO);
}

static int run_child(int output, int descriptors, const char *const *flags) {
    const char *argv[MAX_FLAGS + 4] = {"demo_http", "--listen=127.0.0.1:0"};
    int argc = 2;
    while (*flags != NULL && argc < MAX_FLAGS) {
        argv[argc++] = *flags++;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(60);
    signal(SIGUSR1, dump);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
    if (descriptors > 0) {
        struct rlimit limit = {(rlim_t)descriptors, (rlim_t)descriptors};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return http_main(argc, (char **)argv);
}

static void read_log(struct server_child *s, int ms) {
    struct pollfd p = {.fd = s->output, .events = POLLIN};
    if (poll(&p, 1, ms) == 1) {
        size_t half = sizeof(s->log) / 2;
        if (s->log_length > half) { /* the older half goes */
            memmove(s->log, s->log + half, s->log_length - half + 1);
            s->log_length -= half;
        }
        size_t room = sizeof(s->log) - 1 - s->log_length;
        ssize_t n = read(s->output, s->log + s->log_length, room);
        s->log_length += n > 0 ? (size_t)n : 0;
        s->log[s->log_length] = '\0';
    }
}

bool server_said(struct server_child *s, const char *text) {
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        read_log(s, 10);
        if (strstr(s->log, text) != NULL) {
            return true;
        }
    }
    return false;
}

void server_start_only(struct server_child *s, int descriptors,
                       const char *const *flags) {
    int ends[2];
    memset(s, 0, sizeof(*s));
    latest = s;
    assert_int_equal(pipe(ends), 0);
    /* A server that logs must not wait for a test that does not look. */
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fflush(NULL);
    s->pid = fork();
    if (s->pid == 0) {
        close(ends[0]);
        exit(run_child(ends[1], descriptors, flags));
    }
    assert_true(s->pid > 0);
    close(ends[1]);
    s->output = ends[0];
}

void server_start(struct server_child *s, int descriptors,
                  const char *const *flags) {
    server_start_only(s, descriptors, flags);
    if (!server_said(s, "/\n")) {
        fail_msg("the server did not start: %s", s->log);
    }
    const char *at = strstr(s->log, "listening on http://127.0.0.1:");
    assert_non_null(at);
    s->port = atoi(strrchr(at, ':') + 1);
}

int server_end(struct server_child *s, int signal_number) {
    if (signal_number != 0) {
        kill(s->pid, signal_number);
    }
    int status = 0;
    pid_t ended = 0;
    for (int i = 0; i < 4 * PATIENCE_MS / 10 && ended == 0; i++) {
        read_log(s, 10);
        ended = waitpid(s->pid, &status, WNOHANG);
        if (ended == 0) {
            usleep(5000);
        }
    }
    if (ended != s->pid) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, &status, 0);
        fail_msg("the server did not end: %s", s->log);
    }
    for (int i = 0; i < 10; i++) {
        read_log(s, 0);
    }
    close(s->output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int client_connect(const struct server_child *s) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)s->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void client_send_bytes(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the reply will tell */
        }
        data += n;
        length -= (size_t)n;
    }
}

void client_send(int fd, const char *text) {
    client_send_bytes(fd, text, strlen(text));
}

bool client_readable(int fd, int ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return (ahead_fd == fd && ahead_length > 0) || poll(&p, 1, ms) == 1;
}

/* Says what the server's tasks do, and how much CPU time it was given: a
 * machine that has something better to do may leave it none for longer than
 * this waits, and a task of /cpu is then still at work. */
static void fail_without_an_answer(void) {
    struct timespec cpu = {0};
    clockid_t clock;
    if (clock_getcpuclockid(latest->pid, &clock) == 0) {
        clock_gettime(clock, &cpu);
    }
    kill(latest->pid, SIGUSR1);
    for (int i = 0; i < 50; i++) {
        read_log(latest, 10);
    }
    fail_msg("no answer; the server has had %ld.%03ld s of CPU time: %s",
             (long)cpu.tv_sec, cpu.tv_nsec / 1000000, latest->log);
}

/* Reads more into `ahead`; false at the end of the stream. */
static bool more(int fd) {
    if (ahead_fd != fd) {
        ahead_fd = fd;
        ahead_length = 0;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 4 * PATIENCE_MS) != 1) {
        fail_without_an_answer();
    }
    ssize_t n = recv(fd, ahead + ahead_length, sizeof(ahead) - ahead_length, 0);
    ahead_length += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static void use(size_t n) {
    memmove(ahead, ahead + n, ahead_length - n);
    ahead_length -= n;
}

/* Takes a line with its CRLF, or `n` bytes, off the stream. */
static bool take_line(int fd, char *out, size_t size) {
    for (;;) {
        char *end = ahead_fd == fd ? memchr(ahead, '\n', ahead_length) : NULL;
        if (end != NULL) {
            size_t n = (size_t)(end + 1 - ahead);
            assert_true(n < size && n >= 2 && end[-1] == '\r');
            memcpy(out, ahead, n);
            out[n] = '\0';
            use(n);
            return true;
        }
        if (!more(fd)) {
            return false;
        }
    }
}

static bool take_bytes(int fd, char *out, size_t n) {
    while (n > 0) {
        size_t here = ahead_length < n ? ahead_length : n;
        memcpy(out, ahead, here);
        use(here);
        out += here;
        n -= here;
        if (n > 0 && !more(fd)) {
            return false;
        }
    }
    return true;
}

static bool take_chunks(int fd, struct reply *r) {
    char line[64];
    for (;;) {
        if (!take_line(fd, line, sizeof(line))) {
            return false;
        }
        size_t n = strtoul(line, NULL, 16);
        assert_true(r->length + n < MAX_BODY);
        if (!take_bytes(fd, r->body + r->length, n) ||
            !take_line(fd, line, sizeof(line))) {
            return false;
        }
        assert_string_equal(line, "\r\n");
        if (n == 0) {
            return true;
        }
        r->length += n;
        r->chunks++;
    }
}

bool client_reply(int fd, struct reply *r, bool head_only) {
    static char *body;
    if (body == NULL) {
        body = malloc(MAX_BODY + 1);
    }
    memset(r, 0, sizeof(*r));
    r->body = body;
    size_t n = 0;
    do {
        if (!take_line(fd, r->head + n, sizeof(r->head) - n)) {
            return false;
        }
        n += strlen(r->head + n);
    } while (strcmp(r->head + n - 2, "\r\n") != 0 ||
             (n > 2 && r->head[n - 3] != '\n'));
    assert_memory_equal(r->head, "HTTP/1.1 ", 9);
    r->status = atoi(r->head + 9);
    const char *length = strstr(r->head, "\r\nContent-Length: ");
    r->chunked = strstr(r->head, "\r\nTransfer-Encoding: chunked\r\n") != NULL;
    assert_false(length != NULL && r->chunked);
    bool whole = true;
    if (r->status != 100) {
        assert_non_null(strstr(r->head, "\r\nDate: "));
    }
    if (head_only || r->status == 100 || r->status == 204) {
        /* no body */
    } else if (r->chunked) {
        whole = take_chunks(fd, r);
    } else if (length != NULL) {
        r->length = strtoul(length + 18, NULL, 10);
        assert_true(r->length <= MAX_BODY);
        whole = take_bytes(fd, body, r->length);
    } else {
        do {
            size_t here = ahead_length;
            take_bytes(fd, body + r->length, here);
            r->length += here;
        } while (more(fd));
    }
    body[r->length] = '\0';
    return whole;
}

bool client_ended(int fd) {
    char byte;
    if (ahead_fd == fd && ahead_length > 0) {
        return false;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

void client_close(int fd) {
    if (ahead_fd == fd) {
        ahead_fd = -1;
        ahead_length = 0;
    }
    close(fd);
}

int client_ask(const struct server_child *s, const char *request,
               struct reply *reply) {
    int fd = client_connect(s);
    assert_true(fd >= 0);
    client_send(fd, request);
    bool got = client_reply(fd, reply, strncmp(request, "HEAD ", 5) == 0);
    client_close(fd);
    return got ? reply->status : 0;
}

long server_metric(const struct server_child *s, const char *name) {
    struct reply r;
    char line[128];
    assert_int_equal(
        client_ask(s, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", &r), 200);
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(r.body, line);
    return at != NULL ? atol(at + strlen(line)) : -1;
}
