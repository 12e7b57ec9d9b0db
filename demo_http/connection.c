/* SPDX-License-Identifier: MIT */
/* The loop of a connection.
 *
 * Time. A request has `read_timeout` from the moment its first byte has been
 * read to its last; too slow is 408. Between requests, and before the first, a
 * connection may be silent for `idle_timeout`, and is then closed without a
 * word: nobody has asked anything. A response has `write_timeout` for each
 * write.
 *
 * Draining. The task that drains and the one that waits for a request must not
 * miss each other:
 *
 *     connection                          drain
 *     1. idle = true       (seq_cst)      1. draining = true       (seq_cst)
 *     2. draining?         (seq_cst)      2. idle?                 (seq_cst)
 *        yes: do not wait                    yes: shutdown(SHUT_RD)
 *
 * In every order of the four one of them sees the other. A shut down connection
 * still yields what had arrived, then its end.
 *
 * Memory. A connection that waits for a request holds its record and its task,
 * no buffers: those come from a spare for each CPU once there is something to
 * read, or from malloc() while others have it, and go back before the next
 * wait. All that the task's stack holds then fits into its first page, so
 * nothing that is deep is inlined into what serves each request.
 *
 * Closing. A close with unread bytes makes the kernel send RST, and an RST
 * makes the client's kernel throw away the response it has not read yet. So
 * linger() ends the sending side first and reads on for a while (RFC 9112 9.6).
 */
#define _GNU_SOURCE
#include "weft/demo_http/connection.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weft/demo_http/exchange.h"
#include "weft/io/address.h"
#include "weft/weft.h"

enum { IN_SIZE = 16 << 10, OUT_SIZE = 16 << 10 };

#define LINGER (2 * WEFT_S)

/* What a connection has from a request's first byte to its last answer, and not
 * while it is silent: it goes from one connection to the next, so that few of
 * them serve many, and those few are in the cache. */
struct http_work {
    struct http_request request;
    struct http_response response;
    struct http_out out;
    struct http_date date;
    uint64_t date_until; /* from then on `date` is of another second */
    bool continued;      /* 100 was sent for this request, or is not wanted */
    uint64_t read_deadline;  /* of the request at hand; 0: not yet begun */
    uint64_t began;          /* when its head had been read; 0: not asked yet */
    uint64_t answered;       /* just now; 0: longer ago */
    size_t in_start, in_end; /* bytes of `in` not yet used */
    char in[IN_SIZE];
    char out_data[OUT_SIZE];
    char store[]; /* the request's */
};

struct http_connection {
    /* Read by the task that drains. */
    int fd;
    _Atomic bool idle; /* waits for a request */

    /* The serving task's. */
    unsigned number; /* its shard of the metrics */
    struct http_service *service;
    struct http_work *work; /* NULL while it waits for a request */
    char peer[];            /* where there is an access log */
};

static int send_out(void *arg, const char *data, size_t length) {
    struct http_connection *c = arg;
    uint64_t now = c->work->answered != 0 ? c->work->answered : weft_now();
    uint64_t deadline =
        weft_clock_after(now, c->service->options->write_timeout);
    c->work->answered = 0;
    ssize_t n = weft_write(c->fd, data, length, deadline);
    return n < 0 ? (int)n : 0;
}

/* ---- Work ---- */

/* The spare of the CPU that this runs on; any other would do as well. */
static _Atomic(struct http_work *) *spare_of(struct http_service *service) {
    return &service->spares[(unsigned)sched_getcpu() % HTTP_SPARES].work;
}

static struct http_work *new_work(const struct http_service *service) {
    const struct http_limits limits = {
        .max_header = (size_t)service->options->max_header,
        .max_body = service->options->max_body};
    struct http_work *work =
        malloc(sizeof(*work) + http_request_store_size(&limits));
    if (work != NULL) {
        /* Not all of it: pages that nobody uses stay untouched. */
        work->out = (struct http_out){
            .data = work->out_data, .capacity = OUT_SIZE, .write = send_out};
        work->date = (struct http_date){0};
        work->date_until = 0;
        http_request_init(&work->request, &limits, work->store);
    }
    return work;
}

/* The request in it has been reset. False: no memory. */
static bool take_work(struct http_connection *c) {
    /* Acquire: pairs with the release in give_work(). */
    struct http_work *work = atomic_exchange_explicit(
        spare_of(c->service), NULL, memory_order_acquire);
    if (work == NULL) {
        work = new_work(c->service);
        if (work == NULL) {
            return false;
        }
    }
    work->out.arg = c;
    work->out.length = 0;
    work->out.error = 0;
    work->read_deadline = work->began = work->answered = 0;
    work->in_start = work->in_end = 0;
    c->work = work;
    return true;
}

/* The request in it has been reset. */
static void give_work(struct http_connection *c) {
    /* Release: pairs with the acquire in take_work() and in here. */
    free(atomic_exchange_explicit(spare_of(c->service), c->work,
                                  memory_order_acq_rel));
    c->work = NULL;
}

void http_service_free_spares(struct http_service *service) {
    for (unsigned i = 0; i < HTTP_SPARES; i++) {
        /* Acquire: pairs with the release in give_work(). */
        free(atomic_exchange_explicit(&service->spares[i].work, NULL,
                                      memory_order_acquire));
    }
}

struct http_connection *http_connection_new(struct http_service *service,
                                            int fd,
                                            const struct sockaddr_storage *peer,
                                            unsigned number) {
    bool log = service->options->access_log;
    struct http_connection *c =
        calloc(1, sizeof(*c) + (log ? WEFT_ADDRESS_TEXT : 0));
    if (c == NULL) {
        return NULL;
    }
    c->fd = fd;
    c->service = service;
    c->number = number;
    if (log) {
        weft_address_format(peer, c->peer, WEFT_ADDRESS_TEXT);
    }
    return c;
}

void http_connection_free(struct http_connection *c) {
    if (c->work != NULL) {
        http_request_reset(&c->work->request);
        give_work(c);
    }
    weft_close(c->fd);
    free(c);
}

void http_connection_end_idle(struct http_connection *c) {
    /* seq_cst: step 2 on the right, see above. */
    if (atomic_load_explicit(&c->idle, memory_order_seq_cst)) {
        weft_shutdown(c->fd, SHUT_RD);
    }
}

void http_connection_cut(struct http_connection *c) {
    weft_shutdown(c->fd, SHUT_RDWR);
}

/* ---- Reading ---- */

/* Reads into the empty `in`. Returns how much, 0 at the end of the stream, or a
 * negative errno value. */
static ssize_t fill(struct http_connection *c, uint64_t deadline) {
    ssize_t n = weft_read(c->fd, c->work->in, IN_SIZE, deadline);
    c->work->in_start = 0;
    c->work->in_end = n > 0 ? (size_t)n : 0;
    return n;
}

/* The next bytes of a request that has begun; -ETIMEDOUT when it has been long
 * enough in coming. */
static ssize_t fill_request(struct http_connection *c) {
    int error = http_out_flush(&c->work->out);
    if (error != 0) {
        return error;
    }
    if (c->work->read_deadline == 0) {
        c->work->read_deadline =
            weft_clock_after(weft_now(), c->service->options->read_timeout);
    }
    return fill(c, c->work->read_deadline);
}

/* Now, or up to one tick of the kernel's clock ago: for what may be that much
 * too short, at less than half the price. */
static uint64_t now_roughly(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * WEFT_S + (uint64_t)ts.tv_nsec;
}

/* The first bytes of a request; 0 or an error when none will come. */
static ssize_t fill_idle(struct http_connection *c) {
    if (c->work != NULL) {
        int error = http_out_flush(&c->work->out);
        if (error != 0) {
            return error;
        }
        /* An empty line before a request is in the reader already. */
        if (c->work->request.head.state == HTTP_HEAD_UNTOUCHED &&
            c->work->request.head.empty_lines == 0) {
            give_work(c);
        }
    }
    uint64_t deadline =
        weft_clock_after(now_roughly(), c->service->options->idle_timeout);
    /* seq_cst, both: steps 1 and 2 on the left, see above. */
    atomic_store_explicit(&c->idle, true, memory_order_seq_cst);
    if (atomic_load_explicit(&c->service->draining, memory_order_seq_cst)) {
        deadline = 0; /* what is there is served, nobody waits for more */
    }
    ssize_t n = c->work != NULL ? 0 : weft_wait_readable(c->fd, deadline);
    if (n == 0) {
        n = c->work != NULL || take_work(c) ? fill(c, deadline) : -ENOMEM;
    }
    /* Relaxed: a drain that reads it too late ends the reading side of a
     * request that is in the making, as if it had come a moment sooner. */
    atomic_store_explicit(&c->idle, false, memory_order_relaxed);
    return n;
}

enum next { GOT_REQUEST, GOT_PROBLEM, GONE };

static enum next next_request(struct http_connection *c) {
    if (c->work != NULL) {
        http_request_reset(&c->work->request);
        c->work->read_deadline = 0;
    }
    for (;;) {
        if (c->work != NULL && c->work->in_start < c->work->in_end) {
            size_t used;
            enum http_request_event event = http_request_feed(
                &c->work->request, c->work->in + c->work->in_start,
                c->work->in_end - c->work->in_start, &used);
            c->work->in_start += used;
            if (event != HTTP_REQUEST_MORE) {
                return event == HTTP_REQUEST_HEAD ? GOT_REQUEST : GOT_PROBLEM;
            }
        }
        bool started =
            c->work != NULL && http_request_started(&c->work->request);
        ssize_t n = started ? fill_request(c) : fill_idle(c);
        if (n == -ETIMEDOUT && started) {
            c->work->request.problem = (struct http_problem){
                .status = 408, .what = "the request took too long to arrive"};
            return GOT_PROBLEM;
        }
        if (n <= 0) {
            return GONE;
        }
        c->work->began = 0;
    }
}

static ssize_t read_body(void *arg, char *data, size_t size) {
    struct http_connection *c = arg;
    size_t written = 0;
    while (written == 0 && !http_request_complete(&c->work->request)) {
        if (c->work->in_start == c->work->in_end) {
            if (!c->work->continued) {
                c->work->continued = true;
                c->work->response.keep_alive = c->work->request.keep_alive;
                http_respond_continue(&c->work->response);
            }
            ssize_t n = fill_request(c);
            if (n <= 0) {
                return n < 0 ? n : -ECONNRESET;
            }
        }
        size_t used, length = c->work->in_end - c->work->in_start;
        if (!http_request_body(
                &c->work->request, c->work->in + c->work->in_start,
                length < size ? length : size, &used, data, &written)) {
            return -EBADMSG;
        }
        c->work->in_start += used;
        c->work->continued = true; /* it sends without having been told to */
    }
    return (ssize_t)written;
}

/* Reads what the handler left of the body. False: the next request cannot be
 * found. Not inlined: its array would be part of each request's stack. */
WEFT_NOINLINE static bool skip_body(struct http_connection *c) {
    char scratch[4096];
    c->work->read_deadline = 0; /* the handler may have taken its time */
    while (!http_request_complete(&c->work->request)) {
        if (!c->work->continued || read_body(c, scratch, sizeof(scratch)) < 0) {
            return false;
        }
    }
    return true;
}

/* ---- Answering ---- */

/* Renews the date when its second is over at `now`. */
static void renew_date(struct http_work *work, uint64_t now) {
    struct timespec ts;
    if (WEFT_LIKELY(now < work->date_until)) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    http_date_update(&work->date, ts.tv_sec);
    work->date_until = now + WEFT_S - (uint64_t)ts.tv_nsec;
}

/* One line: peer [date] "method target" status bytes seconds. */
WEFT_NOINLINE static void write_log(struct http_connection *c, uint64_t ns) {
    char line[1024];
    const struct http_request *r = &c->work->request;
    int n =
        snprintf(line, sizeof(line), "%s [%s] \"", c->peer, c->work->date.text);
    size_t at = (size_t)n;
    const struct http_text parts[] = {r->method, HTTP_TEXT(" "), r->raw_target};
    for (size_t i = 0; i < 3 && r->raw_target.length > 0; i++) {
        for (size_t k = 0; k < parts[i].length && at < 800; k++) {
            char b = parts[i].at[k];
            /* Nothing that a log reader could trip over. */
            bool plain = b >= ' ' && b <= '~' && b != '"' && b != '\\';
            line[at++] = plain ? b : '?';
        }
    }
    n = snprintf(line + at, sizeof(line) - at, "\" %d %llu %llu.%06llu\n",
                 c->work->response.status,
                 (unsigned long long)c->work->response.body_bytes,
                 (unsigned long long)(ns / WEFT_S),
                 (unsigned long long)(ns % WEFT_S / 1000));
    at += (size_t)n;
    if (write(STDOUT_FILENO, line, at) < 0) {
        return; /* a log that cannot be written is no reason to stop */
    }
}

static void begin_response(struct http_connection *c, bool keep_alive) {
    c->work->answered = 0; /* the handler may take its time */
    renew_date(c->work, c->work->began);
    http_response_begin(&c->work->response, &c->work->out, &c->work->date,
                        c->work->request.minor, c->work->request.is_head,
                        keep_alive);
    c->work->response.ending = &c->service->draining;
}

static void count_response(struct http_connection *c) {
    uint64_t now = weft_now();
    uint64_t ns = now - c->work->began;
    c->work->answered = now;
    c->work->began = now; /* of the next one, if its head is here already */
    http_metrics_count(&c->service->metrics, c->number,
                       c->work->response.status, ns,
                       c->work->response.body_bytes);
    if (c->service->options->access_log) {
        write_log(c, ns);
    }
}

static void answer_problem(struct http_connection *c,
                           const struct http_problem *problem) {
    begin_response(c, false);
    http_respond_error(&c->work->response, problem->status, problem->what);
    count_response(c);
}

/* What a handler that could not answer leaves to be said. */
static struct http_problem problem_of(struct http_connection *c, int error) {
    if (c->work->request.problem.status != 0) {
        return c->work->request.problem;
    }
    switch (error) {
        case -ETIMEDOUT:
            return (struct http_problem){408, "the body took too long to come"};
        case -ENOMEM:
            return (struct http_problem){503, "there is no memory for this"};
        case 0:
            return (struct http_problem){500, "the handler said nothing"};
        default:
            return (struct http_problem){0, NULL};
    }
}

/* Answers the request at hand. Returns whether another may follow. */
static bool answer(struct http_connection *c) {
    struct http_request *r = &c->work->request;
    /* Who waits for 100 may or may not send the body after another answer. */
    c->work->continued =
        !r->expect_continue || c->work->in_start < c->work->in_end;
    begin_response(c, r->keep_alive && c->work->continued);
    struct http_exchange exchange = {
        .request = r,
        .response = &c->work->response,
        .read_body = read_body,
        .arg = c,
        .metrics = &c->service->metrics,
        .rounds_per_ms = c->service->rounds_per_ms,
    };
    int error = http_answer(&exchange);
    if (c->work->response.status == 0) {
        struct http_problem problem = problem_of(c, error);
        if (problem.status != 0 && c->work->out.error == 0) {
            answer_problem(c, &problem);
        }
        return false;
    }
    count_response(c);
    return error == 0 && c->work->response.keep_alive &&
           (http_request_complete(r) || skip_body(c));
}

/* Sends what there is to send, then reads until the client has seen it. */
static void linger(struct http_connection *c) {
    if (http_out_flush(&c->work->out) != 0 ||
        weft_shutdown(c->fd, SHUT_WR) != 0) {
        return;
    }
    uint64_t deadline = weft_clock_after(weft_now(), LINGER);
    while (fill(c, deadline) > 0) {
    }
}

void http_connection_serve(struct http_connection *c) {
    for (;;) {
        enum next next = next_request(c);
        if (next == GONE) {
            if (c->work != NULL) {
                http_out_flush(&c->work->out);
            }
            return;
        }
        if (c->work->began == 0) {
            c->work->began = weft_now();
        }
        if (next == GOT_PROBLEM) {
            answer_problem(c, &c->work->request.problem);
            break;
        }
        if (!answer(c)) {
            break;
        }
    }
    linger(c);
}

/* ---- Connections too many ---- */

static int send_refusal(void *arg, const char *data, size_t length) {
    ssize_t n = weft_write(*(const int *)arg, data, length,
                           weft_clock_after(weft_now(), WEFT_S));
    return n < 0 ? (int)n : 0;
}

void http_connection_refuse(int fd, const char *what) {
    char data[1024];
    struct http_date date = {0};
    struct http_response response;
    struct http_out out = {.data = data,
                           .capacity = sizeof(data),
                           .write = send_refusal,
                           .arg = &fd};
    http_date_update(&date, time(NULL));
    http_response_begin(&response, &out, &date, 1, false, false);
    response.retry = true;
    http_respond_error(&response, 503, what);
    if (http_out_flush(&out) == 0 && weft_shutdown(fd, SHUT_WR) == 0) {
        uint64_t deadline = weft_clock_after(weft_now(), WEFT_S / 2);
        while (weft_read(fd, data, sizeof(data), deadline) > 0) {
        }
    }
    weft_close(fd);
}
