#!/bin/sh
# SPDX-License-Identifier: MIT
# Each header of the tarball compiles by itself, as C11 and as C++17, with all the
# warnings that a strict program asks for; or each of these headers, which are
# files as Bazel lays them out, .../_virtual_includes/.../weft/...
#
#   headers_test.sh FILE_WITH_CC TARBALL|HEADER...
set -eu
cc=$(cat "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shift
case "$1" in
    *.tar.gz) tar -xzf "$1" -C "$work" --strip-components=1 ;;
    *)
        for header; do
            case "$header" in
                *_virtual_includes/*)
                    place=$work/include/weft/${header##*_virtual_includes/*/weft/}
                    mkdir -p "${place%/*}"
                    cp -f "$header" "$place"
                    ;;
            esac
        done
        ;;
esac
cd "$work/include"

wrong=0
count=0
try() {
    header=$1
    shift
    # Twice: a header that is there already is not read again.
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$cc" "$@" -I. -fsyntax-only - || {
        echo "headers_test: $header as $1 $2 $3" >&2
        wrong=$((wrong + 1))
    }
    count=$((count + 1))
}

for header in $(find weft -name '*.h' | sort); do
    try "$header" -x c -std=gnu11 -Wall -Wextra -Wpedantic -Wshadow \
        -Wstrict-prototypes -Wmissing-prototypes -Werror
    try "$header" -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Wshadow \
        -Werror
done
[ "$count" -gt 20 ] || { echo "headers_test: only $count tried" >&2; exit 1; }
[ "$wrong" = 0 ]
