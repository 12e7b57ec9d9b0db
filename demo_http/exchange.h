/* SPDX-License-Identifier: MIT */
/* What a handler sees: a request whose head is read, a response to write, and a
 * way to read the body. It knows neither sockets nor the connection. */
#ifndef WEFT_DEMO_HTTP_EXCHANGE_H_
#define WEFT_DEMO_HTTP_EXCHANGE_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/demo_http/metrics.h"
#include "weft/demo_http/request.h"
#include "weft/demo_http/response.h"

struct http_exchange {
    const struct http_request *request;
    struct http_response *response;
    /* Reads decoded body bytes: their number, 0 at the end of the body, or a
     * negative errno value, after which the handler returns it. Sends 100
     * (Continue) first to a client that waits for it. */
    ssize_t (*read_body)(void *arg, char *data, size_t size);
    void *arg;
    const struct http_metrics *metrics;
    uint64_t rounds_per_ms; /* see burn.h */
};

/* Answers the request: finds the handler for its path and method and calls it;
 * 404, 405 and OPTIONS are answered here. Returns 0, or a negative errno value
 * when the connection is broken, or the body bad or too slow; then, if
 * response->status is still 0, nothing has been sent.
 * Context: task, may switch. */
int http_answer(struct http_exchange *exchange);

/* The handlers (handlers.c, pages.c); each returns as http_answer(). */
int http_handle_home(struct http_exchange *exchange);
int http_handle_plaintext(struct http_exchange *exchange);
int http_handle_json(struct http_exchange *exchange);
int http_handle_cpu(struct http_exchange *exchange);
int http_handle_fib(struct http_exchange *exchange);
int http_handle_sleep(struct http_exchange *exchange);
int http_handle_echo(struct http_exchange *exchange);
int http_handle_big(struct http_exchange *exchange);
int http_handle_stream(struct http_exchange *exchange);
int http_handle_metrics(struct http_exchange *exchange);
int http_handle_healthz(struct http_exchange *exchange);

#endif
