//! Produce (key 0): sorts the batches of a request by the shards that own their partitions, and gathers the answers.
//! The records are not looked at here, and stay where they were received.

use std::ops::Range;
use std::sync::Arc;

use duramen_wire::batch::HEADER_LEN;
use duramen_wire::ids::{ShardId, TopicPartitionId};
use duramen_wire::messages::ResponseError;
use duramen_wire::produce::{
    self, CurrentLeader, NodeEndpoint, PartitionResponse, ResponseEncoder, TopicName, TopicRef,
};
use duramen_wire::slices::Slices;

use super::Context;
use super::errors;
use super::exchange::{Exchange, Fate};
use crate::controller::Topic;
use crate::shard::message::{AppendBatch, AppendItem, AppendRefusal, ReplyTo};

/// The client id with which Kafka's own admin client may write to internal topics.
const ADMIN_CLIENT_ID: &[u8] = b"__admin_client";

/// The first version that takes zstd.
const ZSTD_SINCE: i16 = 7;
/// Where a batch has its attributes, and what in them is the compression.
const ATTRIBUTES_AT: usize = 21;
const COMPRESSION_MASK: i16 = 7;
const ZSTD: i16 = 4;

/// A produce request as it was read, and what became of each of its partitions.
#[derive(Default)]
pub struct ProduceState {
    pub request: produce::Request,
    answers: Vec<Answer>,
    name_scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    error: i16,
    base_offset: i64,
    log_start_offset: i64,
    /// The refusal's text, by the box and item that has it.
    detail: Option<(usize, usize)>,
    /// Who leads the partition, where the client asked the wrong node (KIP-951).
    leader: Option<CurrentLeader>,
}

impl ProduceState {
    pub fn clear(&mut self) {
        self.answers.clear();
    }
}

/// Why a request gets no answer but a closed connection.
pub type Unreadable = produce::Error;

/// Reads the request and fills a box in `exchange.appends` for each shard that has a part in it; the caller sends them.
pub fn begin(
    context: &Context,
    exchange: &mut Exchange,
    reply_to: ReplyTo,
    client_id: Option<&Range<usize>>,
) -> Result<(), Unreadable> {
    let request = exchange.request.clone();
    request.with(|bytes| {
        exchange.produce.request.parse(bytes, exchange.body, exchange.version)?;
        let Exchange { produce: state, appends, spare_appends, version, .. } = exchange;
        let ProduceState { request: parsed, answers, name_scratch } = state;
        answers.clear();
        answers.resize(parsed.partitions.len(), Answer { base_offset: -1, log_start_offset: -1, ..Answer::default() });
        if !matches!(parsed.acks, -1..=1) {
            answers.iter_mut().for_each(|answer| answer.error = ResponseError::InvalidRequiredAcks.code());
            return Ok(());
        }
        let image = context.shard.image.borrow();
        let is_admin = client_id.is_some_and(|range| bytes.sub(range.clone()).equals(ADMIN_CLIENT_ID));
        for topic in &parsed.topics {
            let found = find_topic(&image, bytes, &topic.topic, name_scratch);
            for entry in topic.partitions.clone() {
                let records = parsed.partitions[entry].records.as_ref();
                let placed = check_compression(bytes, records, *version)
                    .and(found)
                    .and_then(|found| place(found, parsed, entry, is_admin));
                match placed {
                    Err(error) => answers[entry].error = error.code(),
                    Ok((shard, item)) => box_for(shard, appends, spare_appends, reply_to).items.push(item),
                }
            }
        }
        for batch in appends {
            batch.wait_for_commit = parsed.acks != 0;
            batch.input = Some(Arc::clone(&request));
        }
        Ok(())
    })
}

fn find_topic<'i>(
    image: &'i crate::controller::Image,
    request: Slices<'_>,
    topic: &TopicRef,
    scratch: &mut Vec<u8>,
) -> Result<&'i Topic, ResponseError> {
    match topic {
        TopicRef::Id(id) => image.topic(*id).ok_or(ResponseError::UnknownTopicId),
        TopicRef::Name(range) => std::str::from_utf8(request.contiguous(range.clone(), scratch))
            .ok()
            .and_then(|name| image.topic_by_name(name))
            .ok_or(ResponseError::UnknownTopicOrPartition),
    }
}

/// The owner of a partition entry's partition, and the item to send there.
fn place(
    topic: &Topic,
    request: &produce::Request,
    entry: usize,
    is_admin: bool,
) -> Result<(ShardId, AppendItem), ResponseError> {
    let partition = &request.partitions[entry];
    if topic.internal && !is_admin {
        return Err(ResponseError::InvalidTopicException);
    }
    let placement = usize::try_from(partition.index.0)
        .ok()
        .and_then(|index| topic.partitions.get(index))
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    // Kafka: "Produce requests ... must have at least one record batch per partition".
    let records =
        partition.records.clone().filter(|records| !records.is_empty()).ok_or(ResponseError::InvalidRecord)?;
    let id = TopicPartitionId { topic: topic.id, partition: partition.index };
    Ok((placement.shard, AppendItem { partition: id, entry, records, result: Err(AppendRefusal::Pending) }))
}

/// Batches compressed with zstd need a client of Produce 7, and so do those who are to read them (KIP-110).
fn check_compression(request: Slices<'_>, records: Option<&Range<usize>>, version: i16) -> Result<(), ResponseError> {
    let records = match records {
        Some(records) if version < ZSTD_SINCE && records.len() >= HEADER_LEN => records,
        _ => return Ok(()),
    };
    let attributes = request.array::<2>(records.start + ATTRIBUTES_AT);
    match i16::from_be_bytes(attributes) & COMPRESSION_MASK {
        ZSTD => Err(ResponseError::UnsupportedCompressionType),
        _ => Ok(()),
    }
}

/// The exchange's box for a shard; a used one if there is one.
fn box_for<'a>(
    shard: ShardId,
    boxes: &'a mut Vec<Box<AppendBatch>>,
    spare: &mut Vec<Box<AppendBatch>>,
    reply_to: ReplyTo,
) -> &'a mut AppendBatch {
    let at = boxes.iter().position(|batch| batch.owner == shard).unwrap_or_else(|| {
        let mut batch = spare.pop().unwrap_or_else(|| AppendBatch::new(reply_to, shard));
        batch.reset(reply_to, shard);
        boxes.push(batch);
        boxes.len() - 1
    });
    &mut boxes[at]
}

/// Writes the answer, once all boxes are back.
pub fn finish(context: &Context, exchange: &mut Exchange) {
    collect(context, exchange);
    if exchange.produce.request.acks == 0 {
        exchange.response.fate = silent_fate(&exchange.produce);
        exchange.answered = true;
        return;
    }
    let moved = exchange.produce.answers.iter().any(|answer| answer.leader.is_some());
    let endpoints = if moved { endpoints(context) } else { Vec::new() };
    let request = exchange.request.clone();
    let Exchange { produce: state, appends, response, version, correlation_id, .. } = exchange;
    request.with(|bytes| {
        let mut encoder =
            ResponseEncoder::begin(&mut response.bytes, *version, *correlation_id, state.request.topics.len());
        for topic in &state.request.topics {
            let name = match &topic.topic {
                TopicRef::Id(id) => TopicName::Id(*id),
                TopicRef::Name(range) => TopicName::Name(bytes.contiguous(range.clone(), &mut state.name_scratch)),
            };
            encoder.topic(name, topic.partitions.len());
            for entry in topic.partitions.clone() {
                let answer = &state.answers[entry];
                let message = answer.detail.and_then(|(at, item)| appends[at].items[item].result.as_ref().err());
                let message = message.map(ToString::to_string);
                encoder.partition(&PartitionResponse {
                    index: state.request.partitions[entry].index,
                    error_code: answer.error,
                    base_offset: answer.base_offset,
                    log_append_time_ms: -1,
                    log_start_offset: answer.log_start_offset,
                    error_message: message.as_deref(),
                    current_leader: answer.leader,
                });
            }
        }
        encoder.finish(0, &endpoints);
    });
    exchange.answered = true;
}

/// Copies the results of all boxes to the partition entries that they answer.
fn collect(context: &Context, exchange: &mut Exchange) {
    let Exchange { produce: state, appends, .. } = exchange;
    for (at, batch) in appends.iter().enumerate() {
        for (index, item) in batch.items.iter().enumerate() {
            let answer = &mut state.answers[item.entry];
            match &item.result {
                Ok(appended) => {
                    answer.base_offset = appended.base_offset.0;
                    answer.log_start_offset = appended.log_start.0;
                }
                Err(refusal) => {
                    answer.error = errors::append(refusal).code();
                    if matches!(refusal, AppendRefusal::NotHere) {
                        answer.leader = leader(context, item.partition);
                    }
                    answer.detail = Some((at, index));
                }
            }
        }
    }
}

/// Who leads a partition by now, for a client that asked the shard which held it before.
fn leader(context: &Context, id: TopicPartitionId) -> Option<CurrentLeader> {
    let image = context.shard.image.borrow();
    let partition = image.partition(id.topic, id.partition)?;
    Some(CurrentLeader { leader_id: context.node_of(partition.shard).id, leader_epoch: partition.leader_epoch })
}

fn endpoints(context: &Context) -> Vec<NodeEndpoint<'_>> {
    let nodes = context.nodes().iter();
    nodes.map(|node| NodeEndpoint { node_id: node.id, host: &node.host, port: node.port, rack: None }).collect()
}

/// acks=0: nobody reads an answer, so an error closes the connection, as in Kafka.
fn silent_fate(state: &ProduceState) -> Fate {
    match state.answers.iter().find(|answer| answer.error != 0) {
        None => Fate::Silent,
        Some(answer) => Fate::Close(format!("a produce request with acks=0 failed with error {}", answer.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_for_clients_that_know_it() {
        let mut request = vec![0; 10 + HEADER_LEN];
        let records = 10..request.len();
        let mut check = |attributes: i16, version| {
            request[10 + ATTRIBUTES_AT..][..2].copy_from_slice(&attributes.to_be_bytes());
            check_compression(Slices::one(&request.as_slice()), Some(&records), version)
        };
        assert_eq!(check(ZSTD | 1 << 4, ZSTD_SINCE - 1), Err(ResponseError::UnsupportedCompressionType));
        assert_eq!(check(ZSTD, ZSTD_SINCE), Ok(()));
        assert_eq!(check(3, ZSTD_SINCE - 1), Ok(()));
        // What is too short for a batch is refused by the log.
        assert_eq!(check_compression(Slices::one(&[0; 22].as_slice()), Some(&(0..22)), 3), Ok(()));
    }
}
