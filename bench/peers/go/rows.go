// SPDX-License-Identifier: MIT

// Go's side of bench/compare: `rows ROW` prints "NAME VALUE UNIT" lines.
//
// Written to be fast: wait groups instead of channels where a result is joined,
// one allocation per node, and a collector that starts later (GOGC 400). Each row
// does what weft's row of the same name does (docs/benchmarks.md).
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const million = 1000000

func show(row string, value float64, unit string) {
	fmt.Printf("%s %.4f %s\n", row, value, unit)
}

// The median time of `rounds` calls in ns, after one that warms up.
func median(rounds int, f func()) float64 {
	f()
	times := make([]float64, rounds)
	for i := range times {
		begin := time.Now()
		f()
		times[i] = float64(time.Since(begin).Nanoseconds())
	}
	slices.Sort(times)
	return times[rounds/2]
}

func yields(row string, tasks int) {
	var stop atomic.Bool
	for i := 1; i < tasks; i++ {
		go func() {
			for !stop.Load() {
				runtime.Gosched()
			}
		}()
	}
	rounds := 2000000 / tasks
	t := median(7, func() {
		for i := 0; i < rounds; i++ {
			runtime.Gosched()
		}
	})
	stop.Store(true)
	show(row, t/float64(rounds*tasks), "ns")
}

func done(wg *sync.WaitGroup) {
	wg.Done()
}

func spawnAll(wg *sync.WaitGroup, count int) {
	wg.Add(count)
	for i := 0; i < count; i++ {
		go done(wg)
	}
	wg.Wait()
}

func spawnJoin(row string) {
	var wg sync.WaitGroup
	t := median(7, func() {
		for i := 0; i < 5000; i++ {
			spawnAll(&wg, 100)
		}
	})
	show(row, t/500000, "ns")
}

func spawnMillion(row string) {
	var wg sync.WaitGroup
	begin := time.Now()
	spawnAll(&wg, million)
	show(row, float64(time.Since(begin).Nanoseconds())/million, "ns")
	show(row+"_again", median(5, func() { spawnAll(&wg, million) })/million, "ns")
}

func channel(row string) {
	const trips = 200000
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for v := range there {
			back <- v
		}
	}()
	t := median(7, func() {
		for i := uint64(0); i < trips; i++ {
			there <- i
			<-back
		}
	})
	close(there)
	show(row, t/trips, "ns")
}

// What ten children share with their parent: one allocation.
type family struct {
	wg  sync.WaitGroup
	sum atomic.Uint64
}

func skynetNode(up *family, first, count uint64) {
	if count == 1 {
		up.sum.Add(first)
		up.wg.Done()
		return
	}
	f := new(family)
	f.wg.Add(10)
	part := count / 10
	for i := uint64(0); i < 10; i++ {
		go skynetNode(f, first+i*part, part)
	}
	f.wg.Wait()
	up.sum.Add(f.sum.Load())
	up.wg.Done()
}

func skynet(row string) {
	t := median(3, func() {
		var root family
		root.wg.Add(1)
		go skynetNode(&root, 0, million)
		root.wg.Wait()
		if root.sum.Load() != 499999500000 {
			panic("wrong sum")
		}
	})
	show(row, t/1e6, "ms")
}

type half struct {
	wg    sync.WaitGroup
	value uint64
}

func fibTask(h *half, n uint64) {
	h.value = fib(n)
	h.wg.Done()
}

func fib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	left := new(half)
	left.wg.Add(1)
	go fibTask(left, n-1)
	right := fib(n - 2)
	left.wg.Wait()
	return left.value + right
}

func fibRow(row string) {
	t := median(1, func() {
		if fib(32) != 2178309 {
			panic("wrong sum")
		}
	})
	show(row, t/1e6, "ms")
}

func resident() float64 {
	var size, pages float64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	fmt.Sscan(strings.TrimSpace(string(text)), &size, &pages)
	return pages * 4096
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func parked(row string) {
	var waiting atomic.Int64
	var wg sync.WaitGroup
	gate := make(chan struct{})
	before := resident()
	begin := time.Now()
	wg.Add(million)
	for i := 0; i < million; i++ {
		go func() {
			waiting.Add(1)
			<-gate
			wg.Done()
		}()
	}
	for waiting.Load() < million {
		runtime.Gosched()
	}
	made := time.Since(begin)
	bytes := resident() - before
	begin = time.Now()
	close(gate)
	wg.Wait()
	woken := time.Since(begin)
	show(row+"_bytes", bytes/million, "bytes")
	show(row+"_make", float64(made.Nanoseconds())/million, "ns")
	show(row+"_wake", float64(woken.Nanoseconds())/million, "ns")
}

// Deadlines lie one per microsecond in mixed order, 12 s after the beginning.
func sleepers(row string) {
	late := make([]int64, million)
	var waiting atomic.Int64
	var wg sync.WaitGroup
	before := cpuSeconds()
	begin := time.Now().Add(12 * time.Second)
	wg.Add(million)
	for i := 0; i < million; i++ {
		go func() {
			step := uint64(i) * 611953 % million
			deadline := begin.Add(time.Duration(step) * time.Microsecond)
			waiting.Add(1)
			time.Sleep(time.Until(deadline))
			late[i] = time.Since(deadline).Nanoseconds()
			wg.Done()
		}()
	}
	for waiting.Load() < million {
		time.Sleep(10 * time.Millisecond)
	}
	if time.Now().After(begin) {
		panic("the first deadline came before the last task")
	}
	asleep := cpuSeconds()
	wg.Wait()
	after := cpuSeconds()
	slices.Sort(late)
	show(row+"_p50", float64(late[million/2])/1e6, "ms")
	show(row+"_p99", float64(late[million/100*99])/1e6, "ms")
	show(row+"_cpu", after-before, "s")
	show(row+"_fire_cpu", after-asleep, "s")
}

func main() {
	debug.SetGCPercent(400)
	for _, row := range os.Args[1:] {
		workers := 1
		switch row {
		case "spawn_join_2w", "channel_2w", "skynet", "fib", "parked", "sleepers":
			workers = 2
		}
		runtime.GOMAXPROCS(workers)
		switch row {
		case "yield_2":
			yields(row, 2)
		case "yield_1000":
			yields(row, 1000)
		case "spawn_join", "spawn_join_2w":
			spawnJoin(row)
		case "spawn_1m":
			spawnMillion(row)
		case "channel", "channel_2w":
			channel(row)
		case "skynet":
			skynet(row)
		case "fib":
			fibRow(row)
		case "parked":
			parked(row)
		case "sleepers":
			sleepers(row)
		default:
			fmt.Fprintln(os.Stderr, "no row", row)
			os.Exit(2)
		}
	}
}
