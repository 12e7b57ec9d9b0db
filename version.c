/* SPDX-License-Identifier: MIT */
/* The version that was compiled. */
#include "weft/version.h"

const char *weft_version(void) {
    return WEFT_VERSION;
}
