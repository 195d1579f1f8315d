//! A consumer at one leader: one fetch under way at a time, every batch checked, latencies from the stamps.
//!
//! Partitions are assigned; there is no group. Where producers run too, records are walked, their sequences must rise for
//! each producer and partition, and what is due and what arrives make the latency from end to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_wire::api::ApiKey;
use duramen_wire::batch::{self, Compression, HEADER_LEN, Records, decompress};
use duramen_wire::slices::{self, Slices};

use super::{Answer, ConnectionId, Context, Party, Setup, Tally, TargetId};
use crate::Error;
use crate::admin::code_name;
use crate::batch::stamp::{Stamp, read_stamp};
use crate::client::encode::RequestWriter;
use crate::client::fetch::{self, AnswerPartition, Batch, Batches, Head, SESSIONS_SINCE, Session, Wanted};
use crate::clock::Nanos;
use crate::plan::Plan;
use crate::verify::Received;

/// The most that a batch may hold when it is opened.
pub(super) const OPENED_BYTES_MAX: usize = 256 << 20;
/// Sessions that a broker may refuse to go on with, one after another, before that is taken for its answer.
const SESSION_RESETS_MAX: u32 = 100;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;

/// Tokens of requests.
const FETCH: u64 = 0;
const LOG_START: u64 = 1;
/// A version of ListOffsets that all brokers have had since Kafka 0.10.1 (KIP-79).
const LIST_OFFSETS_VERSION: i16 = 1;
const TIMESTAMP_BEGINNING: i64 = -2;

pub struct Consumer {
    setup: Arc<Setup>,
    connection: ConnectionId,
    partitions: Vec<Partition>,
    /// The place in `partitions` by topic and index.
    places: BTreeMap<String, BTreeMap<i32, usize>>,
    session: Session,
    resets: u32,
    /// Partitions whose log start must be asked for before the next fetch.
    out_of_range: Vec<usize>,
    /// How often everything up to the ends is still to be read; `None`: until told to end.
    passes_left: Option<u32>,
    /// What is there already is read from the epoch on, and a backlog while the load is measured; what is produced
    /// meanwhile is awaited before that.
    begins: Nanos,
    /// A request is under way.
    asked: bool,
    done: bool,
    wanted: Vec<Wanted>,
    /// The bounds of what is measured.
    measured: (Nanos, Nanos),
}

struct Partition {
    target: TargetId,
    offset: i64,
    /// Whether the session must be told the offset.
    moved: bool,
    /// Whether retention was faster once.
    has_skipped: bool,
    /// Whether the records are of this run's producers.
    is_walked: bool,
    /// Whether all of those have stamps, so that others are told apart.
    is_stamped: bool,
    /// What came last of each producer.
    last: BTreeMap<u32, Last>,
}

/// The sequences of a producer's last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    first: u64,
    last: u64,
}

impl Consumer {
    /// Reads partitions that one broker leads, over one connection.
    pub fn new(setup: &Arc<Setup>, connection: ConnectionId, targets: Vec<TargetId>) -> Self {
        let plan = &setup.plan;
        let consume = plan.consume.as_ref().expect("only a plan that consumes has consumers");
        let partition = |&target: &TargetId| Partition {
            target,
            offset: setup.consume_from[target as usize],
            moved: true,
            has_skipped: false,
            is_walked: plan.produce.is_some() && !setup.backlog_targets.contains(&target),
            is_stamped: plan.is_stamped(),
            last: BTreeMap::new(),
        };
        let mut places: BTreeMap<String, BTreeMap<i32, usize>> = BTreeMap::new();
        for (place, &id) in targets.iter().enumerate() {
            let target = &setup.targets[id as usize];
            places.entry(target.topic.clone()).or_default().insert(target.partition, place);
        }
        let drains_backlog = targets.iter().any(|target| setup.backlog_targets.contains(target));
        let measured = measured(plan);
        const EPOCH: Nanos = Nanos(1);
        let begins = match plan.produce {
            Some(_) if drains_backlog => measured.0.max(EPOCH),
            Some(_) => Nanos(0),
            None => EPOCH,
        };
        let sessions = consume.sessions && setup.fetch_version >= SESSIONS_SINCE;
        Consumer {
            setup: Arc::clone(setup),
            connection,
            partitions: targets.iter().map(partition).collect(),
            places,
            session: if sessions { Session::OPEN } else { Session::NONE },
            resets: 0,
            out_of_range: Vec::new(),
            passes_left: plan.reads_at_rest().then_some(consume.passes),
            begins,
            asked: false,
            done: false,
            wanted: Vec::with_capacity(targets.len()),
            measured,
        }
    }

    /// Sends what is to be asked next, unless everything is read.
    fn ask(&mut self, context: &mut Context) {
        if self.has_read_all() {
            return;
        }
        self.asked = true;
        match self.out_of_range.is_empty() {
            true => self.fetch(context),
            false => self.ask_log_starts(context),
        }
    }

    fn fetch(&mut self, context: &mut Context) {
        let consume = self.setup.plan.consume.as_ref().expect("only a plan that consumes has consumers");
        let head = Head {
            max_wait_ms: i32::try_from(consume.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: consume.min_bytes,
            max_bytes: consume.max_bytes,
            partition_bytes: consume.partition_bytes,
            session: self.session,
        };
        let full = self.session.is_full();
        self.wanted.clear();
        for partition in self.partitions.iter_mut().filter(|partition| full || partition.moved) {
            self.wanted.push(Wanted { target: partition.target, offset: partition.offset });
            partition.moved = false;
        }
        let mut frame = context.out.buffer();
        fetch::request(&mut frame, self.setup.fetch_version, &head, &self.setup.targets, &self.wanted, &[]);
        context.out.send(context.me, self.connection, frame, FETCH);
    }

    /// Retention was faster: where do the partitions begin now?
    fn ask_log_starts(&mut self, context: &mut Context) {
        const NO_REPLICA: i32 = -1;
        let mut frame = context.out.buffer();
        let mut writer = RequestWriter::begin(&mut frame, ApiKey::ListOffsets, LIST_OFFSETS_VERSION, 0);
        writer.i32(NO_REPLICA);
        writer.array(self.out_of_range.len());
        for &place in &self.out_of_range {
            let target = &self.setup.targets[self.partitions[place].target as usize];
            writer.string(Some(&target.topic));
            writer.array(1);
            writer.i32(target.partition);
            writer.i64(TIMESTAMP_BEGINNING);
        }
        writer.finish();
        context.out.send(context.me, self.connection, frame, LOG_START);
    }

    fn log_starts(&mut self, answer: &Answer, context: &mut Context) -> Result<(), Error> {
        let frame = answer.frame;
        let pieces = [frame];
        let mut cursor = Slices::new(&pieces).cursor();
        let mut starts = Vec::new();
        let mut read = || -> Result<(), slices::Error> {
            cursor.i32()?;
            for _ in 0..cursor.array(false)? {
                let topic = &frame[cursor.string(false)?];
                for _ in 0..cursor.array(false)? {
                    let (index, error) = (cursor.i32()?, cursor.i16()?);
                    cursor.i64()?;
                    starts.push((topic, index, error, cursor.i64()?));
                }
            }
            Ok(())
        };
        read().map_err(|error| self.not_kafka(error))?;
        for (topic, index, error, start) in starts {
            let Some(place) = self.place(topic, index) else { continue };
            match error {
                0 => self.skip_to(place, start, context)?,
                code => return Err(self.refused(place, code)),
            }
        }
        self.out_of_range.clear();
        Ok(())
    }

    /// What lies below was removed before it was read.
    fn skip_to(&mut self, place: usize, start: i64, context: &mut Context) -> Result<(), Error> {
        let partition = &mut self.partitions[place];
        let lost = u64::try_from(start - partition.offset).unwrap_or(0);
        if lost == 0 {
            // It is out of range, and not below: so it is beyond the end.
            let target = &self.setup.targets[partition.target as usize];
            return Err(Error::Refused {
                what: format!("a fetch of {}:{} at offset {}", target.topic, target.partition, partition.offset),
                code: "the log was truncated below it".to_owned(),
                remedy: None,
            });
        }
        partition.moved = true;
        partition.offset = start;
        partition.has_skipped = true;
        let measured = self.is_measured(context.now);
        count(context, measured, |tally| tally.consumed.lost_to_retention += lost);
        Ok(())
    }

    fn fetched(&mut self, answer: &Answer, context: &mut Context) -> Result<(), Error> {
        // Partitions are taken where they lie; errors are looked at once all have been.
        let mut refused = None;
        let version = self.setup.fetch_version;
        let head = fetch::answer(answer.frame, version, |partition| {
            if let Err(error) = self.partition(partition, context) {
                refused.get_or_insert(error);
            }
        });
        let head = head.map_err(|error| self.not_kafka(error))?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        match head.error {
            0 => self.resets = 0,
            FETCH_SESSION_ID_NOT_FOUND | INVALID_FETCH_SESSION_EPOCH if self.resets < SESSION_RESETS_MAX => {
                self.resets += 1;
                self.session = Session::OPEN;
                return Ok(());
            }
            code => {
                return Err(Error::Refused { what: "a fetch".to_owned(), code: code_name(code), remedy: None });
            }
        }
        self.session = self.session.next(head.session);
        let measured = self.is_measured(context.now);
        count(context, measured, |tally| tally.consumed.requests += 1);
        Ok(())
    }

    fn partition(&mut self, answered: AnswerPartition, context: &mut Context) -> Result<(), Error> {
        let Some(place) = self.place(answered.topic, answered.index) else { return Ok(()) };
        match answered.error {
            0 => {}
            OFFSET_OUT_OF_RANGE => {
                self.out_of_range.push(place);
                return Ok(());
            }
            code => return Err(self.refused(place, code)),
        }
        for batch in Batches::new(answered.records) {
            let batch = batch.map_err(|error| self.not_kafka(error))?;
            self.batch(place, &batch, context)?;
        }
        let partition = &self.partitions[place];
        // What lies beyond something that was not read has not been read wholly.
        if !partition.has_skipped {
            context.received.up_to.insert(partition.target, partition.offset);
        }
        Ok(())
    }

    fn batch(&mut self, place: usize, batch: &Batch, context: &mut Context) -> Result<(), Error> {
        let measured = self.is_measured(context.now);
        let partition = &mut self.partitions[place];
        if batch.end() <= partition.offset {
            return Ok(());
        }
        // A fetch may begin with the batch that holds the offset asked for.
        let skipped = (partition.offset - batch.header.base_offset.0).max(0);
        context.received.gaps += u64::try_from(batch.header.base_offset.0 - partition.offset).unwrap_or(0);
        partition.offset = batch.end();
        partition.moved = true;
        if batch.header.is_control() {
            return Ok(());
        }
        let held = i64::from(batch.header.record_count);
        let records = u64::try_from(held - skipped).unwrap_or(0);
        context.received.records += records;
        count(context, measured, |tally| {
            tally.consumed.records += records;
            tally.consumed.batches += 1;
            tally.consumed.bytes += batch.bytes.len() as u64;
        });
        if !batch.is_whole() {
            context.received.changed += records;
        } else if partition.is_walked {
            if !partition.is_stamped {
                context.interval.arrived += records;
            }
            let (run, measured) = (self.setup.run, self.measured);
            walk(batch, skipped, |stamp, begins| partition.take(stamp, begins, run, measured, context))
                .map_err(|error| Error::NotKafka { server: self.server(place), reason: error.to_string() })?;
        }
        Ok(())
    }

    /// Whether all was read so often as was asked for; begins again where it is to be read once more.
    fn has_read_all(&mut self) -> bool {
        let Some(passes) = &mut self.passes_left else { return false };
        let targets = &self.setup.targets;
        let is_read = |one: &Partition| one.offset >= targets[one.target as usize].first_offset;
        if !self.partitions.iter().all(is_read) {
            return false;
        }
        *passes = passes.saturating_sub(1);
        self.done = *passes == 0;
        let nothing = self.partitions.iter().all(|one| {
            let target = one.target as usize;
            self.setup.consume_from[target] >= targets[target].first_offset
        });
        if self.done || nothing {
            self.done = true;
            return true;
        }
        for partition in &mut self.partitions {
            partition.offset = self.setup.consume_from[partition.target as usize];
            partition.moved = true;
        }
        false
    }

    fn is_measured(&self, at: Nanos) -> bool {
        self.measured.0 <= at && at < self.measured.1
    }

    fn place(&self, topic: &[u8], index: i32) -> Option<usize> {
        self.places.get(str::from_utf8(topic).ok()?)?.get(&index).copied()
    }

    fn server(&self, place: usize) -> String {
        let target = &self.setup.targets[self.partitions[place].target as usize];
        self.setup.brokers.get(&target.leader).cloned().unwrap_or_default()
    }

    fn not_kafka(&self, reason: impl ToString) -> Error {
        let server = if self.partitions.is_empty() { String::new() } else { self.server(0) };
        Error::NotKafka { server, reason: reason.to_string() }
    }

    fn refused(&self, place: usize, code: i16) -> Error {
        let target = &self.setup.targets[self.partitions[place].target as usize];
        let what = format!("a fetch of {}:{}", target.topic, target.partition);
        Error::Refused { what, code: code_name(code), remedy: None }
    }
}

impl Party for Consumer {
    fn due(&mut self, context: &mut Context) -> Result<Option<Nanos>, Error> {
        if self.begins > context.now {
            return Ok(Some(self.begins));
        }
        if !self.asked && !self.done {
            self.ask(context);
        }
        Ok(None)
    }

    fn answered(&mut self, answer: Answer, context: &mut Context) -> Result<Option<Nanos>, Error> {
        self.asked = false;
        match answer.token {
            LOG_START => self.log_starts(&answer, context)?,
            _ => self.fetched(&answer, context)?,
        }
        self.ask(context);
        Ok(None)
    }

    fn lost(&mut self, _context: &mut Context) {
        self.done = true;
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl Partition {
    /// A record of some run; `begins` says whether it is the first of its batch.
    fn take(&mut self, stamp: Stamp, begins: bool, run: u32, measured: (Nanos, Nanos), context: &mut Context) {
        if stamp.run != run {
            return;
        }
        let latency = context.now.0.saturating_sub(stamp.due.0);
        context.interval.end_to_end.record(latency);
        // By when it was due: what is late at the end of the measured part belongs to it.
        if measured.0 <= stamp.due && stamp.due < measured.1 {
            context.measured.end_to_end.record(latency);
        }
        let sequence = stamp.sequence;
        let repeated = context.received.repeated;
        match self.last.get_mut(&stamp.producer) {
            Some(last) if sequence > last.last => {
                last.last = sequence;
                if begins {
                    last.first = sequence;
                }
            }
            Some(last) => last.count(sequence, context.received),
            None => {
                self.last.insert(stamp.producer, Last { first: sequence, last: sequence });
            }
        }
        if self.is_stamped && context.received.repeated == repeated {
            context.interval.arrived += 1;
        }
    }
}

impl Last {
    /// A sequence that does not rise.
    fn count(&self, sequence: u64, received: &mut Received) {
        match sequence >= self.first {
            true => received.repeated += 1,
            false => received.reordered += 1,
        }
    }
}

/// The bounds of what is measured.
fn measured(plan: &Plan) -> (Nanos, Nanos) {
    let nanos = |duration: Duration| Nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    (nanos(plan.warm_up), plan.duration.map_or(Nanos(u64::MAX), |duration| nanos(plan.warm_up + duration)))
}

/// Adds to the interval, and to what is measured if it is.
fn count(context: &mut Context, measured: bool, add: impl Fn(&mut Tally)) {
    add(context.interval);
    if measured {
        add(context.measured);
    }
}

/// Reads the stamps of a batch's records, the first `skipped` left out. `each` is told whether it is the first.
fn walk(batch: &Batch, skipped: i64, mut each: impl FnMut(Stamp, bool)) -> Result<(), batch::Error> {
    let opened;
    let section = match batch.header.compression()? {
        Compression::None => &batch.bytes[HEADER_LEN..],
        _ => {
            opened = decompress(&batch.header, Slices::one(&batch.bytes), OPENED_BYTES_MAX)?;
            opened.as_slice()
        }
    };
    for record in Records::new(section, batch.header.record_count) {
        let record = record?;
        if i64::from(record.offset_delta) >= skipped
            && let Some(stamp) = record.value.and_then(read_stamp)
        {
            each(stamp, i64::from(record.offset_delta) == skipped);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
