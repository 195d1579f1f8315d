//! Beside a CPU hog nothing hangs: shards go on, and a broker starts, serves and stops many times.
//!
//! glommio 0.9.0 can park for ever with runnable tasks: when the thread loses its CPU after the preempt timer was set and
//! before anything ran, and gets it back after the timer. It is shown here first, with a preempt timer of 1 ms and the
//! heartbeat off; docs/decisions/001 has the figures. `DURAMEN_CONTENTION=100` starts the broker so many times.

mod bare;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bare::client::batch;
use bare::{Broker, LOOK};
use duramen::runtime::{Pool, ShardId, Spec, spawn_shard};

const STARTS: usize = 30;
/// The preempt timer; the broker's own is one of 10 s, with which the same takes longer to happen.
const PREEMPT: Duration = Duration::from_millis(1);
/// Shards that run side by side, for each CPU. They are each other's hogs.
const SHARDS_PER_CPU: usize = 4;
/// A shard that has done nothing for so long hangs: it has its turn after milliseconds.
const HUNG: Duration = Duration::from_secs(5);
/// How long one of the shards is waited for to hang, and how long none may.
const TO_HANG_MAX: Duration = Duration::from_secs(120);
const TO_LIVE: Duration = Duration::from_secs(20);

/// Threads that use all CPUs until dropped.
struct Hogs(Arc<AtomicBool>);

impl Hogs {
    fn start() -> Hogs {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..2 * thread::available_parallelism().map_or(1, usize::from) {
            let over = over.clone();
            thread::spawn(move || while !over.load(Ordering::Relaxed) {});
        }
        Hogs(over)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shards that do nothing but yield, and count it.
struct Yielding {
    counts: Vec<Arc<AtomicU64>>,
    over: Arc<AtomicBool>,
}

impl Yielding {
    fn start(heartbeat: Option<Duration>) -> Yielding {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let over = Arc::new(AtomicBool::new(false));
        let counts = (0..cpus * SHARDS_PER_CPU).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let yielding = Yielding { counts, over };
        for count in &yielding.counts {
            let (count, over) = (count.clone(), yielding.over.clone());
            let mut spec = Spec::new(ShardId(0), Pool::new(1, 1));
            (spec.preempt_timer, spec.heartbeat) = (PREEMPT, heartbeat);
            let shard = spawn_shard(spec, |reactor| async move {
                while !over.load(Ordering::Relaxed) {
                    reactor.yield_now().await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
            // One that hangs is never joined.
            drop(shard.expect("a shard can be made"));
        }
        yielding
    }

    /// Watches for `limit`; how long it took until one of the shards had hung for [`HUNG`].
    fn first_to_hang(&self, limit: Duration) -> Option<Duration> {
        let began = Instant::now();
        let count = |shard: &Arc<AtomicU64>| shard.load(Ordering::Relaxed);
        let mut seen: Vec<_> = self.counts.iter().map(|shard| (count(shard), began)).collect();
        while began.elapsed() < limit {
            thread::sleep(LOOK);
            for (shard, (last, since)) in self.counts.iter().zip(&mut seen) {
                if count(shard) != *last {
                    (*last, *since) = (count(shard), Instant::now());
                } else if since.elapsed() >= HUNG {
                    return Some(began.elapsed());
                }
            }
        }
        None
    }
}

impl Drop for Yielding {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

#[test]
fn without_a_heartbeat_a_shard_hangs_and_with_one_none_does() {
    let without = Yielding::start(None).first_to_hang(TO_HANG_MAX);
    println!("without a heartbeat, one was found hanging after {without:?}");
    assert!(without.is_some(), "no shard hung: the heartbeat cannot be seen to be needed");
    let every = Spec::new(ShardId(0), Pool::new(1, 1)).heartbeat;
    let with = Yielding::start(every).first_to_hang(TO_LIVE);
    assert_eq!(with, None, "a shard hangs although its heart beats");
}

#[test]
fn a_broker_starts_serves_and_stops() {
    let starts = std::env::var("DURAMEN_CONTENTION").ok().map_or(STARTS, |count| count.parse().expect("a number"));
    let _hogs = Hogs::start();
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let mut longest = Duration::ZERO;
    for number in 0..starts {
        let began = Instant::now();
        let broker = Broker::start(&data, &["--memory", "128M", "--shards", "2"]);
        let mut client = broker.client();
        if number == 0 {
            assert_eq!(client.create_topics(&["steady"], 1), [0]);
        }
        let offset = i64::try_from(number).unwrap();
        assert_eq!(client.produce("steady", 0, batch([&b"x"[..]])), (0, offset));
        broker.stop();
        longest = longest.max(began.elapsed());
    }
    println!("{starts} times, the longest took {} ms", longest.as_millis());
}
