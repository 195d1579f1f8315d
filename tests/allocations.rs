//! Steady-state produce and fetch allocate nothing per request, and copy record bytes once in user space: from the
//! socket to the disk and back, by the broker's own threads, over real sockets. `DURAMEN_ALLOCATIONS=1` shows where the
//! first of the allocations come from.
//!
//! `tests/log_append.rs` counts the log by itself, `wire/tests/memory` the codec.

mod bare;
#[path = "allocations/broker.rs"]
mod broker;
#[path = "allocations/counting.rs"]
mod counting;
#[path = "metrics/page.rs"]
#[expect(dead_code, reason = "its sums are used here, not its names")]
mod page;
mod process;
#[path = "metrics/broker.rs"]
#[expect(dead_code, reason = "only its scrape is used here: this broker runs in the test's own process")]
mod scrape;
#[path = "allocations/traffic.rs"]
mod traffic;

use self::broker::Broker;
use self::page::Page;
use self::traffic::{Kind, PARTITIONS, Traffic};

/// Lists that grow by doubling, and work that comes with time or with bytes, allocate now and then: so often at most,
/// however many requests there are. One allocation in a hundred small requests is found out, or in six large ones.
const GROWTH_MAX: u64 = 24;
/// Rounds in which that state must be reached: the first ones make what is used again later.
const ROUNDS_MAX: usize = 6;
/// Requests between two looks.
const REQUESTS: u64 = 2_500;
/// The same where each moves a megabyte.
const LARGE_REQUESTS: u64 = 150;

/// One test, since the allocator is one: nothing else may run in this process meanwhile.
#[test]
fn steady_requests_allocate_nothing_and_copy_once() {
    counting::leave_out_this_thread();
    counting::check();
    let mut failures = Vec::new();
    for shards in [1, 2] {
        for kind in Kind::ALL {
            failures.extend(measure(shards, kind).err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A broker for each kind: what becomes of an earlier topic, once it is idle, is not counted with another.
fn measure(shards: u16, kind: Kind) -> Result<(), String> {
    let broker = Broker::start(shards);
    let mut traffic = Traffic::new(&broker, kind);
    let requests = if kind.is_large() { LARGE_REQUESTS } else { REQUESTS };
    for shard in 0..shards {
        let owned = broker.scrape().sum("duramen_partitions", &[("shard", &shard.to_string())]);
        assert_eq!(owned as i32, PARTITIONS / i32::from(shards), "each shard has its part of the topic");
    }
    let (mut allocations, mut before, mut sent, mut read) = (u64::MAX, broker.scrape(), 0, 0);
    for _ in 0..ROUNDS_MAX {
        (before, sent, read) = (broker.scrape(), traffic.sent, traffic.read);
        // A scrape has its own connection, which ends meanwhile.
        traffic.run(requests / 10);
        allocations = counting::allocations_during(|| traffic.run(requests));
        if allocations <= GROWTH_MAX {
            break;
        }
    }
    let after = broker.scrape();
    let copied = Copied::between(&before, &after);
    let (sent, read) = (traffic.sent - sent, traffic.read - read);
    drop(traffic);
    broker.stop();
    println!("{shards} shards, {kind:?}: {allocations} allocations in {requests} requests; {copied:?}");
    if allocations > GROWTH_MAX {
        return Err(format!("{shards} shards, {kind:?}: {allocations} allocations in {requests} requests"));
    }
    copied.check(kind, sent, read).map_err(|reason| format!("{shards} shards, {kind:?}: {reason}; {copied:?}"))
}

/// Record bytes by where they were copied in user space, and by how they were sent.
#[derive(Debug)]
struct Copied {
    /// Into the tail: the one copy that is meant to be.
    tail: u64,
    /// Together in the connection, where a request does not lie in whole receive buffers.
    gathered: u64,
    /// In frames of journal and ring, and in partial last blocks of so many writes: counted by themselves.
    frames: u64,
    partial_blocks: u64,
    writes: u64,
    sent_hot: u64,
    sent_cached: u64,
    sent_cold: u64,
}

impl Copied {
    fn between(before: &Page, after: &Page) -> Self {
        let with = |name: &str, labels: &[(&str, &str)]| (after.sum(name, labels) - before.sum(name, labels)) as u64;
        let grown = |name: &str| with(name, &[]);
        let sent = |tier: &str| with("duramen_fetch_sent_bytes_total", &[("tier", tier)]);
        Self {
            tail: grown("duramen_log_appended_bytes_total"),
            gathered: grown("duramen_gather_copied_bytes_total"),
            frames: grown("duramen_journal_written_bytes_total") + grown("duramen_ring_written_bytes_total"),
            partial_blocks: grown("duramen_segment_bounce_bytes_total"),
            writes: grown("duramen_segment_writes_total"),
            sent_hot: sent("hot"),
            sent_cached: sent("cached"),
            sent_cold: sent("cold"),
        }
    }

    /// `sent` and `read` are the bytes of the batches that the client has sent and read.
    fn check(&self, kind: Kind, sent: u64, read: u64) -> Result<(), String> {
        // A request that ends in the middle of a receive buffer may leave the first bytes of the next one there.
        const GATHERED_SHARE_MAX: u64 = 50;
        const BLOCK_LEN: u64 = 4096;
        if self.tail != sent {
            return Err(format!("{sent} bytes of batches were sent"));
        }
        if self.gathered > (sent + read) / GATHERED_SHARE_MAX {
            return Err("requests were copied together".into());
        }
        if self.partial_blocks > self.writes * BLOCK_LEN {
            return Err("more than the last block of a write was copied".into());
        }
        if self.sent_hot + self.sent_cached + self.sent_cold != read {
            return Err(format!("{read} bytes of batches were read"));
        }
        let by_its_tier = if kind == Kind::FetchSealed { self.sent_cached } else { self.sent_hot };
        if by_its_tier != read {
            return Err("batches were read from elsewhere".into());
        }
        // Each small batch is in one frame, with its header and up to the next block; a large one in none.
        let in_frames = kind.is_small_produce();
        if (self.frames >= sent) != in_frames || (!in_frames && self.frames > 0 && kind.is_large()) {
            return Err(format!("{sent} bytes of batches were sent"));
        }
        Ok(())
    }
}
