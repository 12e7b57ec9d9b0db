/* SPDX-License-Identifier: MIT */
/* For end-to-end tests: the server in a child process, and a client that knows
 * just enough HTTP to judge it. Every wait is bounded; a wait that fails fails
 * the test. The client blocks; it uses nothing of weft. */
#ifndef WEFT_DEMO_HTTP_SERVER_TESTING_H_
#define WEFT_DEMO_HTTP_SERVER_TESTING_H_

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server_child {
    pid_t pid;
    int port;
    int output; /* its standard output and error */
    char log[16384];
    size_t log_length;
};

struct reply {
    int status;
    char head[4096]; /* with the empty line, NUL-terminated */
    char *body;      /* of a static buffer; NUL-terminated */
    size_t length;
    bool chunked;
    size_t chunks;
};

/* Starts the server on a free port with these flags (up to ten, then NULL), and
 * `descriptors` as its limit of them unless that is 0. */
void server_start(struct server_child *server, int descriptors,
                  const char *const *flags);

/* The same, for a server that will not get as far as listening. */
void server_start_only(struct server_child *server, int descriptors,
                       const char *const *flags);

/* Sends `signal_number` unless it is 0, and waits for the end. Returns the exit
 * code; the number of a signal that ended it counts as 1000 and more. */
int server_end(struct server_child *server, int signal_number);

/* Whether the server has printed `text`, now or within five seconds. */
bool server_said(struct server_child *server, const char *text);

int client_connect(const struct server_child *server);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const char *data, size_t length);

/* Reads one reply, without a body if `head_only`. Bytes after it are kept for
 * the next call for the same descriptor. False: the connection ended first. */
bool client_reply(int fd, struct reply *reply, bool head_only);

/* Whether the server ends the connection (within five seconds), having sent
 * nothing more. */
bool client_ended(int fd);

/* Whether something can be read within `ms`. */
bool client_readable(int fd, int ms);

void client_close(int fd);

/* One request on a connection of its own; returns the status. */
int client_ask(const struct server_child *server, const char *request,
               struct reply *reply);

/* The number of the metric `name` (with its labels), or -1. */
long server_metric(const struct server_child *server, const char *name);

#endif
