#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What medians can wrk see beside hogs? A model of the best case.

    bazel run //bench:median_model

16 connections ask in turn; light tasks and wrk have, together, a share of one
CPU (as in http_bench, hogs have the rest of both). They use it in bursts: in
each, `set` connections go round and round, all others stand; then the next set
has its burst. wrk answers and asks again at once, nobody is ever late, and what
a burst costs to begin is 30 us. Of that the program prints what wrk's report
would say with its correction (http_bench.py), the requests/s, and

    quick   the share of wrk's samples that are at most 0.15 ms: its median is
            one of these from 0.50 on.

A row for each cost of a request to server and wrk together, and each set: the
length of a burst is the one that makes `quick` largest with a p99 of 4.5 ms at
most. Nothing here is measured; docs/scheduler.md says what it is for.

Surprising: a share above 1 / (2 - l / e), where l is the mean of the quick
requests and e a connection's mean interval (the last column; docs/scheduler.md
shows why)."""

CONNECTIONS = 16
QUICK = 150  # us
P99 = 4500  # us
BEGIN = 30  # us that a burst costs
END = 400 * 1000  # us that are modelled


def corrected(samples, interval):
    """As wrk does it: stats_correct() of its stats.c."""
    out = []
    for sample in samples:
        while True:
            out.append(sample)
            sample -= interval
            if sample <= interval:
                break
    return out


def percentile(samples, which):
    samples = sorted(samples)
    return samples[min(len(samples) - 1, len(samples) * which // 100)]


def run(share, cost, size, burst):
    """The latencies, in us, and for how long they were collected."""
    samples = []
    waiting = [(0.0, i) for i in range(CONNECTIONS)]  # sent when, by whom
    now = 0.0
    while now < END:
        going, waiting = waiting[:size], waiting[size:]
        at = now + BEGIN
        while at + size * cost <= now + burst:
            # The server answers all, then wrk reads all and asks again.
            again = []
            for place, (sent, who) in enumerate(going):
                read = at + size * cost - (size - 1 - place) * cost / 2
                samples.append(read - sent)
                again.append((read, who))
            going = again
            at += size * cost
        waiting += going
        now += burst / share
    return samples, now


def row(share, cost, size):
    best = None
    for rounds in range(2, 40):
        burst = BEGIN + rounds * size * cost + 1
        samples, end = run(share, cost, size, burst)
        interval = end * CONNECTIONS / len(samples)
        seen = corrected(samples, interval)
        if percentile(seen, 99) > P99:
            break
        quick = [sample for sample in samples if sample <= QUICK]
        if not quick:
            continue
        mean = sum(quick) / len(quick)
        figures = (len(quick) / len(seen), burst / 1e3,
                   1e6 * len(samples) / end, percentile(seen, 50) / 1e3,
                   percentile(seen, 99) / 1e3, percentile(samples, 50) / 1e3,
                   1 / (2 - mean / interval))
        best = max(best or figures, figures)
    return best


def main():
    print("share cost us  set  burst ms  requests/s   p50  p99 ms  own p50 "
          "quick  at most")
    for share in (0.35, 0.5):
        for cost in (12, 16, 20):
            for size in (4, 6, 8):
                best = row(share, cost, size)
                if best is not None:
                    print("%5.2f %7d %4d %9.2f %11.0f %5.2f %7.1f %8.3f %5.2f"
                          " %8.2f" % ((share, cost, size) + best[1:6] +
                                      (best[0], best[6])))


if __name__ == "__main__":
    main()
