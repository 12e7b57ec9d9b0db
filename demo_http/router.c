/* SPDX-License-Identifier: MIT */
/* A table of paths. GET brings HEAD and OPTIONS with it; the one path that
 * takes every method says so. Eleven rows are found by walking past them. */
#include <stdbool.h>
#include <string.h>

#include "weft/demo_http/exchange.h"

struct route {
    struct http_text path;
    int (*handle)(struct http_exchange *);
    bool any_method;
    bool quick; /* answers before anybody could wait for it */
};

#define PATH(literal) \
    { (literal), sizeof(literal) - 1 }

static const struct route kRoutes[] = {
    {PATH("/plaintext"), http_handle_plaintext, false, true},
    {PATH("/json"), http_handle_json, false, true},
    {PATH("/"), http_handle_home, false, true},
    {PATH("/cpu"), http_handle_cpu, false, false},
    {PATH("/fib"), http_handle_fib, false, false},
    {PATH("/sleep"), http_handle_sleep, false, false},
    {PATH("/echo"), http_handle_echo, true, false},
    {PATH("/big"), http_handle_big, false, false},
    {PATH("/stream"), http_handle_stream, false, false},
    {PATH("/metrics"), http_handle_metrics, false, true},
    {PATH("/healthz"), http_handle_healthz, false, true},
};

static const char kReading[] = "GET, HEAD, OPTIONS";
static const char kAny[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

static int options(struct http_exchange *x, const char *allow) {
    x->response->allow = allow;
    return http_respond(x->response, 200, NULL, "", 0);
}

static bool allows(const struct route *route, struct http_text method) {
    if (route->any_method) {
        /* TRACE would send a request's secrets back to scripts. */
        return !http_text_is(method, "TRACE");
    }
    return http_text_is(method, "GET") || http_text_is(method, "HEAD");
}

int http_answer(struct http_exchange *x) {
    const struct http_request *request = x->request;
    if (request->target.form == HTTP_TARGET_ASTERISK) {
        return options(x, kAny);
    }
    for (size_t i = 0; i < sizeof(kRoutes) / sizeof(kRoutes[0]); i++) {
        const struct route *route = &kRoutes[i];
        if (request->path.length != route->path.length ||
            memcmp(request->path.at, route->path.at, route->path.length) != 0) {
            continue;
        }
        if (!allows(route, request->method)) {
            if (http_text_is(request->method, "OPTIONS")) {
                return options(x, kReading);
            }
            x->response->allow = route->any_method ? kAny : kReading;
            return http_respond_error(x->response, 405,
                                      "this path does not take that method");
        }
        /* Who was answered before need not wait for what is slow. */
        int error = route->quick ? 0 : http_out_flush(x->response->out);
        return error != 0 ? error : route->handle(x);
    }
    return http_respond_error(x->response, 404,
                              "there is nothing at this path; / lists what "
                              "there is");
}
