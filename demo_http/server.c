/* SPDX-License-Identifier: MIT */
/* One task accepts, one waits for the signal and drains; each connection is a
 * task of its own, in a list that only the drain walks.
 *
 * Rejected: to stop accepting at the limit of connections. Clients would wait
 * in the kernel's queue with no word; a 503 lets them go elsewhere. When no
 * descriptor is left there is nobody to say it to, and accepting does pause. */
#include "weft/demo_http/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/demo_http/burn.h"
#include "weft/demo_http/connection.h"
#include "weft/demo_http/stop.h"
#include "weft/weft.h"

/* How long to wait before asking for a descriptor again. */
#define ACCEPT_PAUSE (20 * WEFT_MS)

enum { MAX_REFUSALS = 256 };

struct server;

/* A connection in the server's list. */
struct member {
    struct server *server;
    struct http_connection *connection;
    struct member *next, *previous;
};

struct server {
    struct http_service service;
    int listener;

    /* Under `mutex`. */
    struct weft_mutex mutex;
    struct weft_condition changed; /* `count` or `refusals` has become 0 */
    struct member *members;
    uint64_t count;
    unsigned refusals; /* tasks that say 503 */
    unsigned number;   /* of the next connection */
};

/* ---- Connections ---- */

static void add(struct server *s, struct member *m) {
    m->previous = NULL;
    m->next = s->members;
    if (m->next != NULL) {
        m->next->previous = m;
    }
    s->members = m;
    s->count++;
}

static void take_out(struct server *s, struct member *m) {
    weft_mutex_lock(&s->mutex);
    if (m->previous != NULL) {
        m->previous->next = m->next;
    } else {
        s->members = m->next;
    }
    if (m->next != NULL) {
        m->next->previous = m->previous;
    }
    if (--s->count == 0) {
        weft_condition_broadcast(&s->changed);
    }
    weft_mutex_unlock(&s->mutex);
}

static void serve_task(void *arg) {
    struct member *m = arg;
    struct server *s = m->server;
    weft_set_name("connection");
    http_connection_serve(m->connection);
    /* Out of the list first: the drain calls for what is in it, and a closed
     * descriptor's number may be another's by then. */
    struct http_connection *connection = m->connection;
    http_metrics_add(&s->service.metrics.closed);
    take_out(s, m);
    http_connection_free(connection);
    free(m);
}

struct refusal {
    struct server *server;
    int fd;
};

static void refuse_task(void *arg) {
    struct refusal r = *(struct refusal *)arg;
    free(arg);
    weft_set_name("refusal");
    http_connection_refuse(r.fd, "all connections of this server are in use");
    weft_mutex_lock(&r.server->mutex);
    r.server->refusals--;
    weft_condition_broadcast(&r.server->changed);
    weft_mutex_unlock(&r.server->mutex);
}

/* Says 503 on `fd`, in a task of its own since a client may be slow to listen;
 * when even those are too many, closes it without a word. */
static void refuse(struct server *s, int fd) {
    http_metrics_add(&s->service.metrics.rejected);
    struct refusal *r = NULL;
    weft_mutex_lock(&s->mutex);
    bool may = s->refusals < MAX_REFUSALS;
    s->refusals += may;
    weft_mutex_unlock(&s->mutex);
    if (may) {
        r = malloc(sizeof(*r));
        if (r != NULL) {
            *r = (struct refusal){.server = s, .fd = fd};
            if (weft_go(refuse_task, r) == 0) {
                return;
            }
            free(r);
        }
        weft_mutex_lock(&s->mutex);
        s->refusals--;
        weft_mutex_unlock(&s->mutex);
    }
    weft_close(fd);
}

static void admit(struct server *s, int fd,
                  const struct sockaddr_storage *peer) {
    struct member *m = malloc(sizeof(*m));
    struct http_connection *c =
        m != NULL ? http_connection_new(&s->service, fd, peer, s->number++)
                  : NULL;
    if (c == NULL) {
        free(m);
        refuse(s, fd);
        return;
    }
    *m = (struct member){.server = s, .connection = c};
    weft_mutex_lock(&s->mutex);
    bool full = s->count >= s->service.options->max_connections;
    if (!full) {
        add(s, m);
    }
    weft_mutex_unlock(&s->mutex);
    http_metrics_add(&s->service.metrics.accepted);
    if (!full && weft_go(serve_task, m) == 0) {
        return;
    }
    http_metrics_add(&s->service.metrics.closed);
    if (!full) {
        take_out(s, m);
    }
    free(c); /* but not the descriptor */
    free(m);
    refuse(s, fd);
}

/* ---- Accepting ---- */

/* Whether accept failed for want of something that others will give back. */
static bool is_want(int error) {
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
           error == -ENOMEM || error == -ENOSPC;
}

static void *accept_task(void *arg) {
    struct server *s = arg;
    bool paused = false;
    for (;;) {
        struct sockaddr_storage peer;
        int fd = weft_accept(s->listener, &peer, WEFT_FOREVER);
        if (fd >= 0) {
            if (paused) {
                fprintf(stderr, "demo_http: accepting again\n");
                paused = false;
            }
            admit(s, fd, &peer);
            continue;
        }
        if (!is_want(fd)) {
            return NULL; /* closed by the drain */
        }
        if (!paused) {
            http_metrics_add(&s->service.metrics.accept_pauses);
            fprintf(stderr, "demo_http: accepting pauses: %s\n", strerror(-fd));
            paused = true;
        }
        if (weft_sleep(ACCEPT_PAUSE) != 0) {
            return NULL;
        }
    }
}

/* ---- Beginning and ending ---- */

/* Waits until no connection is left. False: the deadline has come first. */
static bool wait_for_none(struct server *s, uint64_t deadline) {
    int error = 0;
    while (error == 0 && (s->count > 0 || s->refusals > 0)) {
        error = weft_condition_wait_until(&s->changed, &s->mutex, deadline);
    }
    return s->count == 0 && s->refusals == 0;
}

static int drain(struct server *s, struct weft_task *acceptor) {
    uint64_t deadline =
        weft_clock_after(weft_now(), s->service.options->drain_timeout);
    weft_close(s->listener);
    weft_join(acceptor, NULL);
    /* seq_cst: step 1 on the right in connection.c. */
    atomic_store_explicit(&s->service.draining, true, memory_order_seq_cst);
    weft_mutex_lock(&s->mutex);
    for (struct member *m = s->members; m != NULL; m = m->next) {
        http_connection_end_idle(m->connection);
    }
    bool done = wait_for_none(s, deadline);
    if (!done) {
        fprintf(stderr, "demo_http: cutting %llu connections\n",
                (unsigned long long)s->count);
        for (struct member *m = s->members; m != NULL; m = m->next) {
            http_connection_cut(m->connection);
        }
        wait_for_none(s, weft_clock_after(weft_now(), 100 * WEFT_MS));
    }
    weft_mutex_unlock(&s->mutex);
    return done ? 0 : 1;
}

/* The host part of "ADDR:PORT". */
static int host_length(const char *address) {
    return (int)(strrchr(address, ':') - address);
}

static int run(struct server *s) {
    const char *address = s->service.options->listen;
    s->listener = weft_listen(address, 0);
    if (s->listener < 0) {
        fprintf(stderr, "demo_http: cannot listen on %s: %s\n", address,
                strerror(-s->listener));
        return 1;
    }
    struct weft_task *acceptor;
    const struct weft_task_options named = {.name = "accept"};
    int error = weft_spawn(&acceptor, accept_task, s, &named);
    if (error != 0) {
        fprintf(stderr, "demo_http: cannot start: %s\n", strerror(-error));
        weft_close(s->listener);
        return 1;
    }
    printf("demo_http: listening on http://%.*s:%d/\n", host_length(address),
           address, weft_local_port(s->listener));
    fflush(stdout);
    int signal_number = http_stop_wait();
    fprintf(stderr, "demo_http: signal %d: finishing what runs\n",
            signal_number);
    return drain(s, acceptor);
}

int http_server_run(const struct http_options *options) {
    struct server *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);
    if (s == NULL) {
        fprintf(stderr, "demo_http: no memory\n");
        return 1;
    }
    memset(s, 0, sizeof(*s));
    s->service.options = options;
    s->service.rounds_per_ms = http_burn_calibrate();
    int status = run(s);
    /* Tasks that were cut but still compute may use it: leave it to them. */
    if (s->count == 0 && s->refusals == 0) {
        http_service_free_spares(&s->service);
        free(s);
    }
    return status;
}
