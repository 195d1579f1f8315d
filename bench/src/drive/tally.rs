//! What a thread counts: for each second, and for the measured part as a whole.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::Error;
use crate::clock::Nanos;
use crate::latency::Latencies;
use crate::outcome::Counts;
use crate::verify::{Ledger, Received};

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub produced: Counts,
    pub consumed: Counts,
    /// Records of this run's load that consumers have received, all subscriptions together, each once.
    pub arrived: u64,
    /// Records that were due in the measured part and acknowledged, be it after its end.
    pub brought: u64,
    /// Records that were due in the measured part and never acknowledged: how long they had waited is in `scheduled`.
    pub given_up: u64,
    pub scheduled: Latencies,
    pub sent: Latencies,
    pub late: Latencies,
    pub end_to_end: Latencies,
    pub stalled_ns: u64,
    pub compressed_in_line: u64,
    /// Requests under way when the interval ended.
    pub in_flight: u32,
}

impl Tally {
    /// An empty one whose memory has been touched: the load shall not wait for the kernel to find it.
    pub(super) fn touched() -> Self {
        let mut tally = Self::default();
        for latencies in [&mut tally.scheduled, &mut tally.sent, &mut tally.late, &mut tally.end_to_end] {
            latencies.record(1);
            latencies.clear();
        }
        tally
    }

    /// Empties it and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.produced = Counts::default();
        self.consumed = Counts::default();
        for latencies in [&mut self.scheduled, &mut self.sent, &mut self.late, &mut self.end_to_end] {
            latencies.clear();
        }
        (self.stalled_ns, self.compressed_in_line, self.in_flight) = (0, 0, 0);
        (self.arrived, self.brought, self.given_up) = (0, 0, 0);
    }
}

/// What one thread counted in one second.
#[derive(Clone, Debug)]
pub struct Interval {
    pub thread: usize,
    pub second: u32,
    pub tally: Tally,
    pub busy_ns: u64,
    pub waited_ns: u64,
    pub full_ns: u64,
}

/// What is left of a thread.
pub struct ThreadEnd {
    pub measured: Tally,
    pub ledger: Ledger,
    pub received: Received,
    pub failure: Option<Error>,
    pub ended: Nanos,
}

impl ThreadEnd {
    /// Of a thread that has done nothing.
    pub(crate) fn empty() -> Self {
        let (measured, ledger, received) = (Tally::default(), Ledger::default(), Received::default());
        Self { measured, ledger, received, failure: None, ended: Nanos(0) }
    }
}

/// What the scheduler says of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    /// On a CPU.
    pub busy_ns: u64,
    /// Ready, and waiting for a CPU.
    pub waited_ns: u64,
}

/// Reads the CPU time of the thread that opened it.
pub(super) struct CpuClock {
    /// `None` where the kernel keeps no such statistics.
    file: Option<File>,
}

impl CpuClock {
    pub(super) fn of_this_thread() -> Self {
        Self { file: File::open("/proc/thread-self/schedstat").ok() }
    }

    /// Zeros where nothing is known.
    pub(super) fn read(&self) -> CpuTime {
        let mut bytes = [0; 96];
        let Some(Ok(length)) = self.file.as_ref().map(|file| file.read_at(&mut bytes, 0)) else {
            return CpuTime::default();
        };
        let text = std::str::from_utf8(&bytes[..length]).unwrap_or_default();
        let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok());
        let (busy_ns, waited_ns) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        CpuTime { busy_ns, waited_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_busy_thread_is_seen() {
        let clock = CpuClock::of_this_thread();
        let before = clock.read();
        let began = Instant::now();
        // The kernel brings the figure up to date at its ticks.
        while clock.read().busy_ns == before.busy_ns {
            assert!(began.elapsed() < Duration::from_secs(10), "the figure does not move");
        }
    }

    #[test]
    fn a_cleared_tally_is_empty() {
        let mut tally = Tally::touched();
        assert!(tally.scheduled.histogram().is_none());
        tally.scheduled.record(5);
        tally.produced.records = 3;
        tally.in_flight = 2;
        tally.clear();
        assert!(tally.scheduled.histogram().is_none());
        assert_eq!((tally.produced.records, tally.in_flight), (0, 0));
    }
}
