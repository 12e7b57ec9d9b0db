/* SPDX-License-Identifier: MIT */
/* A library between weft and the program: a task that doubles numbers. */
#ifndef CONSUMER_DOUBLER_H_
#define CONSUMER_DOUBLER_H_

#include "weft/weft.h"

/* Sends twice what it receives, until `in` is closed; then closes `out`. */
struct doubler {
    struct weft_channel *in, *out;
};

int doubler_start(struct doubler *d);

#endif
