#!/bin/sh
# SPDX-License-Identifier: MIT
# The tarball, unpacked anywhere, serves a C compiler that knows nothing of Bazel:
#
#   dist_test.sh FILE_WITH_CC TARBALL PROGRAM.c EXPORTED_NAMES MODULE.bazel
#
# A program runs with the static and with the shared library; both export what is
# on the list and nothing else; the version is everywhere the same; each function
# has a man page.
set -eu
cc=$(cat "$1")
tarball=$2
program=$3
names=$4
module=$5

fail() {
    echo "dist_test: $*" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xzf "$tarball" -C "$work"
set -- "$work"/weft-*
[ $# = 1 ] && [ -d "$1" ] || fail "not one directory weft-VERSION: $*"
root=$1
version=${root##*/weft-}

# The emulator for ARM64 programs, when there is one.
run() {
    "${WEFT_EMULATOR:-env}" "$@"
}

# Both ways, with as many warnings as a user may want from headers.
flags="-Wall -Wextra -Wpedantic -Wshadow -Werror -pthread -O2"
# shellcheck disable=SC2086 # a list of words
"$cc" -std=gnu11 $flags -I"$root/include" "$program" "$root/lib/libweft.a" \
    -o "$work/static"
# shellcheck disable=SC2086
"$cc" -std=gnu11 $flags -I"$root/include" "$program" -L"$root/lib" -lweft \
    -Wl,-rpath,"$root/lib" -o "$work/shared"
for way in static shared; do
    said=$(run "$work/$way") || fail "the $way program failed: $said"
    [ "$said" = "weft $version: 6" ] || fail "the $way program said: $said"
done

# pkg-config, where it is installed, finds its way from the file itself.
if command -v pkg-config >/dev/null 2>&1; then
    # shellcheck disable=SC2046 # lists of words
    PKG_CONFIG_PATH="$root/lib/pkgconfig" && export PKG_CONFIG_PATH
    [ "$(pkg-config --modversion weft)" = "$version" ] || fail "pkg-config's version"
    # shellcheck disable=SC2046
    "$cc" $(pkg-config --cflags weft) "$program" $(pkg-config --libs weft) \
        -Wl,-rpath,"$root/lib" -o "$work/packaged"
    run "$work/packaged" >/dev/null || fail "the program by pkg-config failed"
fi

# Names. A static library's local symbols have small letters.
nm -D --defined-only "$root/lib/libweft.so" |
    awk '$2 ~ /[A-Z]/ { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort >"$work/so"
nm --defined-only "$root/lib/libweft.a" |
    awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | LC_ALL=C sort >"$work/a"
for kind in so a; do
    diff "$names" "$work/$kind" >"$work/diff" || {
        cat "$work/diff" >&2
        fail "libweft.$kind exports (>) other names than bazel/exported_names (<)"
    }
done

grep -q "version = \"$version\"" "$module" ||
    fail "MODULE.bazel has another version than version.h, $version"
[ -f "$root/lib/libweft.so.${version%%.*}" ] || fail "no libweft.so.${version%%.*}"
case "$(readelf -d "$root/lib/libweft.so")" in
    *"soname: [libweft.so.${version%%.*}]"*) ;;
    *) fail "the library is not called libweft.so.${version%%.*} (BUILD: abi)" ;;
esac

# What inline functions call needs no page.
while read -r name; do
    case "$name" in
        weft_asked | weft_check_slowly) continue ;;
    esac
    [ -s "$root/share/man/man3/$name.3" ] || fail "no man page for $name"
done <"$names"
[ -s "$root/share/man/man7/weft.7" ] || fail "no man page weft(7)"
