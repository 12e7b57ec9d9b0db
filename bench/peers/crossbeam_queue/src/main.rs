// SPDX-License-Identifier: MIT
//! The rows of bench/queue_template.h for crossbeam-deque: a worker in FIFO
//! mode, and a thief that takes batches (`steal_batch_and_pop`, half of what is
//! there, 32 at most) into a worker of its own.
//!
//!     cd bench/peers/crossbeam_queue && cargo run --release [ROW]
//!
//! Nine rounds of all rows in turn, or of that one, 1 M operations each; prints
//! `queue_ROW median ns`. What waits rests as in bench/queue_threads.h.

use crossbeam_deque::{Steal, Stealer, Worker};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const OPS: u64 = 1_000_000;
const SLOTS: usize = 256;
const BURST: usize = 128;
const ROUNDS: usize = 9;

/// What a queue carries: a pointer, never looked into.
#[derive(Clone, Copy)]
struct Node(#[allow(dead_code)] *const u8);
unsafe impl Send for Node {}

fn node(i: usize) -> Node {
    Node((i + 1) as *const u8)
}

/// Pins the calling thread to the nth of the CPUs that the process may use.
fn pin(all: &libc::cpu_set_t, nth: usize) -> bool {
    let cpus = (0..libc::CPU_SETSIZE as usize).filter(|&c| unsafe { libc::CPU_ISSET(c, all) });
    match cpus.skip(nth).next() {
        None => false,
        Some(cpu) => unsafe {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            libc::sched_setaffinity(0, std::mem::size_of_val(&one), &one) == 0
        },
    }
}

fn relax(rounds: &mut u32) {
    (0..16).for_each(|_| std::hint::spin_loop());
    *rounds += 1;
    if *rounds % 1024 == 0 {
        thread::yield_now();
    }
}

fn per_op(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / OPS as f64
}

fn push_pop() -> f64 {
    let q = Worker::new_fifo();
    let start = Instant::now();
    for i in 0..OPS as usize {
        q.push(node(i % SLOTS));
        assert!(q.pop().is_some());
    }
    per_op(start)
}

fn burst() -> f64 {
    let q = Worker::new_fifo();
    let start = Instant::now();
    for _ in 0..OPS as usize / BURST {
        for i in 0..BURST {
            q.push(node(i));
        }
        for _ in 0..BURST {
            assert!(q.pop().is_some());
        }
    }
    per_op(start)
}

/// Everything that there is: steals of batches, each of which is then popped.
fn take_all(from: &Stealer<Node>, mine: &Worker<Node>) -> u64 {
    let mut count = 0;
    loop {
        match from.steal_batch_and_pop(mine) {
            Steal::Success(_) => {
                count += 1;
                while mine.pop().is_some() {
                    count += 1;
                }
            }
            Steal::Retry => {}
            Steal::Empty => return count,
        }
    }
}

/// The owner fills on one CPU, the thief is timed on the other.
fn steal_other(all: &libc::cpu_set_t) -> f64 {
    let q = Worker::new_fifo();
    let stealer = q.stealer();
    let turn = AtomicU64::new(0);
    let wait = |want: u64| {
        let mut rounds = 0;
        while turn.load(Ordering::Acquire) != want {
            relax(&mut rounds);
        }
    };
    let mut spent = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(all, 1);
            let q = q;
            for round in 0..OPS / SLOTS as u64 {
                wait(2 * round);
                (0..SLOTS).for_each(|i| q.push(node(i)));
                turn.store(2 * round + 1, Ordering::Release);
            }
        });
        let mine = Worker::new_fifo();
        for round in 0..OPS / SLOTS as u64 {
            wait(2 * round + 1);
            let start = Instant::now();
            assert_eq!(take_all(&stealer, &mine), SLOTS as u64);
            spent += start.elapsed().as_nanos();
            turn.store(2 * round + 2, Ordering::Release);
        }
    });
    spent as f64 / OPS as f64
}

/// What a thief must catch, or it rests: as in bench/queue_template.h.
const GOOD_CATCH: u64 = 32;

/// The owner pushes all the while, and a worker grows as it needs to: waiting
/// for room, as a ring's owner must, would only slow it. The thief takes batches.
fn stream(all: &libc::cpu_set_t) -> f64 {
    let q = Worker::new_fifo();
    let stealer = q.stealer();
    let started = AtomicBool::new(false);
    let mut took = 0.0;
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(all, 1);
            let q = q;
            started.store(true, Ordering::Release);
            for i in 0..OPS as usize {
                q.push(node(i % SLOTS));
            }
        });
        let mut rounds = 0;
        while !started.load(Ordering::Acquire) {
            relax(&mut rounds);
        }
        let mine = Worker::new_fifo();
        let start = Instant::now();
        let mut got = 0;
        while got < OPS {
            let mut caught = 0;
            match stealer.steal_batch_and_pop(&mine) {
                Steal::Success(_) => {
                    caught += 1;
                    while mine.pop().is_some() {
                        caught += 1;
                    }
                }
                Steal::Retry => continue,
                Steal::Empty => {}
            }
            got += caught;
            if caught < GOOD_CATCH {
                relax(&mut rounds);
            }
        }
        took = per_op(start);
    });
    took
}

fn main() {
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    unsafe { libc::sched_getaffinity(0, std::mem::size_of_val(&all), &mut all) };
    if !pin(&all, 1) {
        eprintln!("needs a second CPU");
        std::process::exit(1);
    }
    pin(&all, 0);
    let rows: [(&str, &dyn Fn() -> f64); 4] = [
        ("push_pop", &push_pop),
        ("burst", &burst),
        ("steal_other", &|| steal_other(&all)),
        ("stream", &|| stream(&all)),
    ];
    let wanted = std::env::args().nth(1);
    let is_wanted = |name: &str| wanted.as_ref().map_or(true, |w| *w == format!("queue_{name}"));
    let rows: Vec<_> = rows.iter().filter(|(name, _)| is_wanted(name)).collect();
    let mut figures = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (i, (_, row)) in rows.iter().enumerate() {
            figures[i].push(row());
        }
    }
    for (i, (name, _)) in rows.iter().enumerate() {
        figures[i].sort_by(|a, b| a.partial_cmp(b).unwrap());
        println!("queue_{} {:.2} ns", name, figures[i][ROUNDS / 2]);
    }
}
