//! The requests that are counted: what one client does in a steady state, again and again.

use std::ops::Range;

use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest};

use crate::bare::Client;
use crate::bare::client::{batch, fetch_request, produce_request};
use crate::broker::{Broker, MEMORY};

pub const PARTITIONS: i32 = 2;
const PRODUCE: i16 = 11;
const FETCH: i16 = 12;
/// A value that makes a batch of about 1 MB: within `max.message.bytes`, and beyond what fits a frame.
const LARGE_VALUE: usize = 1_000_000;
const SMALL_VALUE: usize = 500;
/// The smallest that a topic may have.
const SEGMENT_BYTES: u64 = 1 << 20;
/// What is read of a sealed segment at a time: some of it, but for a segment's offset index to have places within.
const SEALED_READ_BYTES: i32 = 128 << 10;
/// Small batches that are read of them.
const SMALL_READ: i64 = 1_000;
/// Requests under way at a time, where they are pipelined.
const DEPTH: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One small batch a request, acknowledged by the ring.
    SmallReplicated,
    /// The same, synced by the journal.
    SmallSynced,
    /// Several requests under way on the connection.
    Pipelined,
    /// Without answers, but for the last ones.
    Unacknowledged,
    LargeReplicated,
    LargeSynced,
    LargePipelined,
    /// Each record is read once it is acknowledged.
    FetchHot,
    /// The same in a fetch session, as consumers do that know them.
    FetchSession,
    /// A reader waits for each record before it is sent.
    FetchParked,
    /// From sealed segments, by sendfile.
    FetchSealed,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::SmallReplicated,
        Kind::SmallSynced,
        Kind::Pipelined,
        Kind::Unacknowledged,
        Kind::LargeReplicated,
        Kind::LargeSynced,
        Kind::LargePipelined,
        Kind::FetchHot,
        Kind::FetchSession,
        Kind::FetchParked,
        Kind::FetchSealed,
    ];

    pub fn is_large(self) -> bool {
        matches!(self, Self::LargeReplicated | Self::LargeSynced | Self::LargePipelined)
    }

    /// Whether all of its batches go through frames.
    pub fn is_small_produce(self) -> bool {
        !self.is_large()
    }

    fn is_synced(self) -> bool {
        matches!(self, Self::SmallSynced | Self::LargeSynced)
    }
}

/// A topic with a partition on each shard, and the client on one of them: with two shards, every second request is
/// forwarded.
pub struct Traffic {
    kind: Kind,
    topic: String,
    client: Client,
    reader: Client,
    batch: Vec<u8>,
    large_len: u64,
    /// The next offset of each partition.
    ends: [i64; PARTITIONS as usize],
    turn: i32,
    /// The partition that was asked for last, and the fetch session with its next epoch.
    asked: i32,
    session: (i32, i32),
    /// The offsets that are read of sealed segments, one after the other, and how far each partition is.
    sealed: Range<i64>,
    sealed_at: [i64; PARTITIONS as usize],
    /// Bytes of batches that were sent and read so far.
    pub sent: u64,
    pub read: u64,
}

impl Traffic {
    pub fn new(broker: &Broker, kind: Kind) -> Self {
        let topic = format!("{kind:?}");
        let mut client = broker.client();
        let durability = if kind.is_synced() { "fsync" } else { "replicated" };
        let segment_bytes = if kind == Kind::FetchSealed { SEGMENT_BYTES } else { 1 << 30 };
        let settings = [("durability", durability.to_string()), ("segment.bytes", segment_bytes.to_string())];
        assert_eq!(client.create_topic_with(&topic, PARTITIONS, &settings), 0);
        let (reader, large) = (broker.client(), batch([&vec![b'x'; LARGE_VALUE][..]]));
        let mut traffic = Self {
            large_len: large.len() as u64,
            kind,
            topic,
            client,
            reader,
            batch: large,
            ends: [0; 2],
            turn: 0,
            asked: 0,
            session: (0, 0),
            sealed: 0..0,
            sealed_at: [0; 2],
            sent: 0,
            read: 0,
        };
        // All of the memory is mapped, and used again from now on.
        (0..2 * MEMORY / LARGE_VALUE as u64).for_each(|_| traffic.produce(1, -1));
        if !kind.is_large() {
            traffic.batch = batch([&[b'x'; SMALL_VALUE][..]]);
        }
        if kind == Kind::FetchSealed {
            traffic.fill_segments(broker);
        }
        traffic
    }

    /// Does `requests` produce requests, or as many fetches, or of both as many.
    pub fn run(&mut self, requests: u64) {
        match self.kind {
            Kind::Pipelined | Kind::LargePipelined => (0..requests / DEPTH).for_each(|_| self.produce(DEPTH, -1)),
            Kind::Unacknowledged => {
                (0..requests - PARTITIONS as u64).for_each(|_| self.send(0));
                // What is acknowledged follows what is not, in both partitions.
                self.produce(PARTITIONS as u64, -1);
            }
            Kind::FetchHot | Kind::FetchSession => (0..requests).for_each(|_| {
                let (partition, offset) = self.next();
                self.produce(1, -1);
                self.ask(partition, offset, 0);
                self.take(offset);
            }),
            Kind::FetchParked => (0..requests).for_each(|_| {
                let (partition, offset) = self.next();
                self.ask(partition, offset, 30_000);
                self.produce(1, -1);
                self.take(offset);
            }),
            Kind::FetchSealed => (0..requests).for_each(|_| {
                let partition = self.turn;
                self.turn = (self.turn + 1) % PARTITIONS;
                let from = self.sealed_at[partition as usize];
                self.ask(partition, from, 0);
                let next = self.take(from);
                self.sealed_at[partition as usize] = if next < self.sealed.end { next } else { self.sealed.start };
            }),
            _ => (0..requests).for_each(|_| self.produce(1, -1)),
        }
    }

    /// The partition of the next request, and its end.
    fn next(&self) -> (i32, i64) {
        (self.turn, self.ends[self.turn as usize])
    }

    /// Sends a batch to the partitions in turn.
    fn send(&mut self, acks: i16) {
        let request = produce_request(&self.topic, self.turn, self.batch.clone()).with_acks(acks);
        self.client.ask(&request, PRODUCE);
        self.sent += self.batch.len() as u64;
        self.ends[self.turn as usize] += 1;
        self.turn = (self.turn + 1) % PARTITIONS;
    }

    /// Sends so many requests, and then reads as many answers.
    fn produce(&mut self, count: u64, acks: i16) {
        (0..count).for_each(|_| self.send(acks));
        for _ in 0..count {
            let answer = self.client.read_answer::<ProduceRequest>(PRODUCE);
            assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "{}", self.topic);
        }
    }

    /// Asks for one batch from an offset on; of sealed segments, for more.
    fn ask(&mut self, partition: i32, offset: i64, wait_ms: i32) {
        let one = i32::try_from(self.batch.len()).expect("a small batch");
        let bytes_max = if self.kind == Kind::FetchSealed { SEALED_READ_BYTES } else { one };
        let mut request = fetch_request(&self.topic, partition, offset, bytes_max).with_max_wait_ms(wait_ms);
        if self.kind == Kind::FetchSession {
            // Where it is in the other partitions is news, too.
            for other in (0..PARTITIONS).filter(|other| *other != partition) {
                let mut position = request.topics[0].partitions[0].clone();
                (position.partition, position.fetch_offset) = (other, self.ends[other as usize]);
                request.topics[0].partitions.push(position);
            }
            request = request.with_session_id(self.session.0).with_session_epoch(self.session.1);
            self.session.1 += 1;
        }
        self.asked = partition;
        self.reader.ask(&request, FETCH);
    }

    /// Reads the answer to `ask`; returns the offset behind it.
    fn take(&mut self, offset: i64) -> i64 {
        let answer: FetchResponse = self.reader.read_answer::<FetchRequest>(FETCH);
        assert_eq!(answer.error_code, 0);
        self.session.0 = answer.session_id;
        let mut partitions = answer.responses[0].partitions.iter();
        let partition = partitions.find(|found| found.partition_index == self.asked).expect("the partition has news");
        assert_eq!(partition.error_code, 0);
        let records = partition.records.as_ref().expect("records");
        self.read += records.len() as u64;
        // Each batch has one record.
        let (mut next, mut at) = (offset, 0);
        while at < records.len() {
            assert_eq!(records[at..at + 8], next.to_be_bytes(), "the batch that follows");
            let length: [u8; 4] = records[at + 8..at + 12].try_into().expect("four bytes");
            (next, at) = (next + 1, at + 12 + u32::from_be_bytes(length) as usize);
        }
        assert_eq!(at, records.len(), "whole batches");
        assert!(next == offset + 1 || (next > offset && self.kind == Kind::FetchSealed), "{} batches", next - offset);
        next
    }

    /// Fills more than one segment of each partition, and has the sealed one read until it comes from the cache.
    fn fill_segments(&mut self, broker: &Broker) {
        assert_eq!(self.ends[0], self.ends[1], "the partitions are filled alike");
        // Small batches fill the segment of the last large one; those behind them begin one of their own, and the first
        // offset of a segment is one from which sendfile can go on.
        let filling = (SEGMENT_BYTES - self.large_len) / self.batch.len() as u64;
        let first = self.ends[0] + filling as i64;
        self.sealed = first..first + SMALL_READ;
        self.sealed_at = [first; 2];
        let batches = 5 * SEGMENT_BYTES / self.batch.len() as u64;
        (0..batches / DEPTH).for_each(|_| self.produce(DEPTH, -1));
        let cached = || broker.scrape().sum("duramen_fetch_sent_bytes_total", &[("tier", "cached")]) as u64;
        let mut before = (cached(), self.read);
        crate::bare::await_that("sealed segments come from the page cache", || {
            self.run(20 * PARTITIONS as u64);
            let now = (cached(), self.read);
            let (by_tier, all) = (now.0 - before.0, now.1 - before.1);
            before = now;
            by_tier == all
        });
    }
}
