/* SPDX-License-Identifier: MIT */
#include "weft/preempt/asked.h"

struct weft_asked weft_asked;
