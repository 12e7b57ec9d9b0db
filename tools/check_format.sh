#!/bin/sh
# SPDX-License-Identifier: MIT
# Is all C code as .clang-format wants it? With --fix it is made so. Version 14,
# Debian 12's (package clang-format-14): others disagree about details.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
if ! command -v clang-format-14 >/dev/null 2>&1; then
    echo "check_format: no clang-format-14; apt-get install clang-format-14" >&2
    exit 1
fi
case "${1:-}" in
    --fix) set -- -i ;;
    "") set -- --dry-run --Werror ;;
    *)
        echo "usage: tools/check_format.sh [--fix]" >&2
        exit 2
        ;;
esac
git ls-files '*.c' '*.h' '*.cc' | xargs clang-format-14 "$@"
