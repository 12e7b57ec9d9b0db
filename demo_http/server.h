/* SPDX-License-Identifier: MIT */
/* The server: listens, makes a task of each connection, and ends in order.
 *
 * Ending: after SIGTERM or SIGINT no connection is accepted any more, those
 * that wait for a request are closed, requests that are being read or answered
 * are finished, and what is left after `drain_timeout` is cut. */
#ifndef WEFT_DEMO_HTTP_SERVER_H_
#define WEFT_DEMO_HTTP_SERVER_H_

#include "weft/demo_http/options.h"

/* Serves as `options` say until a signal ends it. Prints the address on
 * standard output when it listens; problems go to standard error. Returns what
 * the process should exit with: 0 when all requests were finished, 1 when it
 * could not listen or had to cut some. Context: task, may switch, after
 * http_stop_install(). */
int http_server_run(const struct http_options *options);

#endif
