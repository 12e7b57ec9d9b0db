/* SPDX-License-Identifier: MIT */
/* The program behind main(), so that a test can run it in a child process. */
#ifndef WEFT_DEMO_HTTP_PROGRAM_H_
#define WEFT_DEMO_HTTP_PROGRAM_H_

/* Reads options, starts the runtime, serves until a signal. Returns the exit
 * code: 0, 1 when it could not serve or had to cut requests, 2 for a wrong
 * option. Context: a thread outside weft_run(), once in a process. */
int http_main(int argc, char **argv);

#endif
