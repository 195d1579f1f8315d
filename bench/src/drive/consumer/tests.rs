//! A consumer without its thread: answers are put together here.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_wire::batch::BatchBuilder;
use duramen_wire::fetch::{PartitionResponse, Request, ResponseEncoder, ResponseHead, TopicName};
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::{Offset, PartitionIndex};

use super::*;
use crate::clock::Epoch;
use crate::drive::{Outbox, Target};
use crate::verify::Ledger;

const RUN: u32 = 7;
const VERSION: i16 = 12;
const NOW: Nanos = Nanos(6_000_000_000);

/// A consumer of one partition, with all that it is called with.
struct Rig {
    now: Nanos,
    consumer: Consumer,
    out: Outbox,
    interval: Tally,
    measured: Tally,
    ledger: Ledger,
    received: Received,
}

impl Rig {
    /// The partition holds so many records before the run.
    fn new(command: &str, end: i64, change: impl FnOnce(&mut Plan)) -> Rig {
        let mut plan = Plan::new(command, "h:1");
        change(&mut plan);
        let target = Target { topic: "t".to_owned(), partition: 3, leader: 1, first_offset: end, log_start: 0 };
        let setup = Arc::new(Setup {
            consume_from: vec![if plan.produce.is_some() { end } else { 0 }],
            plan,
            run: RUN,
            epoch: Epoch::after(Duration::ZERO).into(),
            targets: vec![target],
            brokers: BTreeMap::new(),
            producer_ids: Vec::new(),
            produce_version: 11,
            fetch_version: VERSION,
            backlog_targets: Vec::new(),
        });
        let mut out = Outbox::default();
        out.windows.push(None);
        let (interval, measured, ledger, received) = Default::default();
        Rig { now: NOW, consumer: Consumer::new(&setup, 0, vec![0]), out, interval, measured, ledger, received }
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Consumer, &mut Context) -> T) -> T {
        let Rig { now, consumer, out, interval, measured, ledger, received } = self;
        call(consumer, &mut Context { now: *now, me: 0, out, interval, measured, ledger, received })
    }

    fn due(&mut self) -> Option<Nanos> {
        self.call(|consumer, context| consumer.due(context)).unwrap()
    }

    fn answer(&mut self, token: u64, frame: &[u8]) -> Result<Option<Nanos>, Error> {
        let answer = Answer { token, sent: NOW, frame };
        self.call(|consumer, context| consumer.answered(answer, context))
    }

    fn fetched(&mut self, records: &[Vec<u8>]) {
        self.answer(FETCH, &fetched(0, 0, &records.concat())).unwrap();
    }

    /// The requests that were queued since the last call: token, and what follows the length.
    fn sent(&mut self) -> Vec<(u64, Vec<u8>)> {
        let mut queued = Vec::new();
        self.out.take_queued(&mut queued);
        queued.into_iter().map(|(_, frame)| (frame.token, frame.head[4..].to_vec())).collect()
    }

    /// Session and offset of the one fetch that was sent, if its partition is named.
    #[track_caller]
    fn asked(&mut self) -> (Session, Option<i64>) {
        let sent = self.sent();
        assert_eq!((sent.len(), sent[0].0), (1, FETCH));
        let body = sent[0].1.as_slice();
        let header = RequestHeader::parse(Slices::one(&body)).unwrap();
        let mut request = Request::default();
        request.parse(Slices::one(&body), header.body, VERSION).unwrap();
        let session = Session { id: request.session_id, epoch: request.session_epoch };
        (session, request.partitions.first().map(|partition| partition.fetch_offset))
    }
}

/// An answer from its correlation id on.
fn fetched(error: i16, partition_error: i16, records: &[u8]) -> Vec<u8> {
    let (mut out, mut splices) = (Vec::new(), Vec::new());
    let head = ResponseHead { error_code: error, session_id: 9, ..Default::default() };
    let mut encoder = ResponseEncoder::begin(&mut out, &mut splices, VERSION, 1, &head, 1);
    encoder.topic(TopicName::Name(b"t"), 1);
    let partition = PartitionResponse::error(PartitionIndex(3), partition_error);
    encoder.partition(&PartitionResponse { records_len: Some(records.len()), ..partition });
    encoder.finish(&[]);
    out.splice(splices[0].at..splices[0].at, records.iter().copied());
    out[4..].to_vec()
}

/// A batch of one producer with these sequences.
fn batch(offset: i64, run: u32, sequences: std::ops::Range<u64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new().base_offset(Offset(offset));
    for sequence in sequences {
        let due = Nanos(NOW.0 - 1_000_000);
        let value = Stamp { run, producer: 5, sequence, due }.to_bytes();
        builder.push(None, Some(&value), &[], 1);
    }
    builder.finish()
}

#[test]
fn records_of_the_run_have_latencies_and_others_only_a_number() {
    let mut rig = Rig::new("end-to-end", 100, |_| ());
    assert_eq!(rig.due(), None);
    assert_eq!(rig.asked(), (Session::OPEN, Some(100)));
    rig.fetched(&[batch(100, RUN, 0..3), batch(103, RUN + 1, 0..2)]);
    assert_eq!(rig.asked(), (Session { id: 9, epoch: 1 }, Some(105)));
    let summary = rig.measured.end_to_end.summary().unwrap();
    assert_eq!(summary.samples, 3);
    assert!(summary.max_ns.abs_diff(1_000_000) < 2_000, "{summary:?}");
    assert_eq!((rig.received.records, rig.measured.consumed.records, rig.measured.consumed.batches), (5, 5, 2));
    assert_eq!(rig.received.up_to, BTreeMap::from([(0, 105)]));
    rig.fetched(&[]);
    assert_eq!(rig.asked(), (Session { id: 9, epoch: 2 }, None), "a session knows the offset");
}

#[test]
fn sequences_must_rise() {
    let mut rig = Rig::new("end-to-end", 0, |_| ());
    rig.fetched(&[batch(0, RUN, 0..3), batch(3, RUN, 3..6)]);
    assert_eq!((rig.received.repeated, rig.received.reordered), (0, 0));
    rig.fetched(&[batch(6, RUN, 3..6)]);
    assert_eq!((rig.received.repeated, rig.received.reordered), (3, 0));
    assert_eq!(rig.interval.arrived, 6, "what comes again has arrived before");
    rig.fetched(&[batch(9, RUN, 1..2)]);
    assert_eq!((rig.received.repeated, rig.received.reordered), (3, 1));
}

#[test]
fn what_lies_before_the_offset_asked_for_is_not_counted_again() {
    let mut rig = Rig::new("end-to-end", 2, |_| ());
    rig.fetched(&[batch(0, RUN, 0..5)]);
    assert_eq!((rig.received.records, rig.measured.end_to_end.summary().unwrap().samples), (3, 3));
    rig.fetched(&[batch(0, RUN, 0..5)]);
    assert_eq!((rig.received.records, rig.received.repeated), (3, 0));
}

#[test]
fn offsets_that_no_batch_holds_are_gaps() {
    let mut rig = Rig::new("end-to-end", 0, |_| ());
    rig.fetched(&[batch(0, RUN, 0..3), batch(3, RUN, 3..5)]);
    assert_eq!(rig.received.gaps, 0);
    rig.fetched(&[batch(9, RUN, 5..6)]);
    assert_eq!(rig.received.gaps, 4);
}

#[test]
fn bytes_that_are_not_those_of_their_crc_are_changed() {
    let mut rig = Rig::new("consume", 10, |_| ());
    let mut flipped = batch(0, RUN, 0..3);
    *flipped.last_mut().unwrap() ^= 1;
    rig.fetched(&[flipped]);
    assert_eq!((rig.received.changed, rig.received.records), (3, 3));
}

#[test]
fn a_topic_at_rest_is_read_so_often_as_asked() {
    let mut rig = Rig::new("consume", 3, |plan| {
        plan.duration = None;
        plan.consume.as_mut().unwrap().passes = 2;
    });
    rig.due();
    rig.sent();
    rig.fetched(&[batch(0, RUN, 0..3)]);
    assert_eq!(rig.asked().1, Some(0));
    assert!(!rig.consumer.is_done());
    rig.fetched(&[batch(0, RUN, 0..3)]);
    assert!(rig.consumer.is_done() && rig.sent().is_empty());
    assert_eq!(rig.received.records, 6);
}

#[test]
fn what_retention_was_faster_with_is_lost_and_reading_goes_on() {
    let mut rig = Rig::new("consume", 10, |_| ());
    rig.answer(FETCH, &fetched(0, OFFSET_OUT_OF_RANGE, &[])).unwrap();
    assert_eq!(rig.sent().iter().map(|sent| sent.0).collect::<Vec<_>>(), [LOG_START]);
    // Correlation id, one topic, one partition: no error, no time, and the offset.
    let mut frame = [&1_i32.to_be_bytes()[..], &1_i32.to_be_bytes(), &1_i16.to_be_bytes(), b"t"].concat();
    frame.extend([&1_i32.to_be_bytes()[..], &3_i32.to_be_bytes(), &0_i16.to_be_bytes()].concat());
    frame.extend([(-1_i64).to_be_bytes(), 4_i64.to_be_bytes()].concat());
    rig.answer(LOG_START, &frame).unwrap();
    assert_eq!(rig.measured.consumed.lost_to_retention, 4);
    assert_eq!(rig.asked().1, Some(4));
    rig.fetched(&[batch(4, RUN, 4..6)]);
    assert_eq!((rig.received.records, rig.received.gaps), (2, 0));
    assert!(rig.received.up_to.is_empty(), "what was lost was not read");
    rig.answer(FETCH, &fetched(0, OFFSET_OUT_OF_RANGE, &[])).unwrap();
    let error = rig.answer(LOG_START, &frame).unwrap_err().to_string();
    assert!(error.contains("at offset 6 was refused: the log was truncated"), "{error}");
}

#[test]
fn a_session_that_is_gone_is_opened_again_and_other_errors_end_it() {
    let mut rig = Rig::new("consume", 10, |_| ());
    rig.fetched(&[]);
    assert_eq!(rig.asked().0, Session { id: 9, epoch: 1 });
    rig.answer(FETCH, &fetched(FETCH_SESSION_ID_NOT_FOUND, 0, &[])).unwrap();
    assert_eq!(rig.asked(), (Session::OPEN, Some(0)));
    const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    let error = rig.answer(FETCH, &fetched(0, TOPIC_AUTHORIZATION_FAILED, &[])).unwrap_err();
    assert_eq!(error.to_string(), "a fetch of t:3 was refused: TOPIC_AUTHORIZATION_FAILED");
}

#[test]
fn what_is_there_already_is_read_from_the_epoch_on() {
    let before = |command| {
        let mut rig = Rig::new(command, 10, |_| ());
        rig.now = Nanos(0);
        (rig.due(), rig.sent().len())
    };
    assert_eq!(before("consume"), (Some(Nanos(1)), 0));
    assert_eq!(before("end-to-end"), (None, 1));
}

#[test]
fn only_one_fetch_is_under_way() {
    let mut rig = Rig::new("consume", 10, |_| ());
    rig.due();
    rig.due();
    assert_eq!(rig.sent().len(), 1);
}
