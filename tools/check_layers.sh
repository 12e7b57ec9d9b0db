#!/bin/sh
# SPDX-License-Identifier: MIT
# Do the arrows between folders point downwards only?
#
#   base < arch, queue < preempt < sched < sync, io < //:weft < demo_http
#
# A library or binary may use its own folder and those of lower rank; the demo
# uses the public face alone (//:weft, sched, sync, io, and the two headers that
# sched's speak in), as any program would;
# no library uses what is there for tests, benches or the demo. Each arrow that
# breaks this is printed. Tests themselves may see everything.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

# shellcheck disable=SC2016 # $built is the query's own variable
edges=$(./bazelw query --noshow_progress --output=graph \
    --graph:factored=false --graph:node_limit=-1 \
    --noimplicit_deps --nohost_deps --nonodep_deps \
    'let built = kind("cc_(library|binary) rule", //...) in
     deps($built except attr(testonly, 1, $built), 1)' 2>/dev/null) || {
    echo "check_layers: bazel query failed; does 'bazel build //...' work?" >&2
    exit 1
}

echo "$edges" | awk -F'"' '
    # The first folder of a label; a root target has none: "".
    function folder(label) {
        sub(/^\/\//, "", label)
        sub(/[:\/].*/, "", label)
        return label
    }
    function wrong(text) {
        printf "check_layers: %s -> %s: %s\n", from, to, text
        bad++
    }
    BEGIN {
        rank["base"] = 1
        rank["arch"] = rank["queue"] = 2
        rank["preempt"] = 3
        rank["sched"] = 4
        rank["sync"] = rank["io"] = 5
        rank[""] = 6
        rank["demo_http"] = 7
        rank["examples"] = 7
        rank["docs"] = rank["tests"] = rank["bench"] = 8
        split("sched sync io examples demo_http", list, " ")
        for (i in list) client_sees[list[i]] = 1
        client_sees[""] = 1
        # What the headers of sched speak in.
        face["//base:clock"] = face["//preempt:mode"] = 1
        for_tests["@cmocka"] = for_tests["@google_benchmark"] = 1
    }
    / -> / {
        from = $2
        to = $4
        a = folder(from)
        if (from ~ /^@/) next
        arrows++
        if (!(a in rank)) {
            wrong("which layer is " a "? Give it a rank in this script")
        } else if (to ~ /^@/) {
            repository = to
            sub(/\/\/.*/, "", repository)
            if (repository in for_tests && rank[a] < 8)
                wrong("only tests and benches use it")
            if (repository == "@llhttp" && a != "demo_http" && rank[a] < 8)
                wrong("only the demo knows HTTP")
        } else {
            b = folder(to)
            if (b == a || b == "bazel") next
            if (!(b in rank))
                wrong("which layer is " b "? Give it a rank in this script")
            else if (rank[b] >= rank[a])
                wrong("the arrow points upwards or sideways")
            else if (rank[a] == 7 && !(b in client_sees) && !(to in face))
                wrong("clients see the public face alone")
        }
    }
    END {
        if (arrows == 0) {
            print "check_layers: no arrows seen"
            bad++
        }
        printf "check_layers: %d arrows, %d wrong\n", arrows, bad
        exit bad != 0
    }'
