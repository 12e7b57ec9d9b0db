#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives wrk against the demo server, with and without hogs beside it.

    bazel run -c opt //bench:http_bench -- [--rounds 3] [--go] [--threads]
        [--peer 'NAME=COMMAND'] [--duration 5] [--workers 2] [--one-core]
        [--beside-only] [--pollers] [--light 16]

Light: 16 connections that ask /plaintext as fast as they are answered. Hogs: 8
connections that keep asking /cpu?ms=50, which burns 50 ms in a loop without a
call. Server, wrk and hogs share this machine, as the peers do: only figures of
the same run may be compared. A peer's command must print a line that ends in
http://ADDRESS:PORT/ when it listens, and know both paths. With --one-core each
server has one worker and the first CPU to itself, and the client the last one:
then no kernel can help a server by running it beside its hogs. --pollers runs
weft on io_uring too.

Prints for each server, median of the rounds (which take turns): requests/s, the
server's CPU time for each where there are no hogs, p50 and p99 of the light
requests, and how many hogs were answered a second.
Surprising: fewer than 50,000 requests/s alone on a core of 2020 or later; a
p99 beside hogs above a third of Go's; hogs answered at less than half of Go's
rate (they would be starved, not scheduled).

What makes weft's p99 here, by a trace of the kernel's switches: seven slow
requests of ten wait for wrk itself, which the kernel keeps behind a hog's thread
until its next tick; the others for a light task's turn (docs/scheduler.md)."""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def find(*names):
    """The first of these files beside the runfiles' root or this one."""
    roots = [os.getcwd(), HERE, os.path.dirname(HERE)]
    for name in names:
        for root in roots:
            path = os.path.join(root, name)
            if os.path.exists(path):
                return os.path.abspath(path)
    sys.exit("http_bench: not found: %s (run it by bazel)" % names[0])


def stay_on(cpu):
    """What a child does before it runs, to stay on `cpu` (None: anywhere)."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, [cpu])


class Server:
    def __init__(self, name, command, env, cpu=None):
        self.name = name
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=dict(os.environ, **env), shell=isinstance(command, str),
            start_new_session=True, preexec_fn=stay_on(cpu))
        self.url = None
        for line in self.process.stdout:
            match = re.search(rb"http://\S+:\d+", line)
            if match:
                self.url = match.group(0).decode()
                break
        if self.url is None:
            sys.exit("http_bench: %s did not start" % name)

    def cpu_seconds(self):
        """What its threads have used so far; of a shell's children, too."""
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(pid)) == self.process.pid:
                    tasks = "/proc/%s/task" % pid
                    for tid in os.listdir(tasks):
                        with open("%s/%s/schedstat" % (tasks, tid)) as file:
                            total += int(file.read().split()[0])
            except OSError:
                pass  # it has just ended
        return total / 1e9

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def wrk(url, connections, seconds, cpu=None):
    return subprocess.Popen(
        ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--latency",
         "--timeout", "30s", url],
        stdout=subprocess.PIPE, universal_newlines=True,
        preexec_fn=stay_on(cpu))


UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


def read_wrk(process):
    text = process.communicate()[0]

    def percentile(which):
        match = re.search(r"\s%s%%\s+([\d.]+)(us|ms|s|m)" % which, text)
        return float(match.group(1)) * UNITS[match.group(2)] if match else 0.0

    count = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    errors = re.search(r"(Socket errors|Non-2xx).*", text)
    return {"rate": float(rate.group(1)) if rate else 0.0,
            "count": int(count.group(1)) if count else 0,
            "p50": percentile(50), "p99": percentile(99),
            "errors": errors.group(0) if errors else ""}


def measure(server, args, with_hogs, cpu=None):
    hogs = None
    if with_hogs:
        hogs = wrk("%s/cpu?ms=%d" % (server.url, args.ms), args.hogs,
                   args.duration + 1, cpu)
        time.sleep(0.5)
    before = server.cpu_seconds()
    result = read_wrk(wrk(server.url + "/plaintext", args.light,
                          args.duration, cpu))
    used = server.cpu_seconds() - before
    result["cpu"] = 1e6 * used / max(result["count"], 1)
    result["hogs"] = read_wrk(hogs)["rate"] if hogs else 0.0
    return result


def build_go(folder):
    if shutil.which("go") is None:
        sys.exit("http_bench: --go needs go (apt-get install golang-go)")
    out = os.path.join(folder, "http_go")
    source = find("bench/peers/http_go.go", "peers/http_go.go")
    copy = os.path.join(folder, "main.go")
    shutil.copyfile(source, copy)
    env = dict(os.environ, GO111MODULE="off", GOFLAGS="",
               GOCACHE=os.path.join(folder, "cache"))
    env.setdefault("HOME", folder)
    subprocess.run(["go", "build", "-o", out, copy], check=True, env=env,
                   cwd=folder)
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=int, default=5, help="seconds each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--light", type=int, default=16)
    parser.add_argument("--hogs", type=int, default=8)
    parser.add_argument("--ms", type=int, default=50)
    parser.add_argument("--go", action="store_true", help="Go's net/http too")
    parser.add_argument("--threads", action="store_true",
                        help="a thread per connection too")
    parser.add_argument("--pollers", action="store_true",
                        help="weft on io_uring too")
    parser.add_argument("--peer", action="append", default=[],
                        metavar="NAME=COMMAND")
    parser.add_argument("--flag", action="append", default=[],
                        help="one more flag for the server")
    parser.add_argument("--one-core", action="store_true",
                        help="one worker on one CPU, the client on another")
    parser.add_argument("--beside-only", action="store_true",
                        help="leave out the runs without hogs")
    args = parser.parse_args()
    server_cpu = client_cpu = None
    if args.one_core:
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            sys.exit("http_bench: --one-core needs two CPUs")
        server_cpu, client_cpu = cpus[0], cpus[-1]
        args.workers = 1
    ways = (True,) if args.beside_only else (False, True)
    if shutil.which("wrk") is None:
        sys.exit("http_bench: wrk is not installed: apt-get install wrk")

    with tempfile.TemporaryDirectory() as folder:
        servers = [("weft", [find("demo_http/demo_http",
                                  "bazel-bin/demo_http/demo_http"),
                             "--listen=127.0.0.1:0",
                             "--workers=%d" % args.workers] + args.flag, {})]
        if args.pollers:
            servers.append(("weft-uring",
                            servers[0][1] + ["--poller=uring"], {}))
        if args.go:
            servers.append(("go", [build_go(folder)],
                            {"GOMAXPROCS": str(args.workers)}))
        if args.threads:
            servers.append(("threads", [find("bench/http_threads",
                                             "bazel-bin/bench/http_threads")],
                            {}))
        for peer in args.peer:
            name, _, command = peer.partition("=")
            servers.append((name, command, {}))

        results = {}
        for _ in range(args.rounds):
            for name, command, env in servers:
                server = Server(name, command, env, server_cpu)
                try:
                    for with_hogs in ways:
                        results.setdefault((name, with_hogs), []).append(
                            measure(server, args, with_hogs, client_cpu))
                finally:
                    server.stop()

    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    print("# %d connections on /plaintext, %d on /cpu?ms=%d, %d workers%s; "
          "median of %d rounds of %d s; %d CPUs (%s), load %.1f" %
          (args.light, args.hogs, args.ms, args.workers,
           ", server and client on a CPU each" if args.one_core else "",
           args.rounds,
           args.duration, os.cpu_count(),
           model.group(1) if model else "unknown", os.getloadavg()[0]))
    print("%-10s %-6s %12s %8s %10s %10s %8s" %
          ("server", "hogs", "requests/s", "CPU us", "p50 ms", "p99 ms",
           "hogs/s"))
    for name, _, _ in servers:
        for with_hogs in ways:
            rows = results[(name, with_hogs)]
            middle = {key: statistics.median(row[key] for row in rows)
                      for key in ("rate", "cpu", "p50", "p99", "hogs")}
            print("%-10s %-6s %12.0f %8s %10.3f %10.3f %8.1f %s" %
                  (name, args.hogs if with_hogs else 0, middle["rate"],
                   "-" if with_hogs else "%.2f" % middle["cpu"],
                   middle["p50"], middle["p99"], middle["hogs"],
                   next((row["errors"] for row in rows if row["errors"]), "")))


if __name__ == "__main__":
    main()
