#!/bin/sh
# SPDX-License-Identifier: MIT
# Does a target of weft bring along only what it needs? Asked from a repository of
# its own, examples/consumer, about each target that its tests take: the folders
# of weft that are reached, and the libraries from outside.
#
# Each that is not on the list is printed, and the exit code is 1.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../examples/consumer"

bad=0

# A target of the consumer, and the folders and repositories that it may reach.
# What the toolchain itself brings (@bazel_tools, @platforms) is not asked about.
only() {
    target=$1
    shift
    found=$(../../bazelw query --noshow_progress --noimplicit_deps \
        --nohost_deps --nonodep_deps "kind(rule, deps($target))" 2>/dev/null) || {
        echo "check_consumer: bazel query failed in examples/consumer" >&2
        exit 1
    }
    case "$found" in
        *@weft//*) ;;
        *)
            echo "check_consumer: $target takes nothing of weft"
            bad=$((bad + 1))
            ;;
    esac
    for label in $found; do
        case "$label" in
            //* | @bazel_tools//* | @platforms//* | @weft//bazel:*) continue ;;
            @weft//:*) part=weft ;;
            @weft//*)
                part=${label#@weft//}
                part=${part%%[:/]*}
                ;;
            *) part=${label%%//*} ;;
        esac
        case " $* " in
            *" $part "*) ;;
            *)
                echo "check_consumer: $target needs $label"
                bad=$((bad + 1))
                ;;
        esac
    done
}

only //:queue_test base queue
only //:timer_test base preempt
only //:weft_test weft arch base io preempt queue sched sync
only //:weft_cxx_test weft arch base io preempt queue sched sync

echo "check_consumer: 4 targets, $bad wrong"
[ "$bad" = 0 ]
