# SPDX-License-Identifier: MIT
"""The HTTP rows of bench/compare: servers driven by wrk, on two CPUs.

The server has CPU 0 for itself and wrk CPU 1, or, with two workers, both use
both. What is compared is requests for each second of the server's CPU time,
since one thread of wrk is itself the limit; the CPU time is that of all threads
of the server (and of its children) from /proc, in nanoseconds."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

from compare_rows import Figure, Goal, Group

PIPELINE = """init = function(args)
  local all = {}
  for i = 1, 16 do all[i] = wrk.format("GET", "/plaintext") end
  batch = table.concat(all)
end
request = function() return batch end
"""

NGINX = """daemon off; worker_processes %d; pid nginx.pid;
error_log stderr crit; worker_rlimit_nofile 20000;
events { worker_connections 12000; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  tcp_nodelay on; client_body_temp_path tmp; proxy_temp_path tmp;
  fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {
    listen 127.0.0.1:%d backlog=4096;
    location /plaintext { default_type text/plain; return 200 "Hello, World!"; }
  }
}
"""

IDLE = 5000  # connections for the memory row


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(who, paths, workers, folder):
    """What to run, and the port if the server does not print it."""
    if who == "weft":
        return [paths["demo_http"], "--listen=127.0.0.1:0",
                "--max-connections=20000", "--workers=%d" % workers,
                "--idle-timeout=1h"], None
    if who == "go":
        return ["env", "GOMAXPROCS=%d" % workers, paths["go_http"]], None
    if who == "nginx":
        port = free_port()
        os.makedirs(os.path.join(folder, "nginx"), exist_ok=True)
        with open(os.path.join(folder, "nginx", "conf"), "w") as f:
            f.write(NGINX % (workers, port))
        return [paths["nginx"], "-p", os.path.join(folder, "nginx"),
                "-c", "conf"], port
    return [paths[who], str(workers)], None


def tree(pid):
    """`pid` and its children."""
    pids = [pid]
    for p in pids:
        try:
            with open("/proc/%d/task/%d/children" % (p, p)) as f:
                pids += [int(word) for word in f.read().split()]
        except OSError:
            pass
    return pids


def cpu_ns(pid):
    total = 0
    for p in tree(pid):
        for thread in os.listdir("/proc/%d/task" % p):
            try:
                with open("/proc/%d/task/%s/schedstat" % (p, thread)) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
    return total


def resident(pid):
    total = 0
    for p in tree(pid):
        with open("/proc/%d/statm" % p) as f:
            total += int(f.read().split()[1])
    return total * resource.getpagesize()


class Server:
    def __init__(self, who, paths, workers, cpus, folder):
        words, self.port = command(who, paths, workers, folder)
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        if self.port is None:
            line = self.process.stdout.readline().decode()
            found = re.search(r"http://[\d.]+:(\d+)", line)
            if found is None:
                self.stop()
                raise RuntimeError("%s did not start" % who)
            self.port = int(found.group(1))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError("%s does not listen" % who)

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass
        self.process.stdout.close()
        self.process.wait()


UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


def wrk(port, connections, seconds, cpus, script):
    words = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds,
             "--latency", "http://127.0.0.1:%d/plaintext" % port]
    if script:
        words[1:1] = ["-s", script]
    text = subprocess.run(
        words, stdout=subprocess.PIPE, check=True, universal_newlines=True,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus)).stdout
    if "Socket errors" in text or "Non-2xx" in text:
        raise RuntimeError("wrk: " + text)

    def percentile(which):
        found = re.search(r"\s%s%%\s+([\d.]+)(us|ms|s|m)" % which, text)
        return float(found.group(1)) * UNITS[found.group(2)]

    return {"requests": int(re.search(r"(\d+) requests in", text).group(1)),
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)",
                                    text).group(1)),
            "p50": percentile(50), "p99": percentile(99)}


class Load:
    """One server, one load; its CPU time over that load."""

    def __init__(self, who, connections, workers=1, pipelined=False):
        self.who, self.connections = who, connections
        self.workers, self.pipelined = workers, pipelined

    def programs(self):
        return [{"weft": "demo_http", "go": "go_http"}.get(self.who, self.who)]

    def run(self, paths, group, seconds):
        both = os.sched_getaffinity(0)
        first = {min(both)} if self.workers == 1 else both
        second = {max(both)} if self.workers == 1 else both
        seconds = max(1, round(seconds * 4))
        script = None
        if self.pipelined:
            script = os.path.join(paths["folder"], "pipeline.lua")
            with open(script, "w") as f:
                f.write(PIPELINE)
        server = Server(self.who, paths, self.workers, first, paths["folder"])
        try:
            before = cpu_ns(server.process.pid)
            got = wrk(server.port, self.connections, seconds, second, script)
            used = cpu_ns(server.process.pid) - before
        finally:
            server.stop()
        return {group: got["requests"] / used * 1e6,
                group + "_rate": got["rate"] / 1e3,
                group + "_p50": got["p50"], group + "_p99": got["p99"]}


class Idle:
    """Connections that had one answer and are kept: what each holds."""

    def __init__(self, who):
        self.who = who

    def programs(self):
        return Load(self.who, 1).programs()

    def run(self, paths, group, _):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        server = Server(self.who, paths, 1, os.sched_getaffinity(0),
                        paths["folder"])
        ask = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n"
        kept = []
        try:
            for i in range(IDLE + 100):
                if i == 100:
                    before = resident(server.process.pid)
                s = socket.create_connection(("127.0.0.1", server.port), 5)
                s.sendall(ask)
                if not s.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("%s did not answer" % self.who)
                kept.append(s)
            time.sleep(0.2)
            bytes_each = (resident(server.process.pid) - before) / IDLE
        finally:
            server.stop()
            for s in kept:
                s.close()
        return {group: bytes_each}


def load_group(name, who, connections, goals, late=True, **more):
    figures = [Figure(name, "k/cpu-s", *goals, more_is_better=True),
               Figure(name + "_rate", "k/s", more_is_better=True)]
    if late:
        figures += [Figure(name + "_p50", "ms"),
                    Figure(name + "_p99", "ms", Goal("hyper", most=1.0),
                           Goal("nginx", most=1.0))]
    return Group(name, {w: Load(w, connections, **more) for w in who}, figures)


EVERYONE = ("weft", "hyper", "nginx", "epoll", "go")
PLAIN = [Goal("hyper", least=1.05), Goal("nginx", least=1.05),
         Goal("epoll", least=0.9)]

GROUPS = [load_group("http_%d" % n, EVERYONE, n, PLAIN)
          for n in (16, 64, 256, 1000)] + [
    load_group("http_pipelined", ("weft", "hyper", "epoll"), 64,
               [Goal("hyper", least=1.0)], pipelined=True, late=False),
    load_group("http_2w", ("weft", "hyper", "go"), 64,
               [Goal("hyper", least=1.0)], workers=2),
    # 1.3 parked tasks of 4,121 bytes.
    Group("http_idle", {w: Idle(w) for w in EVERYONE},
          [Figure("http_idle", "bytes", Goal(None, most=5357))]),
]


def has_wrk():
    return shutil.which("wrk") is not None
