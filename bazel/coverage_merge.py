#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gcov JSON (gcc >= 9) and lcov files -> one lcov file; what `bazel coverage` needs, offline."""
import glob, gzip, json, os, re, sys

opt = {"filter_sources": []}
for a in sys.argv[1:]:
    k, _, v = a.lstrip("-").partition("=")
    if k == "filter_sources":
        opt[k].append(v)
    else:
        opt[k] = v

cov = {}  # file -> {"fn": {name: [line, count]}, "da": {line: count}}

def rec(f):
    return cov.setdefault(f, {"fn": {}, "da": {}})

def add_gcov(path):
    with gzip.open(path, "rt") as fh:
        doc = json.load(fh)
    for f in doc["files"]:
        r = rec(re.sub(r"^/proc/self/cwd/", "", f["file"]))
        for fn in f["functions"]:
            e = r["fn"].setdefault(fn["name"], [fn["start_line"], 0])
            e[1] += fn["execution_count"]
        for l in f["lines"]:
            n = l["line_number"]
            r["da"][n] = r["da"].get(n, 0) + l["count"]

def add_lcov(path):
    r = None
    for line in open(path):
        k, _, v = line.strip().partition(":")
        if k == "SF":
            r = rec(v)
        elif k == "FN":
            n, name = v.split(",", 1)
            r["fn"].setdefault(name, [int(n), 0])
        elif k == "FNDA":
            c, name = v.split(",", 1)
            r["fn"].setdefault(name, [0, 0])[1] += int(c)
        elif k == "DA":
            n, c = v.split(",")[:2]
            r["da"][int(n)] = r["da"].get(int(n), 0) + int(c)

keep = None
if "coverage_dir" in opt:
    for p in glob.glob(opt["coverage_dir"] + "/**/*.gcov.json.gz", recursive=True):
        add_gcov(p)
    for p in glob.glob(opt["coverage_dir"] + "/**/*.dat", recursive=True):
        if os.path.abspath(p) != os.path.abspath(opt["output_file"]):
            add_lcov(p)
    if opt.get("source_file_manifest"):
        keep = set(open(opt["source_file_manifest"]).read().split())
if "reports_file" in opt:
    for p in open(opt["reports_file"]).read().split():
        add_lcov(p)

with open(opt["output_file"], "w") as out:
    for f in sorted(cov):
        if any(re.fullmatch(p, f) for p in opt["filter_sources"]) or (keep is not None and f not in keep):
            continue
        r = cov[f]
        out.write("SF:%s\n" % f)
        for n, (line, _) in sorted(r["fn"].items()):
            out.write("FN:%d,%s\n" % (line, n))
        for n, (_, c) in sorted(r["fn"].items()):
            out.write("FNDA:%d,%s\n" % (c, n))
        out.write("FNF:%d\nFNH:%d\n" % (len(r["fn"]), sum(1 for e in r["fn"].values() if e[1])))
        for n, c in sorted(r["da"].items()):
            out.write("DA:%d,%d\n" % (n, c))
        out.write("LH:%d\nLF:%d\nend_of_record\n" % (sum(1 for c in r["da"].values() if c), len(r["da"])))
