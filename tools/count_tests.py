#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts test targets in the build event files of `bazel test`.

usage: tools/count_tests.py FILE.json EXIT_CODE

Prints 'PASSED FAILED SKIPPED', three numbers, and on standard error the name of
each that failed. A test that was not built has
failed; one that a tag filter left out is not counted; where Bazel failed and no
test says so (a broken BUILD file), that is one failure.
"""
import json
import sys


def count(lines, exit_code):
    tests = {}  # label -> what became of it
    for line in lines:
        event = json.loads(line)
        kind, key = next(iter(event["id"].items()))
        label = key.get("label") if isinstance(key, dict) else None
        if kind == "targetConfigured":
            if "_test rule" in event.get("configured", {}).get("targetKind", ""):
                tests[label] = "failed"
        elif label not in tests:
            continue
        elif kind == "targetCompleted":
            if event.get("aborted", {}).get("reason") == "SKIPPED":
                tests[label] = "skipped"
            elif event.get("completed", {}).get("success"):
                tests[label] = "built"
        elif kind == "testSummary" and "testSummary" in event:
            status = event["testSummary"]["overallStatus"]
            tests[label] = "passed" if status == "PASSED" else "failed"
    for label in sorted(t for t in tests if tests[t] == "failed"):
        print(label, file=sys.stderr)
    totals = [sum(1 for t in tests.values() if t == what)
              for what in ("passed", "failed", "skipped")]
    if exit_code != 0 and totals[1] == 0:
        totals[1] = 1
    return totals


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        with open(sys.argv[1]) as events:
            totals = count(events, int(sys.argv[2]))
    except FileNotFoundError:  # Bazel did not get that far
        totals = [0, 1, 0]
    print(*totals)
