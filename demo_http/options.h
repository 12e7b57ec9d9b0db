/* SPDX-License-Identifier: MIT */
/* What the server is told by flags and by the environment.
 *
 * Each flag --some-thing has a twin WEFT_HTTP_SOME_THING; a flag goes before
 * its twin, and an empty variable counts as not set. Sizes are bytes, with k, M
 * or G behind the number for 2^10, 2^20, 2^30; durations are a number and ns,
 * us, ms, s, m or h.
 * Context of all: anywhere; nothing waits. */
#ifndef WEFT_DEMO_HTTP_OPTIONS_H_
#define WEFT_DEMO_HTTP_OPTIONS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_options {
    const char *listen;  /* "127.0.0.1:8080", "[::1]:0" */
    const char *preempt; /* signal, cooperative, off; NULL: not said */
    const char *poller;  /* epoll, uring; NULL: not said */
    uint64_t workers;    /* 0: one per CPU */
    uint64_t quantum;    /* ns */
    uint64_t max_connections;
    uint64_t max_header;    /* bytes of a request's header fields */
    uint64_t max_body;      /* bytes */
    uint64_t read_timeout;  /* ns, for a whole request, head and body */
    uint64_t idle_timeout;  /* ns, between requests */
    uint64_t write_timeout; /* ns, for each write to make its way */
    uint64_t drain_timeout; /* ns, for what runs when the server is to end */
    bool access_log;
};

enum http_options_answer {
    HTTP_OPTIONS_RUN,
    HTTP_OPTIONS_HELP, /* --help was among the flags */
    HTTP_OPTIONS_WRONG,
};

/* Fills `*options` from argv[1] on and from `env` (getenv, or a test's own).
 * The texts in it are argv's and the environment's. After HTTP_OPTIONS_WRONG
 * `error` (of `size` bytes) says in one line what is wrong with which. */
enum http_options_answer http_options_parse(struct http_options *options,
                                            int argc, char *const *argv,
                                            char *(*env)(const char *),
                                            char *error, size_t size);

/* Writes what --help says into `out`, NUL-terminated; returns its length. */
size_t http_options_help(char *out, size_t size);

#endif
