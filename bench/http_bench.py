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

Of p50 and p99 there are two. wrk counts for each request that took longer than
the mean interval of a connection also those that a client with a timetable
would have sent meanwhile ("coordinated omission"): with 16 connections and
20,000 requests/s the interval is 0.8 ms, and one request of 4 ms counts as
four, of 4.0, 3.2, 2.4 and 1.6 ms. "p50" and "p99" are wrk's; "own" are those of
the requests that were really sent. The first say how long a request waits that
comes at any time, the second how long those wait that follow each other. "quick"
is the share of wrk's samples that are 0.15 ms or less: below a half p50 tells
little, since it lies where there are few requests.

Surprising: fewer than 50,000 requests/s alone on a core of 2020 or later; a
p99 beside hogs above a third of Go's; hogs answered at less than half of Go's
rate (they would be starved, not scheduled).

What makes weft's p99 here, by a trace of the kernel's switches: seven slow
requests of ten wait for wrk itself, which the kernel keeps behind a hog's
thread until its next tick; the others for a light task's turn. And why its p50
beside hogs is above the threads', docs/scheduler.md."""

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


def wrk(url, connections, seconds, cpu=None, script=None):
    return subprocess.Popen(
        ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--latency",
         "--timeout", "30s"] + (["-s", script] if script else []) + [url],
        stdout=subprocess.PIPE, universal_newlines=True,
        preexec_fn=stay_on(cpu))


# The whole histogram, in us, and what the correction was made with.
REPORT = """done = function(summary, latency, requests)
  for i = 1, #latency do
    local us, count = latency(i)
    io.write("SAMPLE ", us, " ", count, "\\n")
  end
  io.write("TOTAL ", summary.duration, " ", summary.requests, "\\n")
end
"""


def uncorrected(samples, interval):
    """The histogram {us: count} as it was before wrk's correction.

    For each sample of n us wrk adds one at n - interval, one at n - 2 intervals
    and so on, as long as that is more than an interval. So beyond an interval
    the count at n is the sum of the true ones at n, n + interval, and so on;
    the count at n + interval is the same sum without the first."""
    return {us: count - (samples.get(us + interval, 0) if us > interval else 0)
            for us, count in samples.items()}


def percentile(histogram, which):
    """In ms."""
    left = sum(histogram.values()) * which / 100
    for us in sorted(histogram):
        left -= histogram[us]
        if left <= 0:
            return us / 1e3
    return 0.0


QUICK_US = 150
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


def read_own(text, connections):
    """The samples of REPORT: p50 and p99, and whether they are sound."""
    total = re.search(r"^TOTAL (\d+) (\d+)", text, re.M)
    samples = {int(us): int(count) for us, count in
               re.findall(r"^SAMPLE (\d+) (\d+)", text, re.M)}
    each = int(total.group(2)) // connections if total else 0
    if each == 0:
        return {"own50": 0.0, "own99": 0.0, "quick": 0.0}
    own = uncorrected(samples, int(total.group(1)) // each)
    if min(own.values()) < 0:
        sys.exit("http_bench: this wrk corrects its percentiles otherwise")
    quick = sum(samples[us] for us in samples if us <= QUICK_US)
    return {"own50": percentile(own, 50), "own99": percentile(own, 99),
            "quick": quick / sum(samples.values())}


def read_wrk(process):
    text = process.communicate()[0]

    def corrected(which):
        match = re.search(r"\s%s%%\s+([\d.]+)(us|ms|s|m)" % which, text)
        return float(match.group(1)) * UNITS[match.group(2)] if match else 0.0

    count = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    errors = re.search(r"(Socket errors|Non-2xx).*", text)
    return {"rate": float(rate.group(1)) if rate else 0.0,
            "count": int(count.group(1)) if count else 0,
            "p50": corrected(50), "p99": corrected(99), "text": text,
            "errors": errors.group(0) if errors else ""}


def measure(server, args, with_hogs, script, cpu=None):
    hogs = None
    if with_hogs:
        hogs = wrk("%s/cpu?ms=%d" % (server.url, args.ms), args.hogs,
                   args.duration + 1, cpu)
        time.sleep(0.5)
    before = server.cpu_seconds()
    result = read_wrk(wrk(server.url + "/plaintext", args.light,
                          args.duration, cpu, script))
    used = server.cpu_seconds() - before
    result["cpu"] = 1e6 * used / max(result["count"], 1)
    result.update(read_own(result["text"], args.light))
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
        script = os.path.join(folder, "report.lua")
        with open(script, "w") as file:
            file.write(REPORT)
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
                            measure(server, args, with_hogs, script,
                                    client_cpu))
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
    print("%-10s %-5s %11s %7s %9s %9s %8s %8s %6s %7s" %
          ("server", "hogs", "requests/s", "CPU us", "p50 ms", "p99 ms",
           "own p50", "own p99", "quick", "hogs/s"))
    for name, _, _ in servers:
        for with_hogs in ways:
            rows = results[(name, with_hogs)]
            middle = {key: statistics.median(row[key] for row in rows)
                      for key in ("rate", "cpu", "p50", "p99", "own50",
                                  "own99", "quick", "hogs")}
            print("%-10s %-5s %11.0f %7s %9.3f %9.3f %8.3f %8.3f %6.2f %7.1f "
                  "%s" %
                  (name, args.hogs if with_hogs else 0, middle["rate"],
                   "-" if with_hogs else "%.2f" % middle["cpu"],
                   middle["p50"], middle["p99"], middle["own50"],
                   middle["own99"], middle["quick"], middle["hogs"],
                   next((row["errors"] for row in rows if row["errors"]), "")))


if __name__ == "__main__":
    main()
