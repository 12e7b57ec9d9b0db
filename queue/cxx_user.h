/* SPDX-License-Identifier: MIT */
/* What cxx_user.cc does, for cxx_test.c: each returns the numbers of the nodes
 * that it got, as digits. */
#ifndef WEFT_QUEUE_CXX_USER_H_
#define WEFT_QUEUE_CXX_USER_H_

#ifdef __cplusplus
extern "C" {
#endif

int cxx_lockfree_queue(void);
int cxx_block_queue(void);
int cxx_local_queue(void);
int cxx_global_queues(void);

#ifdef __cplusplus
}
#endif

#endif
