/* SPDX-License-Identifier: MIT */
/* The one place where weft's version stands; MODULE.bazel repeats it, and a
 * test compares them (//tests/dist:version_test). */
#ifndef WEFT_VERSION_H_
#define WEFT_VERSION_H_

#ifdef __cplusplus
extern "C" {
#endif

/* MAJOR.MINOR.PATCH of these headers. */
#define WEFT_VERSION "0.1.0"

/* The same of the library that the program runs with: a static text.
 * Context: anywhere. */
const char *weft_version(void);

#ifdef __cplusplus
}
#endif

#endif
