/* SPDX-License-Identifier: MIT */
/* One connection, from its first byte to its close, as the task that serves it
 * sees it: read a request, answer it, again.
 *
 * Always true: responses leave in the order of their requests; what has been
 * answered is sent before the task waits for more to read, so a batch of
 * pipelined requests costs one read and one write; while it waits for a request
 * it holds no buffers; a connection that ends by our will ends so that the last
 * response is not lost (see linger() in connection.c). */
#ifndef WEFT_DEMO_HTTP_CONNECTION_H_
#define WEFT_DEMO_HTTP_CONNECTION_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weft/demo_http/metrics.h"
#include "weft/demo_http/options.h"

enum { HTTP_SPARES = 64 };

struct http_work;

/* Buffers that nobody uses now, on a line of their own. */
struct http_spare {
    _Alignas(64) _Atomic(struct http_work *) work; /* or NULL */
};

/* What all connections of a server share. */
struct http_service {
    const struct http_options *options; /* fixed after start */
    uint64_t rounds_per_ms;             /* fixed after start */
    struct http_metrics metrics;
    _Atomic bool draining; /* no request after the present one */
    struct http_spare spares[HTTP_SPARES]; /* each CPU's; all may use any */
};

struct http_connection;

/* Makes the state of a connection on `fd`, which it closes at its end. NULL: no
 * memory; `fd` is then still the caller's. Context: any thread. */
struct http_connection *http_connection_new(struct http_service *service,
                                            int fd,
                                            const struct sockaddr_storage *peer,
                                            unsigned number);

/* Frees what was kept for connections to come, when there are none any more.
 * Context: any thread. */
void http_service_free_spares(struct http_service *service);

/* Serves it until it ends; the descriptor is open still.
 * Context: task, may switch. */
void http_connection_serve(struct http_connection *connection);

/* Closes the descriptor and frees the memory. Nobody may call
 * http_connection_end_idle() or _cut() any more. Context: task. */
void http_connection_free(struct http_connection *connection);

/* Once `draining` is set: wakes the connection if it waits for a request. What
 * has arrived by now is served still. Context: task, does not wait. */
void http_connection_end_idle(struct http_connection *connection);

/* Breaks the connection, whatever it does. Context: task, does not wait. */
void http_connection_cut(struct http_connection *connection);

/* Answers 503 on `fd` and closes it: there are too many connections.
 * Context: task, may switch; bounded in time. */
void http_connection_refuse(int fd, const char *what);

#endif
