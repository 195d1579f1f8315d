//! What came back for a producer's records. librdkafka's polling thread writes it, the sending thread reads it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;

use super::latency::{Latencies, Summary};

/// How librdkafka's statistics call a Produce request.
const PRODUCE: &str = "Produce";

/// Counts of a run of a known number of records.
pub struct Tally {
    expected: u64,
    began: OnceLock<Instant>,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    finished: OnceLock<Instant>,
    first_error: OnceLock<String>,
    latencies: Mutex<Latencies>,
    requests: AtomicI64,
    /// When the last statistics came.
    statistics: Mutex<Option<Instant>>,
    statistics_came: Condvar,
}

impl Tally {
    /// The opaque of a record whose latency is not asked for.
    pub const UNTIMED: usize = 0;

    pub fn new(expected: u64) -> Self {
        Self {
            expected,
            began: OnceLock::new(),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            finished: OnceLock::new(),
            first_error: OnceLock::new(),
            latencies: Mutex::default(),
            requests: AtomicI64::new(0),
            statistics: Mutex::new(None),
            statistics_came: Condvar::new(),
        }
    }

    /// The opaque of a record that is due so long after the beginning.
    pub fn timed(due: Duration) -> usize {
        usize::try_from(due.as_nanos()).map_or(usize::MAX, |nanoseconds| nanoseconds.saturating_add(1))
    }

    /// Sets the beginning, once.
    pub fn begin(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// Records that were answered, well or not.
    pub fn done(&self) -> u64 {
        self.acknowledged() + self.failed()
    }

    /// When the last answer came, if it has.
    pub fn finished(&self) -> Option<Instant> {
        self.finished.get().copied()
    }

    pub fn first_error(&self) -> Option<&str> {
        self.first_error.get().map(String::as_str)
    }

    pub fn latency(&self) -> Summary {
        lock(&self.latencies).summary()
    }

    /// Produce requests by librdkafka's count, from statistics that came after `moment`, or what is known after `patience`.
    pub fn requests_after(&self, moment: Instant, patience: Duration) -> i64 {
        let stale = |came: &mut Option<Instant>| came.is_none_or(|came| came < moment);
        let waited = self.statistics_came.wait_timeout_while(lock(&self.statistics), patience, stale);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.requests.load(Ordering::Acquire)
    }

    fn count(&self, error: Option<String>, opaque: usize) {
        match error {
            None => {
                if let Some(began) = self.began.get().filter(|_| opaque != Self::UNTIMED) {
                    let due = Duration::from_nanos(opaque as u64 - 1);
                    lock(&self.latencies).record(began.elapsed().saturating_sub(due));
                }
                self.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
            Some(error) => {
                self.first_error.get_or_init(|| error);
                self.failed.fetch_add(1, Ordering::AcqRel);
            }
        }
        if self.done() == self.expected {
            self.finished.get_or_init(Instant::now);
        }
    }
}

impl ClientContext for Tally {
    fn stats(&self, statistics: Statistics) {
        let requests = statistics.brokers.values().filter_map(|broker| broker.req.get(PRODUCE)).sum();
        self.requests.store(requests, Ordering::Release);
        *lock(&self.statistics) = Some(Instant::now());
        self.statistics_came.notify_all();
    }
}

impl ProducerContext for Tally {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        self.count(result.as_ref().err().map(|(error, _)| error.to_string()), opaque);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_finished_with_the_last_answer_only() {
        let tally = Tally::new(3);
        tally.begin();
        tally.count(None, Tally::UNTIMED);
        tally.count(Some("no leader".into()), Tally::UNTIMED);
        assert_eq!((tally.acknowledged(), tally.failed(), tally.finished()), (1, 1, None));
        tally.count(None, Tally::timed(Duration::ZERO));
        assert!(tally.finished().is_some());
        assert_eq!((tally.done(), tally.first_error(), tally.latency().samples), (3, Some("no leader"), 1));
    }

    #[test]
    fn latency_runs_from_the_scheduled_time() {
        let tally = Tally::new(1);
        let began = tally.begin();
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        tally.count(None, Tally::timed(Duration::from_millis(5)));
        assert!(tally.latency().max_us >= 15_000);
    }
}
