#!/bin/sh
# SPDX-License-Identifier: MIT
# A program says what stands in the guide, and ends with 0.
#
#   output_test.sh PROGRAM EXPECTED
set -eu
said=$("${WEFT_EMULATOR:-env}" "$1") || {
    echo "$1 failed, having said: $said" >&2
    exit 1
}
printf '%s\n' "$said" | diff "$2" - || {
    echo "$1 does not say (>) what it should (<)" >&2
    exit 1
}
