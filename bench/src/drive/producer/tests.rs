//! A producer without its thread: it is called at chosen times, and a broker of a few lines answers what it queued.

use super::*;
use std::collections::BTreeMap;

use crate::batch::pool::Buffers;
use crate::batch::read_stamp;
use crate::batch::sizes::SizeTable;
use crate::clock::Epoch;
use crate::drive::outbox::Frame;
use crate::drive::{Outbox, Tally, Target};
use crate::plan::{self, Compression, Keys as PlanKeys, Plan, Sizes};
use crate::verify::{Ledger, Received};
use duramen_wire::batch::{BatchHeader, HEADER_LEN, Limits, Records, validate};
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::PartitionIndex;
use duramen_wire::produce::{PartitionResponse, Request as ProduceRequest, ResponseEncoder};
use duramen_wire::slices::Slices;
use duramen_wire::topic::TopicName;

const MS: u64 = 1_000_000;
const VERSION: i16 = 9;

/// A batch as the broker has seen it.
#[derive(Clone, Debug)]
struct Seen {
    partition: i32,
    header: BatchHeader,
    /// Of its records.
    sequences: Vec<u64>,
}

struct Rig {
    producer: Producer,
    out: Outbox,
    interval: Tally,
    measured: Tally,
    ledger: Ledger,
    received: Received,
    /// Frames that have been queued and not answered.
    queued: Vec<(ConnectionId, Frame)>,
    /// What the broker says to all batches, or to those of one partition.
    error: i16,
    error_of: Option<i32>,
}

impl Rig {
    fn new(partitions: i32, pace: Pace, change: impl FnOnce(&mut Plan, &mut Produce)) -> Self {
        let mut plan = Plan::new("produce", "h:1");
        (plan.warm_up, plan.duration) = (Duration::ZERO, Some(Duration::from_secs(1)));
        let mut produce = Produce { pace, in_flight: 1, ..Produce::default() };
        change(&mut plan, &mut produce);
        plan.produce = Some(produce.clone());
        let target = |partition| Target { topic: "t".to_owned(), partition, leader: 1, first_offset: 0, log_start: 0 };
        let targets: Vec<_> = (0..partitions).map(target).collect();
        let routes: Vec<_> = (0..targets.len() as TargetId).map(|target| (target, 0)).collect();
        let ledger = Ledger::new(targets.len(), 1_000_000);
        let setup = Arc::new(Setup {
            run: 7,
            epoch: Epoch::after(Duration::ZERO).into(),
            targets,
            brokers: BTreeMap::from([(1, "h:1".to_owned())]),
            producer_ids: vec![(500, 3)],
            produce_version: VERSION,
            fetch_version: 12,
            consume_from: Vec::new(),
            backlog_targets: Vec::new(),
            plan,
        });
        let shape = Shape::new(&produce, Arc::new(SizeTable::Fixed(100)), 1).unwrap();
        let mut out = Outbox::default();
        out.buffers = Buffers::new(&shape, 0, 64);
        out.windows.push(Some(produce.in_flight));
        let press = Rc::new(RefCell::new(Press::new(Compression::None, false, 1).unwrap()));
        let workshop = Workshop { shape: Rc::new(shape), press, stop: Stop::default() };
        let producer = Producer::new(&setup, workshop, 0, &routes).unwrap();
        let (interval, measured, received) = (Tally::default(), Tally::default(), Received::default());
        Self { producer, out, interval, measured, ledger, received, queued: Vec::new(), error: 0, error_of: None }
    }

    fn with<T>(&mut self, now: u64, call: impl FnOnce(&mut Producer, &mut Context) -> T) -> T {
        self.out.now = Nanos(now);
        let Self { producer, out, interval, measured, ledger, received, .. } = self;
        let mut context = Context { now: Nanos(now), me: 0, out, interval, measured, ledger, received };
        let result = call(producer, &mut context);
        self.out.take_queued(&mut self.queued);
        result
    }

    fn due(&mut self, now: u64) -> Option<Nanos> {
        self.with(now, |producer, context| producer.due(context)).unwrap()
    }

    /// Answers the oldest request, and tells what was in it.
    fn answer(&mut self, now: u64) -> (Vec<Seen>, Result<Option<Nanos>, Error>) {
        let (connection, frame) = self.queued.remove(0);
        let bytes = frame.pieces().collect::<Vec<_>>().concat();
        let seen = read(&bytes[4..]);
        let mut answer = Vec::new();
        let mut encoder = ResponseEncoder::begin(&mut answer, VERSION, 0, 1);
        encoder.topic(TopicName::Name(b"t"), seen.len());
        for seen in &seen {
            let error = if self.error_of.is_none_or(|one| one == seen.partition) { self.error } else { 0 };
            let said = PartitionResponse::error(PartitionIndex(seen.partition), error);
            encoder.partition(&PartitionResponse { base_offset: i64::from(seen.header.base_sequence), ..said });
        }
        encoder.finish(0, &[]);
        let token = frame.token;
        self.out.recycle(frame);
        self.out.windows.leave(connection, Nanos(now));
        let next = self.with(now, |producer, context| {
            producer.answered(Answer { token, sent: Nanos(now), frame: &answer[4..] }, context)
        });
        (seen, next)
    }

    /// Answers everything at once, and what is sent after that, until there is nothing more.
    fn answer_all(&mut self, now: u64) -> Vec<Seen> {
        let mut all = Vec::new();
        while !self.queued.is_empty() {
            let (seen, next) = self.answer(now);
            next.unwrap();
            all.extend(seen);
        }
        all
    }
}

/// The batches of a request, each of which has to be a good one.
fn read(request: &[u8]) -> Vec<Seen> {
    let header = RequestHeader::parse(Slices::one(&request)).unwrap();
    let mut parsed = ProduceRequest::default();
    parsed.parse(Slices::one(&request), header.body, header.version).unwrap();
    let batch = |partition: &duramen_wire::produce::Partition| {
        let bytes = &request[partition.records.clone().unwrap()];
        let header = validate(Slices::one(&bytes), &Limits::default()).unwrap();
        let records = Records::new(&bytes[HEADER_LEN..], header.record_count);
        let sequence = |value: &[u8]| read_stamp(value).unwrap().sequence;
        let sequences = records.map(|record| sequence(record.unwrap().value.unwrap())).collect();
        Seen { partition: partition.index.0, header, sequences }
    };
    parsed.partitions.iter().map(batch).collect()
}

fn open(records_per_second: f64) -> Pace {
    Pace::Open { records_per_second }
}

#[test]
fn a_batch_goes_when_its_linger_is_over_and_holds_what_is_due() {
    let mut rig = Rig::new(1, open(1_000.0), |_, _| {});
    assert_eq!(rig.due(0), Some(Nanos(5 * MS)));
    assert!(rig.queued.is_empty());
    rig.due(5 * MS);
    let (seen, next) = rig.answer(6 * MS);
    assert_eq!(seen[0].sequences, [0, 1, 2, 3, 4, 5]);
    assert_eq!(next.unwrap(), Some(Nanos(11 * MS)), "the next record was due after 6 ms");
    assert_eq!((seen[0].header.producer_id.0, seen[0].header.producer_epoch.0), (500, 3));
    assert_eq!((rig.measured.produced.records, rig.measured.produced.bytes), (6, 600));
    // Records 0 to 5 were due 6 to 1 ms before.
    assert!(rig.measured.scheduled.histogram().unwrap().max().abs_diff(6 * MS) < MS / 100);
    assert_eq!(rig.ledger.records(), 6);
}

#[test]
fn what_waits_for_a_slow_broker_keeps_its_own_time() {
    let mut rig = Rig::new(1, open(1_000.0), |_, produce| produce.batch_records = Some(10));
    rig.due(5 * MS);
    (1..50).for_each(|at| assert!(rig.due(at * 2 * MS).is_some()));
    assert_eq!(rig.queued.len(), 1, "the window holds one request");
    let (_, next) = rig.answer(100 * MS);
    next.unwrap();
    let seen = rig.answer_all(100 * MS);
    let all: Vec<u64> = seen.iter().flat_map(|seen| seen.sequences.clone()).collect();
    assert_eq!(all, (6..96).collect::<Vec<_>>(), "batches of ten, and the rest waits for its linger");
    let histogram = rig.measured.scheduled.histogram().unwrap();
    assert!(histogram.max().abs_diff(100 * MS) < MS && histogram.len() == 96);
    assert!(rig.measured.stalled_ns > 80 * MS && rig.measured.stalled_ns < 100 * MS);
    assert_eq!(rig.measured.late.histogram().unwrap().len(), 1, "only the first could have gone in time");
}

#[test]
fn a_closed_loop_keeps_its_windows_full_until_the_end() {
    let mut rig = Rig::new(3, Pace::Closed, |_, produce| (produce.in_flight, produce.batches_per_request) = (2, 2));
    assert_eq!(rig.due(0), Some(Nanos(1_000 * MS)));
    assert_eq!(rig.queued.len(), 2);
    let (seen, next) = rig.answer(MS);
    assert_eq!((seen.iter().map(|seen| seen.partition).collect::<Vec<_>>(), rig.queued.len()), (vec![0, 1], 2));
    assert_eq!(next.unwrap(), Some(Nanos(1_000 * MS)));
    rig.answer_all(1_000 * MS);
    assert!(rig.producer.is_done());
    assert_eq!(rig.measured.produced.requests, 1, "what was answered after the end is not measured");
}

#[test]
fn every_record_asked_for_is_sent_once() {
    for keys in [None, Some(PlanKeys { count: 50, skew: 0.9 })] {
        for partitioner in [plan::Partitioner::Sticky, plan::Partitioner::RoundRobin] {
            let mut rig = Rig::new(5, Pace::Closed, |plan, produce| {
                (plan.duration, plan.records) = (None, Some(12_345));
                (produce.keys, produce.partitioner, produce.in_flight) = (keys, partitioner, 3);
            });
            rig.due(0);
            let seen = rig.answer_all(MS);
            let mut all: Vec<u64> = seen.iter().flat_map(|seen| seen.sequences.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..12_345).collect::<Vec<_>>(), "{keys:?} {partitioner:?}");
            assert!(rig.producer.is_done());
            for partition in 0..5 {
                let batches = || seen.iter().filter(|seen| seen.partition == partition);
                assert!(batches().all(|seen| seen.sequences.is_sorted()));
                let ends = batches().map(|seen| seen.header.base_sequence + seen.header.record_count);
                let begins = batches().skip(1).map(|seen| seen.header.base_sequence);
                assert!(ends.zip(begins).all(|(end, begin)| end == begin), "sequences are dense");
            }
        }
    }
}

/// Once it asked to be called at its end, again and again, while batches waited for room: its thread did nothing else.
#[test]
fn nobody_is_asked_for_in_the_past() {
    let mut rig = Rig::new(4, Pace::Closed, |_, produce| produce.partitioner = plan::Partitioner::RoundRobin);
    rig.due(0);
    let end = 1_000 * MS;
    assert_eq!(rig.due(end + 1), None, "batches are left, and only an answer makes room for them");
    assert!(!rig.producer.is_done());
    rig.answer_all(end + 2);
    assert!(rig.producer.is_done());
}

#[test]
fn lingers_end_the_batches_of_all_partitions() {
    let mut rig = Rig::new(4, open(1_000.0), |_, produce| {
        (produce.partitioner, produce.in_flight, produce.batches_per_request) = (plan::Partitioner::RoundRobin, 5, 3);
    });
    let mut times = vec![0];
    while let Some(next) = rig.due(times[times.len() - 1])
        && rig.queued.is_empty()
    {
        times.push(next.0);
    }
    assert_eq!(times, [0, 1, 2, 3, 4, 5].map(|ms| ms * MS), "the first record was due at 0");
    let (seen, _) = rig.answer(5 * MS);
    assert_eq!((seen.len(), &seen[0].sequences[..]), (1, &[0, 4][..]), "the others have lingered less");
}

#[test]
fn what_cannot_be_sent_in_time_is_told() {
    let mut rig = Rig::new(1, open(1_000.0), |_, _| {});
    rig.due(5 * MS);
    assert!(rig.due(1_500 * MS).is_some() && !rig.producer.is_done());
    assert_eq!(rig.due(3_000 * MS), None);
    assert_eq!((rig.measured.produced.unsent, rig.producer.is_done()), (994, false));
    rig.with(3_000 * MS, |producer, context| producer.lost(context));
    assert_eq!(rig.ledger.doubtful(), 6);
    let scheduled = rig.measured.scheduled.summary().unwrap();
    assert_eq!((scheduled.samples, rig.measured.given_up), (1_000, 1_000), "all have waited, and how long is known");
    assert!(scheduled.p50_ns.unwrap().abs_diff(2_500 * MS) < 10 * MS, "{scheduled:?}");
}

#[test]
fn what_was_acknowledged_beside_a_refusal_is_not_in_doubt() {
    let mut rig = Rig::new(2, Pace::Closed, |_, produce| {
        (produce.batches_per_request, produce.batch_records) = (2, Some(10));
    });
    rig.due(0);
    (rig.error, rig.error_of) = (7, Some(1));
    let (seen, refused) = rig.answer(MS);
    assert!(seen.len() == 2 && refused.is_err());
    rig.with(MS, |producer, context| producer.lost(context));
    assert_eq!((rig.ledger.records(), rig.ledger.doubtful()), (10, 10));
}

#[test]
fn acknowledgements_after_the_end_are_no_rate() {
    let mut rig = Rig::new(1, open(10.0), |_, produce| produce.linger = Duration::ZERO);
    rig.due(950 * MS);
    rig.answer_all(1_000 * MS);
    assert_eq!((rig.measured.produced.records, rig.measured.brought), (0, 10));
    assert_eq!(rig.measured.scheduled.summary().unwrap().samples, 10);
}

/// Once each producer gave up after its own last record, which for the first of many is due at the beginning.
#[test]
fn a_record_that_is_due_early_has_until_the_end_of_the_run() {
    let mut rig = Rig::new(1, open(1.0), |_, produce| produce.linger = Duration::from_millis(5));
    assert_eq!(rig.due(MS), Some(Nanos(5 * MS)));
    rig.due(900 * MS);
    assert_eq!((rig.answer_all(901 * MS).len(), rig.measured.produced.unsent), (1, 0));
    assert!(rig.producer.is_done());
}

#[test]
fn a_refusal_says_what_and_why() {
    let mut rig = Rig::new(1, Pace::Closed, |_, _| {});
    rig.due(0);
    rig.error = 10;
    let (_, next) = rig.answer(MS);
    let error = next.unwrap_err();
    assert_eq!(error.to_string(), "a batch for t:0 was refused: MESSAGE_TOO_LARGE");
    assert!(error.remedy().unwrap().contains("--batch-size"));
    assert_eq!((rig.measured.produced.failed, rig.ledger.records()), (148, 0));
}

#[test]
fn sequences_begin_again_after_the_last() {
    let mut rig = Rig::new(1, Pace::Closed, |_, produce| produce.sizes = Sizes::Fixed(100));
    rig.producer.routes[0].base_sequence = i32::MAX - 100;
    rig.due(0);
    let (first, _) = rig.answer(MS);
    let (second, _) = rig.answer(MS);
    assert_eq!((first[0].header.record_count, second[0].header.base_sequence), (148, 148 - 101));
}
