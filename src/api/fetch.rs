//! Fetch (key 1): asks the shards that own the partitions, waits until there is enough, and describes what was found.
//! The records themselves go from where they lie to the socket.
//!
//! A fetch from one shard waits there. One from several asks all of them at once first; only if that is not enough, it
//! asks them to wait, and the first that finds something ends the wait of the others.

use std::sync::Arc;
use std::time::Instant;

use duramen_wire::fetch::{
    self, DivergingEpoch, PartitionResponse, ResponseEncoder, ResponseHead, TopicName, TopicRef,
};
use duramen_wire::ids::{LeaderEpoch, Offset, ShardId, TopicPartitionId};
use duramen_wire::messages::ResponseError;
use duramen_wire::slices::Slices;

use super::Context;
use super::errors;
use super::exchange::Exchange;
use super::sessions::{FetchPartition, Partitions, TopicKey};
use crate::controller::Image;
use crate::shard::message::{ReadBatch, ReadItem, ReplyTo};

/// Topic names that one exchange remembers.
const NAMES_KEPT_MAX: usize = 64;
/// The first version that names topics by id (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;

/// A fetch as it was read, and how far it has come.
#[derive(Default)]
pub struct FetchState {
    pub request: fetch::Request,
    session: Session,
    session_id: i32,
    partitions: Partitions,
    /// For each partition, the shard and the item of its box that answer it, or the error found before asking.
    places: Vec<Result<(ShardId, usize), i16>>,
    pub phase: Phase,
    /// Boxes that are to be sent again, with leave to wait.
    pub to_wait: Vec<Box<ReadBatch>>,
    /// The shards that were asked to wait.
    pub waiting: Vec<ShardId>,
    /// Which partition is served first; moves on from fetch to fetch.
    first: usize,
    /// The partitions that the answer names.
    included: Vec<usize>,
    name_scratch: Vec<u8>,
    /// Names that were fetched before, so that a client without a session costs no allocation each time.
    names: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Session {
    #[default]
    None,
    /// To be opened with the answer.
    New,
    Open(i32),
    Refused(i16),
}

/// How a fetch goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Looking,
    /// The boxes are to be sent again, with leave to wait.
    ToWait,
    Waiting,
    /// The shards that still wait are to be told to answer now.
    ToCancel,
    Cancelled,
}

impl FetchState {
    /// The session that the request belongs to or has opened; 0 if none.
    pub fn session_id(&self) -> i32 {
        self.session_id
    }

    pub fn clear(&mut self) {
        self.session_id = 0;
        self.session = Session::None;
        self.places.clear();
        self.included.clear();
        self.waiting.clear();
        self.phase = Phase::Looking;
    }

    /// The shards that were asked.
    pub fn owners(&self) -> impl Iterator<Item = ShardId> {
        let mut owners: Vec<ShardId> = self.places.iter().filter_map(|place| Some(place.as_ref().ok()?.0)).collect();
        owners.sort_unstable();
        owners.dedup();
        owners.into_iter()
    }
}

/// Why a request gets no answer but a closed connection.
pub type Unreadable = fetch::Error;

/// Reads the request and fills a box in `exchange.reads` for each shard that has a part in it; the caller sends them.
pub fn begin(context: &Context, exchange: &mut Exchange, reply_to: ReplyTo) -> Result<(), Unreadable> {
    let request = exchange.request.clone();
    request.with(|bytes| {
        exchange.fetch.request.parse(bytes, exchange.body, exchange.version)?;
        let by_id = exchange.version >= TOPIC_IDS_SINCE;
        let Exchange { fetch: state, reads, spare_reads, started, .. } = exchange;
        let image = context.shard.image.borrow();
        if let Err(error) = state.open_session(context, bytes, by_id, *started) {
            state.session = Session::Refused(error.code());
            return Ok(());
        }
        state.ask(context, &image, reads, spare_reads, reply_to);
        Ok(())
    })
}

impl FetchState {
    fn open_session(
        &mut self,
        context: &Context,
        bytes: Slices<'_>,
        by_id: bool,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let (id, epoch) = (self.request.session_id, self.request.session_epoch);
        let mut sessions = context.sessions.borrow_mut();
        if epoch <= 0 {
            if id != 0 {
                sessions.close(id);
            }
            self.session = if epoch == 0 { Session::New } else { Session::None };
            self.partitions.list.clear();
            for at in 0..self.request.partitions.len() {
                let wanted = self.wanted(bytes, at);
                self.partitions.list.push(wanted);
            }
            return Ok(());
        }
        self.partitions = sessions.take(id, epoch, by_id, now)?;
        self.session = Session::Open(id);
        for at in 0..self.request.partitions.len() {
            let wanted = self.wanted(bytes, at);
            self.partitions.update(wanted);
        }
        for at in 0..self.request.forgotten.len() {
            let forgotten = self.request.forgotten[at].clone();
            let topic = topic_key(bytes, &forgotten.topic, &mut self.name_scratch, &mut self.names);
            self.partitions.forget(&topic, forgotten.index);
        }
        if self.partitions.list.is_empty() {
            sessions.close(id);
            self.session = Session::None;
        }
        Ok(())
    }

    fn wanted(&mut self, bytes: Slices<'_>, at: usize) -> FetchPartition {
        let partition = &self.request.partitions[at];
        let topic = &self.request.topics[partition.topic].topic;
        FetchPartition {
            topic: topic_key(bytes, topic, &mut self.name_scratch, &mut self.names),
            index: partition.index,
            from: partition.fetch_offset,
            bytes_max: partition.max_bytes,
            leader_epoch: partition.current_leader_epoch.0,
            last_fetched_epoch: partition.last_fetched_epoch.0,
            high_watermark: -1,
            log_start: -1,
        }
    }

    /// Sorts the partitions by shard into boxes.
    fn ask(
        &mut self,
        context: &Context,
        image: &Image,
        boxes: &mut Vec<Box<ReadBatch>>,
        spare: &mut Vec<Box<ReadBatch>>,
        reply_to: ReplyTo,
    ) {
        let count = self.partitions.list.len();
        self.first = if count == 0 { 0 } else { (self.first + 1) % count };
        self.places.clear();
        self.places.resize(count, Err(0));
        for step in 0..count {
            let at = (self.first + step) % count;
            let wanted = &self.partitions.list[at];
            self.places[at] = match place(image, wanted) {
                Err(error) => Err(error.code()),
                Ok((shard, id)) => {
                    let (item_at, item) = box_for(shard, boxes, spare, reply_to).add(id, at);
                    item.from = Offset(wanted.from);
                    item.bytes_max = usize::try_from(wanted.bytes_max).unwrap_or(0);
                    item.current_leader_epoch = known_epoch(wanted.leader_epoch);
                    item.last_fetched_epoch = known_epoch(wanted.last_fetched_epoch);
                    Ok((shard, item_at))
                }
            };
        }
        let wait = boxes.len() == 1 && self.places.iter().all(Result::is_ok);
        let bytes_max = self.bytes_max(context);
        for batch in boxes {
            batch.bytes_min = self.bytes_min().min(bytes_max);
            batch.bytes_max = bytes_max;
            batch.wait_ms = if wait { self.wait_ms() } else { 0 };
        }
    }

    fn bytes_min(&self) -> usize {
        usize::try_from(self.request.min_bytes).unwrap_or(0)
    }

    fn bytes_max(&self, context: &Context) -> usize {
        usize::try_from(self.request.max_bytes)
            .unwrap_or(0)
            .min(usize::try_from(context.config().fetch_max_bytes).unwrap_or(0))
    }

    fn wait_ms(&self) -> u32 {
        u32::try_from(self.request.max_wait_ms).unwrap_or(0)
    }
}

fn topic_key(bytes: Slices<'_>, topic: &TopicRef, scratch: &mut Vec<u8>, names: &mut Vec<Arc<str>>) -> TopicKey {
    let range = match topic {
        TopicRef::Id(id) => return TopicKey::Id(*id),
        TopicRef::Name(range) => range.clone(),
    };
    let name = String::from_utf8_lossy(bytes.contiguous(range, scratch));
    if let Some(known) = names.iter().find(|known| ***known == *name) {
        return TopicKey::Name(known.clone());
    }
    let name: Arc<str> = Arc::from(&*name);
    if names.len() == NAMES_KEPT_MAX {
        names.clear();
    }
    names.push(name.clone());
    TopicKey::Name(name)
}

fn place(image: &Image, wanted: &FetchPartition) -> Result<(ShardId, TopicPartitionId), ResponseError> {
    let topic = match &wanted.topic {
        TopicKey::Id(id) => image.topic(*id).ok_or(ResponseError::UnknownTopicId)?,
        TopicKey::Name(name) => image.topic_by_name(name).ok_or(ResponseError::UnknownTopicOrPartition)?,
    };
    let index = usize::try_from(wanted.index.0).map_err(|_| ResponseError::UnknownTopicOrPartition)?;
    let partition = topic.partitions.get(index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    Ok((partition.shard, TopicPartitionId { topic: topic.id, partition: wanted.index }))
}

/// The exchange's box for a shard; a used one if there is one.
fn box_for<'a>(
    shard: ShardId,
    boxes: &'a mut Vec<Box<ReadBatch>>,
    spare: &mut Vec<Box<ReadBatch>>,
    reply_to: ReplyTo,
) -> &'a mut ReadBatch {
    let at = boxes.iter().position(|batch| batch.owner == shard).unwrap_or_else(|| {
        let mut batch = spare.pop().unwrap_or_else(|| ReadBatch::new(reply_to, shard));
        batch.reply_to = reply_to;
        batch.owner = shard;
        boxes.push(batch);
        boxes.len() - 1
    });
    &mut boxes[at]
}

fn known_epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}

/// A box has come back; `exchange.away` counts those that have not.
pub fn advance(context: &Context, exchange: &mut Exchange) {
    let Exchange { fetch: state, reads, started, away, .. } = exchange;
    if *away > 0 {
        if state.phase == Phase::Waiting && reads.iter().any(|batch| batch.ends_wait()) {
            state.phase = Phase::ToCancel;
        }
        return;
    }
    if reads.len() > 1 && state.may_wait(reads, *started) {
        state.waiting.clear();
        std::mem::swap(&mut state.to_wait, reads);
        *away = state.to_wait.len();
        state.phase = Phase::ToWait;
        return;
    }
    finish(context, exchange);
}

impl FetchState {
    /// Whether what several shards have is not enough; then their boxes are made ready to wait.
    fn may_wait(&self, boxes: &mut [Box<ReadBatch>], started: Instant) -> bool {
        let waited = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let left = self.wait_ms().saturating_sub(waited);
        let bytes: usize = boxes.iter().map(|batch| batch.bytes).sum();
        let failed = boxes.iter().any(|batch| batch.has_error()) || self.places.iter().any(Result::is_err);
        if failed || left == 0 || bytes >= self.bytes_min() {
            return false;
        }
        for batch in boxes {
            // No shard knows what the others have: each tells of the next batch it gets, and the sum is taken anew.
            batch.bytes_min = batch.bytes + 1;
            batch.wait_ms = left;
        }
        true
    }
}

/// Writes the answer, once all boxes are back.
pub fn finish(context: &Context, exchange: &mut Exchange) {
    let Exchange { fetch: state, reads, response, version, correlation_id, started, .. } = exchange;
    trim(reads, state.bytes_max(context));
    let incremental = matches!(state.session, Session::Open(_));
    for at in 0..state.partitions.list.len() {
        let source = source(&state.places[at], reads);
        let news = note(&mut state.partitions.list[at], source.map(|(read, item)| &reads[read].items[item]));
        if news || !incremental {
            state.included.push(at);
        }
    }
    let by_id = *version >= TOPIC_IDS_SINCE;
    let (session_id, error_code) = match state.session {
        Session::None => (0, 0),
        Session::New => (context.sessions.borrow_mut().open(by_id, *started), 0),
        Session::Open(id) => (id, 0),
        Session::Refused(code) => (0, code),
    };
    let list = &state.partitions.list;
    let topics = state.included.chunk_by(|a, b| list[*a].topic == list[*b].topic);
    state.session_id = session_id;
    let head = ResponseHead { throttle_time_ms: 0, error_code, session_id };
    let (bytes, splices, count) = (&mut response.bytes, &mut response.splices, topics.clone().count());
    let mut encoder = ResponseEncoder::begin(bytes, splices, *version, *correlation_id, &head, count);
    let committed_only = state.request.isolation_level == fetch::IsolationLevel::ReadCommitted;
    for topic in topics {
        encoder.topic(topic_name(&list[topic[0]].topic), topic.len());
        for &at in topic {
            let source = source(&state.places[at], reads);
            let item = source.map(|(read, item)| &reads[read].items[item]);
            encoder.partition(&describe(&list[at], item, &state.places[at], committed_only));
            response.sources.push(source);
        }
    }
    encoder.finish(&[]);
    match state.session {
        Session::New if session_id != 0 => {
            let partitions = Partitions::from_list(std::mem::take(&mut state.partitions.list));
            context.sessions.borrow_mut().put_back(session_id, partitions);
        }
        Session::Open(id) => {
            context.sessions.borrow_mut().put_back(id, std::mem::take(&mut state.partitions));
        }
        _ => state.partitions.list.clear(),
    }
    exchange.answered = true;
}

/// Several shards may each have found as much as the whole answer may hold; what is too much is read again later.
fn trim(reads: &mut [Box<ReadBatch>], bytes_max: usize) {
    let mut total = 0;
    for item in reads.iter_mut().flat_map(|batch| &mut batch.items) {
        let len = item.data.len();
        if total > 0 && total + len > bytes_max {
            item.data.clear();
        } else {
            total += len;
        }
    }
}

/// The box and the item that answer a partition.
fn source(place: &Result<(ShardId, usize), i16>, reads: &[Box<ReadBatch>]) -> Option<(usize, usize)> {
    let (owner, item) = place.ok()?;
    reads.iter().position(|batch| batch.owner == owner).map(|read| (read, item))
}

/// Notes what the client is told of a partition; true if it is new to it.
fn note(partition: &mut FetchPartition, item: Option<&ReadItem>) -> bool {
    let Some((Ok(found), data)) = item.map(|item| (&item.result, &item.data)) else {
        partition.high_watermark = -1;
        return true;
    };
    let known = (partition.high_watermark, partition.log_start);
    (partition.high_watermark, partition.log_start) = (found.high_watermark.0, found.log_start.0);
    known != (partition.high_watermark, partition.log_start) || !data.is_empty() || found.diverging.is_some()
}

fn describe(
    partition: &FetchPartition,
    item: Option<&ReadItem>,
    place: &Result<(ShardId, usize), i16>,
    committed_only: bool,
) -> PartitionResponse<'static> {
    let error = |code| PartitionResponse::error(partition.index, code);
    match (item, place) {
        (None, Err(code)) => error(*code),
        (None, Ok(_)) => error(ResponseError::UnknownServerError.code()),
        (Some(item), _) => match &item.result {
            Err(refusal) => error(errors::read(refusal).code()),
            Ok(found) => PartitionResponse {
                high_watermark: found.high_watermark.0,
                last_stable_offset: found.high_watermark.0,
                log_start_offset: found.log_start.0,
                aborted_transactions: committed_only.then_some(&[]),
                records_len: Some(item.data.len()),
                diverging_epoch: found.diverging.map(|(epoch, end_offset)| DivergingEpoch { epoch, end_offset }),
                ..error(0)
            },
        },
    }
}

fn topic_name(key: &TopicKey) -> TopicName<'_> {
    match key {
        TopicKey::Name(name) => TopicName::Name(name.as_bytes()),
        TopicKey::Id(id) => TopicName::Id(*id),
    }
}
