/* SPDX-License-Identifier: MIT */
/* C++ code that waits with exceptions in flight: tasks for exceptions_test.c.
 */
#ifndef WEFT_TESTS_EXCEPTIONS_H_
#define WEFT_TESTS_EXCEPTIONS_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Each is the first task of a run. It returns when enough of its tasks have
 * woken on another thread than they began to wait on, and stops the program
 * when one of them finds other exceptions than its own. */
void wait_in_catch(void *arg);
void wait_and_throw_again(void *arg);
void wait_in_nested_catches(void *arg);
void wait_while_unwinding(void *arg);
void wait_with_anothers_exception(void *arg);
void wait_in_all_ways(void *arg);

/* Leaves a catch block by longjmp(), and ends; the tasks after it have none of
 * that. */
void jump_out_of_catch(void *arg);

/* What is enough, for those above; 0 to begin with. */
void exceptions_need_moves(int moves);

#ifdef __cplusplus
}
#endif

#endif
