# SPDX-License-Identifier: MIT
"""The rows of bench/compare: who is run how, and what weft is to reach.

A group is one run of one program and gives one or more figures; a figure is a
line of the table. docs/benchmarks.md says what each does."""

import json
import subprocess

LIMIT = 120  # seconds that one run of a program may take


class Lines:
    """A program that prints "NAME VALUE UNIT" lines for the row it is told."""

    def __init__(self, program):
        self.program = program

    def programs(self):
        return [self.program]

    def run(self, paths, group, _):
        text = subprocess.run(
            [paths[self.program], group], stdout=subprocess.PIPE, check=True,
            universal_newlines=True, timeout=LIMIT).stdout
        words = [line.split() for line in text.splitlines()]
        return {w[0]: float(w[1]) for w in words if len(w) == 3}


class Bench:
    """One benchmark of a Google Benchmark binary: its time, divided by what an
    iteration does, or one of its counters."""

    def __init__(self, program, name, figure=None, per=1.0, counter=None,
                 scale=1.0):
        self.program, self.name, self.figure = program, name, figure
        self.per, self.counter, self.scale = per, counter, scale

    def programs(self):
        return [self.program]

    def run(self, paths, group, seconds):
        text = subprocess.run(
            [paths[self.program], "--benchmark_filter=^%s$" % self.name,
             "--benchmark_format=json", "--benchmark_min_time=%g" % seconds],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
            universal_newlines=True, timeout=LIMIT).stdout
        found = json.loads(text)["benchmarks"]
        if len(found) > 1:  # repeated
            found = [f for f in found if f.get("aggregate_name") == "median"]
        if len(found) != 1:
            raise RuntimeError("%s matches %d" % (self.name, len(found)))
        if self.counter:
            value = found[0][self.counter] * self.scale
        else:
            value = found[0]["real_time"] / self.per
        return {self.figure or group: value}


class Several:
    """Runs that together give a group's figures."""

    def __init__(self, *parts):
        self.parts = parts

    def programs(self):
        return [name for part in self.parts for name in part.programs()]

    def run(self, paths, group, seconds):
        found = {}
        for part in self.parts:
            found.update(part.run(paths, group, seconds))
        return found


class Goal:
    """weft's figure against `peer` ("best": the best of all but `floors`): a
    ratio of at most `most` or at least `least`; without a peer, a value."""

    def __init__(self, peer, most=None, least=None):
        self.peer, self.most, self.least = peer, most, least


class Figure:
    def __init__(self, name, unit, *goals, more_is_better=False):
        self.name, self.unit, self.goals = name, unit, goals
        self.more_is_better = more_is_better


class Group:
    def __init__(self, name, runs, figures):
        self.name, self.runs, self.figures = name, runs, figures


def lines(*who):
    return {name: Lines(name) for name in who}


def group(name, weft, peers, *figures):
    runs = {"weft": weft}
    runs.update(peers)
    return Group(name, runs, figures)


def one(name, unit, weft, peers, *goals):
    return group(name, weft, peers, Figure(name, unit, *goals))


def sched(name, **more):
    return Bench("sched_bench", "BM_" + name, **more)


def switch(name, figure):
    return Bench("switch_peers_bench", name, figure=figure, counter="one_way",
                 scale=1e9)


def queue(operation, *goals, crossbeam=True, floor=None):
    """weft: the block queue; local: the scheduler's, which is the ring with
    counters; crossbeam where it has the row; floor: what the machine wants."""
    def of(which):
        return Bench("queue_peers_bench", "%s/%s/.*" % (which, operation))
    peers = {"ring": of("lockfree"), "local": of("local"), "ck": of("ck_ring"),
             "moodycamel": of("moodycamel"), "tbb": of("tbb"),
             "deque": of("mutex_deque")}
    if crossbeam:
        peers["crossbeam"] = Lines("crossbeam")
    if floor:
        peers["floor"] = Bench("queue_peers_bench", "floor/%s/.*" % floor)
    return one("queue_" + operation, "ns", of("block"), peers, *goals)


GROUPS = [
    queue("push_pop", Goal("ck", most=0.4)),
    queue("steal_other", Goal("ck", most=0.8)),
    queue("mixed", crossbeam=False),
    queue("stream", Goal("crossbeam", most=0.85), floor="halves"),
    # A window of stacks that fits no first-level cache is bound by the second.
    group("switch",
          Several(switch("Switch", "switch_2"),
                  switch("Rotation/stacks:1000/colours:16", "switch_1000")),
          {"fcontext": switch("Boost", "switch_2")},
          Figure("switch_2", "ns", Goal("fcontext", most=0.6)),
          Figure("switch_1000", "ns", Goal("switch_2", most=3.0))),
    one("yield_2", "ns", sched("yield/2/real_time", per=2),
        lines("go", "tokio", "fiber"), Goal("go", most=0.4)),
    one("yield_1000", "ns", sched("yield/1000/real_time", per=1000),
        lines("go", "tokio", "fiber"), Goal("tokio", most=0.6)),
    one("spawn_join", "ns", sched("spawn_join/100/real_time", per=100),
        lines("go", "tokio", "fiber"), Goal("tokio", most=0.4)),
    one("spawn_join_2w", "ns",
        sched("spawn_join_2_workers/100/real_time", per=100),
        lines("go", "tokio")),
    group("spawn_1m",
          Several(sched("spawn_million/1000000/iterations:1/real_time"),
                  sched("spawn_million_again/1000000/iterations:3/real_time",
                        figure="spawn_1m_again")),
          lines("go", "tokio"),
          # A million of them in ms is one of them in ns.
          Figure("spawn_1m", "ns", Goal("tokio", most=0.65)),
          Figure("spawn_1m_again", "ns", Goal("tokio", most=0.65))),
    one("channel", "ns", sched("channel_round_trip/real_time"),
        lines("go", "tokio", "fiber"), Goal("tokio", most=0.4)),
    one("channel_2w", "ns", sched("channel_round_trip_2_workers/real_time"),
        lines("go", "tokio"), Goal("tokio", most=0.5)),
    one("skynet", "ms", sched("skynet_2_workers/real_time"),
        lines("go", "tokio"), Goal("tokio", most=0.5)),
    one("fib", "ms", sched("fib_2_workers/32/real_time"),
        lines("go", "tokio", "tbb"), Goal("tokio", most=0.5)),
    group("parked", Lines("scale_bench"), lines("go", "tokio"),
          Figure("parked_bytes", "bytes", Goal(None, most=4352)),
          Figure("parked_make", "ns", Goal("go", most=1.0)),
          Figure("parked_wake", "ns", Goal("go", most=1.0))),
    group("sleepers", Lines("scale_bench"), lines("go", "tokio"),
          Figure("sleepers_p50", "ms"),
          Figure("sleepers_p99", "ms", Goal("tokio", most=0.05)),
          Figure("sleepers_cpu", "s", Goal("tokio", most=0.5)),
          Figure("sleepers_fire_cpu", "s", Goal("tokio", most=0.5))),
    group("idle_conns", Lines("scale_bench"), {},
          Figure("idle_conns_wakes", "wakes", Goal(None, most=0)),
          Figure("idle_conns_cpu", "ms", Goal(None, most=0))),
]
