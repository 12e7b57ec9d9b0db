/* SPDX-License-Identifier: MIT */
/* C++ code that waits where only a pinned task may: with exceptions in flight.
 */
#ifndef WEFT_TESTS_PIN_THROW_H_
#define WEFT_TESTS_PIN_THROW_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Throws `value`, and while it is handled, and in a destructor while a second
 * is on its way, calls wait(arg). True when both came through as they were. */
int pin_throw(int value, void (*wait)(void *), void *arg);

#ifdef __cplusplus
}
#endif

#endif
