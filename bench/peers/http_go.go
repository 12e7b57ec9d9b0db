// SPDX-License-Identifier: MIT

// A peer for http_bench: Go's own HTTP server with the paths that are measured.
// Goroutines are preempted by signals, as weft's tasks are.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// The loop of demo_http/burn.c: each round needs the one before it.
//
//go:noinline
func burn(rounds uint64) uint64 {
	x := rounds | 1
	for i := uint64(0); i < rounds; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func calibrate() uint64 {
	var best uint64
	for i := 0; i < 5; i++ {
		const rounds = 4000000
		start := time.Now()
		burn(rounds)
		rate := uint64(rounds * 1e6 / float64(time.Since(start).Nanoseconds()))
		if rate > best {
			best = rate
		}
	}
	return best
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Parse()
	perMs := calibrate()
	hello := []byte("Hello, World!")
	http.HandleFunc("/plaintext", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(hello)
	})
	http.HandleFunc("/cpu", func(w http.ResponseWriter, r *http.Request) {
		ms, err := strconv.ParseUint(r.URL.Query().Get("ms"), 10, 64)
		if err != nil || ms < 1 || ms > 10000 {
			http.Error(w, "ms=N with N from 1 to 10000", 400)
			return
		}
		fmt.Fprintf(w, "burnt %d ms of CPU (%x)\n", ms, burn(ms*perMs))
	})
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	http.Serve(listener, nil)
}
