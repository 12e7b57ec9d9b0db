// SPDX-License-Identifier: MIT

//! Tokio's side of bench/compare: `rows ROW` prints "NAME VALUE UNIT" lines.
//!
//! Written to be fast: no drivers where no row needs them, mimalloc, whole
//! program optimisation, no boxed futures. Each row does what weft's row of the
//! same name does (docs/benchmarks.md says what that is).

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, Notify};
use tokio::task::{yield_now, JoinHandle};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MILLION: usize = 1_000_000;

fn print(row: &str, value: f64, unit: &str) {
    println!("{row} {value:.4} {unit}");
}

fn one() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn two() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

/// The median time of `rounds` calls in ns, after one that warms up.
async fn median<F, Fut>(rounds: usize, mut f: F) -> f64
where
    F: FnMut() -> Fut,
    Fut: Future<Output = ()>,
{
    f().await;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        f().await;
        times.push(begin.elapsed().as_nanos() as f64);
    }
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

fn yields(row: &str, tasks: usize) {
    const ROUNDS: usize = 2_000_000;
    let stop = Arc::new(AtomicBool::new(false));
    let time = one().block_on(async move {
        tokio::spawn(async move {
            for _ in 1..tasks {
                let stop = stop.clone();
                tokio::spawn(async move {
                    while !stop.load(Relaxed) {
                        yield_now().await;
                    }
                });
            }
            let rounds = ROUNDS / tasks;
            let time = median(7, || async {
                for _ in 0..rounds {
                    yield_now().await;
                }
            })
            .await;
            stop.store(true, Relaxed);
            time / (rounds * tasks) as f64
        })
        .await
        .unwrap()
    });
    print(row, time, "ns");
}

async fn spawn_all(handles: &mut Vec<JoinHandle<()>>, count: usize) {
    for _ in 0..count {
        handles.push(tokio::spawn(async {}));
    }
    for handle in handles.drain(..) {
        handle.await.unwrap();
    }
}

fn spawn_join(row: &str, runtime: Runtime) {
    let time = runtime.block_on(async {
        tokio::spawn(async {
            median(7, || async {
                let mut handles = Vec::with_capacity(100);
                for _ in 0..5_000 {
                    spawn_all(&mut handles, 100).await;
                }
            })
            .await
        })
        .await
        .unwrap()
    });
    print(row, time / 500_000.0, "ns");
}

fn spawn_1m(row: &str) {
    one().block_on(async {
        let mut handles = Vec::with_capacity(MILLION);
        let begin = Instant::now();
        spawn_all(&mut handles, MILLION).await;
        let first = begin.elapsed().as_nanos() as f64;
        let mut times = Vec::new();
        for _ in 0..5 {
            let begin = Instant::now();
            spawn_all(&mut handles, MILLION).await;
            times.push(begin.elapsed().as_nanos() as f64);
        }
        times.sort_by(f64::total_cmp);
        print(row, first / MILLION as f64, "ns");
        print(&format!("{row}_again"), times[2] / MILLION as f64, "ns");
    });
}

/// What travels: a value, and where to answer.
struct Message(u64, Option<oneshot::Sender<Message>>);

/// A fresh oneshot channel for each way, which is Tokio's fastest.
fn channel(row: &str, runtime: Runtime) {
    const TRIPS: usize = 200_000;
    let time = runtime.block_on(async {
        let (first, mut inbox) = oneshot::channel::<Message>();
        tokio::spawn(async move {
            while let Ok(Message(value, Some(reply))) = inbox.await {
                let (next, next_inbox) = oneshot::channel();
                inbox = next_inbox;
                if reply.send(Message(value, Some(next))).is_err() {
                    break;
                }
            }
        });
        tokio::spawn(async move {
            let mut partner = Some(first);
            let mut times = Vec::new();
            for _ in 0..8 {
                let begin = Instant::now();
                for i in 0..TRIPS {
                    let (tx, rx) = oneshot::channel();
                    let _ = partner
                        .take()
                        .unwrap()
                        .send(Message(i as u64, Some(tx)));
                    partner = rx.await.unwrap().1;
                }
                times.push(begin.elapsed().as_nanos() as f64);
            }
            times.remove(0);
            times.sort_by(f64::total_cmp);
            times[3]
        })
        .await
        .unwrap()
    });
    print(row, time / TRIPS as f64, "ns");
}

fn skynet_node(first: u64, count: u64) -> JoinHandle<u64> {
    tokio::spawn(async move {
        if count == 1 {
            return first;
        }
        let part = count / 10;
        let children: [JoinHandle<u64>; 10] =
            std::array::from_fn(|i| skynet_node(first + i as u64 * part, part));
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap();
        }
        sum
    })
}

fn skynet(row: &str) {
    let time = two().block_on(async {
        tokio::spawn(median(3, || async {
            assert_eq!(
                skynet_node(0, 1_000_000).await.unwrap(),
                499_999_500_000
            );
        }))
        .await
        .unwrap()
    });
    print(row, time / 1e6, "ms");
}

/// The left half is a task, the right one goes on here: its recursion is a loop,
/// since an async fn cannot call itself without a box.
fn fib_task(n: u64) -> JoinHandle<u64> {
    tokio::spawn(fib_body(n))
}

async fn fib_body(mut n: u64) -> u64 {
    let mut left: [Option<JoinHandle<u64>>; 16] = Default::default();
    let mut depth = 0;
    while n >= 2 {
        left[depth] = Some(fib_task(n - 1));
        depth += 1;
        n -= 2;
    }
    while depth > 0 {
        depth -= 1;
        n += left[depth].take().unwrap().await.unwrap();
    }
    n
}

fn fib(row: &str) {
    let time = two().block_on(async {
        tokio::spawn(median(1, || async {
            assert_eq!(fib_task(32).await.unwrap(), 2_178_309);
        }))
        .await
        .unwrap()
    });
    print(row, time / 1e6, "ms");
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn cpu_seconds() -> f64 {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn parked(row: String) {
    two().block_on(async {
        tokio::spawn(async move {
            let notify = Arc::new(Notify::new());
            let waiting = Arc::new(AtomicUsize::new(0));
            let before = resident();
            let begin = Instant::now();
            for _ in 0..MILLION {
                let (notify, waiting) = (notify.clone(), waiting.clone());
                tokio::spawn(async move {
                    let wait = notify.notified();
                    tokio::pin!(wait);
                    wait.as_mut().enable();
                    waiting.fetch_add(1, Relaxed);
                    wait.await;
                    waiting.fetch_sub(1, Relaxed);
                });
            }
            while waiting.load(Relaxed) < MILLION {
                yield_now().await;
            }
            let made = begin.elapsed().as_nanos() as f64;
            let bytes = resident() - before;
            let begin = Instant::now();
            notify.notify_waiters();
            while waiting.load(Relaxed) > 0 {
                yield_now().await;
            }
            let woken = begin.elapsed().as_nanos() as f64;
            print(&format!("{row}_bytes"), bytes / MILLION as f64, "bytes");
            print(&format!("{row}_make"), made / MILLION as f64, "ns");
            print(&format!("{row}_wake"), woken / MILLION as f64, "ns");
        })
        .await
        .unwrap()
    });
}

/// Deadlines lie one per microsecond in mixed order, 12 s after the beginning.
fn sleepers(row: String) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(async move {
            let waiting = Arc::new(AtomicUsize::new(0));
            let before = cpu_seconds();
            let begin = Instant::now() + Duration::from_secs(12);
            let mut handles = Vec::with_capacity(MILLION);
            for i in 0..MILLION {
                let waiting = waiting.clone();
                handles.push(tokio::spawn(async move {
                    let step = i as u64 * 611_953 % MILLION as u64;
                    let deadline = begin + Duration::from_micros(step);
                    waiting.fetch_add(1, Relaxed);
                    tokio::time::sleep_until(deadline.into()).await;
                    deadline.elapsed().as_nanos() as u64
                }));
            }
            while waiting.load(Relaxed) < MILLION {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(Instant::now() < begin, "not all asleep in time");
            let asleep = cpu_seconds();
            let mut late = Vec::with_capacity(MILLION);
            for handle in handles {
                late.push(handle.await.unwrap());
            }
            let after = cpu_seconds();
            late.sort_unstable();
            let ms = |i: usize| late[i] as f64 / 1e6;
            print(&format!("{row}_p50"), ms(MILLION / 2), "ms");
            print(&format!("{row}_p99"), ms(MILLION / 100 * 99), "ms");
            print(&format!("{row}_cpu"), after - before, "s");
            print(&format!("{row}_fire_cpu"), after - asleep, "s");
        })
        .await
        .unwrap()
    });
}

fn main() {
    for row in std::env::args().skip(1) {
        match row.as_str() {
            "yield_2" => yields(&row, 2),
            "yield_1000" => yields(&row, 1000),
            "spawn_join" => spawn_join(&row, one()),
            "spawn_join_2w" => spawn_join(&row, two()),
            "spawn_1m" => spawn_1m(&row),
            "channel" => channel(&row, one()),
            "channel_2w" => channel(&row, two()),
            "skynet" => skynet(&row),
            "fib" => fib(&row),
            "parked" => parked(row),
            "sleepers" => sleepers(row),
            _ => panic!("no row {row}"),
        }
    }
}
