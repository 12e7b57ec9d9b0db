#!/usr/bin/env python3
"""Prints 'N passed, N failed, N skipped' from a build event JSON file."""
import json, sys
p = f = s = 0
for line in open(sys.argv[1]):
    e = json.loads(line)
    if "testSummary" in e.get("id", {}) and "testSummary" in e:
        st = e["testSummary"]["overallStatus"]
        if st in ("PASSED", "FLAKY"): p += 1
        else: f += 1
    elif "targetCompleted" in e.get("id", {}) and e.get("aborted", {}).get("reason") == "SKIPPED":
        s += 1
print("%d passed, %d failed, %d skipped" % (p, f, s))
sys.exit(1 if f or not p else 0)
