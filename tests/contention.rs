//! Beside a CPU hog nothing hangs: a broker starts, serves and stops many times, and a shard runs to its end.
//!
//! glommio 0.9.0 can park for ever with runnable tasks. It is shown here first, with the heartbeat off. With a preempt
//! timer of 1 ms 1 of 345 shards hung, on two CPUs beside four hogs; with one of 20 us 4 of 41, so that the test takes
//! that to see one soon. The heartbeat is tried with 1 ms: the broker's own timer is one of 10 s, and at 20 us, where
//! nearly every pass is preempted, shards with a heartbeat stand still for longer than 10 s too.
//! `DURAMEN_CONTENTION=100` starts the broker so many times.

mod bare;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bare::client::batch;
use bare::{Broker, LOOK};
use duramen::runtime::{Pool, ShardId, Spec, TaskClass, spawn_shard};

const STARTS: usize = 30;
/// Shards that are run at most to see one hang.
const TO_HANG_MAX: usize = 400;
/// Shards with a heartbeat, none of which may hang.
const TO_LIVE: usize = 60;
/// A shard's work here takes milliseconds; one that has taken so long hangs.
const HUNG: Duration = Duration::from_secs(10);
/// The preempt timer that brings the hang forth soon, and the one with which the heartbeat is tried.
const TO_HANG: Duration = Duration::from_micros(20);
const TO_BEAT: Duration = Duration::from_millis(1);

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

/// Runs a shard whose tasks yield and sleep; whether it came to its end.
fn runs_to_its_end(preempt_timer: Duration, heartbeat: Option<Duration>) -> bool {
    let mut spec = Spec::new(ShardId(0), Pool::new(1, 1));
    spec.preempt_timer = preempt_timer;
    spec.heartbeat = heartbeat;
    let shard = spawn_shard(spec, |reactor| async move {
        for _ in 0..5 {
            let inner = reactor.clone();
            let task = reactor.spawn(TaskClass::Background, async move {
                for _ in 0..200 {
                    inner.yield_now().await;
                }
                inner.sleep_until(Instant::now() + Duration::from_millis(1)).await;
            });
            task.await.expect("nobody cancels it");
        }
    })
    .expect("a shard can be made");
    let deadline = Instant::now() + HUNG;
    while !shard.is_finished() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
    shard.join();
    true
}

#[test]
fn without_a_heartbeat_a_shard_hangs_and_with_one_it_does_not() {
    let _hogs = Hogs::start();
    let first = (0..TO_HANG_MAX).position(|_| !runs_to_its_end(TO_HANG, None));
    println!("without a heartbeat, this shard hung first: {first:?}");
    assert!(first.is_some(), "none of {TO_HANG_MAX} shards hung: the heartbeat cannot be seen to be needed");
    let every = Spec::new(ShardId(0), Pool::new(1, 1)).heartbeat;
    for number in 0..TO_LIVE {
        assert!(runs_to_its_end(TO_BEAT, every), "shard number {number} hangs although its heart beats");
    }
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
