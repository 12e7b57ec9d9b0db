#!/bin/sh
# SPDX-License-Identifier: MIT
# What the formatter cannot see: no file of code is longer than 500 lines, each
# begins with its licence, none speaks of the machine it was written on or of
# what is still to be done. Each break of this is printed, and the exit code is 1.
#
# Printed, but never an error: memory orders above relaxed beside which no comment
# names a partner. The comment is looked for in the lines before, where one may
# serve a loop or two calls, and in the lines right behind; tests and benches are
# passed over. An arrow that this script misses is found by a reader, so read.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

# No git here: a bare machine that builds has none.
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find . -path ./.git -prune -o -type f \( -name '*.[chS]' -o -name '*.cc' \
    -o -name '*.py' -o -name '*.sh' -o -name '*.bzl' -o -name bazelw \
    -o -path ./.ci/run -o -name qemu_run -o -name tsan_run \) -print0 >"$list"

xargs -0 awk '
    function wrong(text) {
        printf "check_style: %s:%d: %s\n", FILENAME, FNR, text
        bad++
    }
    FNR == 1 {
        files++
        licensed = FILENAME ~ /\.bzl$/ # they begin with what they are for
    }
    FNR <= 2 && /SPDX-License-Identifier: MIT/ { licensed = 1 }
    FNR == 2 && !licensed { wrong("no SPDX line at the top") }
    FNR == 501 { wrong("a file of code longer than 500 lines") }
    /\/(work|home|root|mnt)\/[a-z]/ && !/\/\(work\|/ {
        wrong("a path of some machine")
    }
    /TO[D]O|FIX[M]E|XX[X]/ { wrong("to be done, or not to be said") }
    END {
        printf "check_style: %d files, %d wrong\n", files, bad
        exit bad != 0
    }' <"$list" || failed=1

# A window of lines around each order: BEFORE of them are kept, AFTER awaited.
tr '\0' '\n' <"$list" | grep '\.[ch]$' |
    grep -Ev '_test\.c$|(^|/)(tests|bench|demo_http)/|testing|toy' |
    xargs awk '
    BEGIN {
        BEFORE = 12
        AFTER = 3
    }
    function give_up() {
        for (line in open) {
            printf "check_style: %s:%d: which is the partner?\n", file, line
            count++
        }
        delete open
    }
    FNR == 1 {
        give_up()
        file = FILENAME
        named = -BEFORE
    }
    /[Pp]airs?[ ,:]|artner|[Nn]othing rests|[Aa]s (above|in |at )/ {
        named = FNR
        for (line in open) delete open[line]
    }
    { for (line in open) if (FNR - line > AFTER) {
          printf "check_style: %s:%d: which is the partner?\n", file, line
          count++
          delete open[line]
      }
    }
    /memory_order_(acquire|release|acq_rel|seq_cst)/ && !/signal_fence/ {
        orders++
        if (FNR - named > BEFORE) open[FNR] = 1
    }
    END {
        give_up()
        printf "check_style: %d orders, %d without a name beside them\n",
            orders, count
    }'

exit "${failed:-0}"
