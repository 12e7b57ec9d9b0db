/* SPDX-License-Identifier: MIT */
/* struct weft_thread as returns_x86_64.S has it; returns.h asserts that. */
#ifndef WEFT_PREEMPT_RETURNS_LAYOUT_H_
#define WEFT_PREEMPT_RETURNS_LAYOUT_H_

#define WEFT_THREAD_RETURNS_TO 8

#endif
