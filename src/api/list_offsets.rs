//! ListOffsets (key 2): the offset that belongs to a time, or to one of the marks that Kafka names by negative times.

use duramen_wire::ids::{LeaderEpoch, Offset};
use duramen_wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use duramen_wire::messages::{ListOffsetsRequest, ListOffsetsResponse, ResponseError};

use super::partitions::{check_epoch, find, with_log};
use super::{Caller, Context, errors};
use crate::log::Partition;
use crate::runtime::disk::RealDisk;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734), since version 7.
const MAX_TIMESTAMP: i64 = -3;
/// The first record on this host (KIP-405), since version 8.
const EARLIEST_LOCAL: i64 = -4;
/// The last record in remote storage (KIP-1005), since version 9.
const LATEST_TIERED: i64 = -5;
/// The first record not yet in remote storage (KIP-1023), since version 11.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// An offset, the timestamp of its record if the question was for one, and its epoch.
#[derive(Clone, Copy)]
struct Found {
    offset: i64,
    timestamp: i64,
    epoch: i32,
}

const NOTHING: Found = Found { offset: -1, timestamp: -1, epoch: -1 };

pub async fn answer(context: &Context, caller: &Caller, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for asked in topic.partitions {
            let version = caller.version;
            let believed = (asked.current_leader_epoch >= 0).then_some(LeaderEpoch(asked.current_leader_epoch));
            let timestamp = asked.timestamp;
            let found = with_log(context, find(context, &topic.name, asked.partition_index), move |log| async move {
                check_epoch(&log, believed)?;
                look_up(&log, version, timestamp).await
            });
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
            let (found, error) = match found.await {
                Ok(found) => (found, 0),
                Err(error) => (NOTHING, error.code()),
            };
            let answer = answer.with_error_code(error).with_offset(found.offset).with_timestamp(found.timestamp);
            partitions.push(if version >= 4 { answer.with_leader_epoch(found.epoch) } else { answer });
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

async fn look_up(log: &Partition<RealDisk>, version: i16, timestamp: i64) -> Result<Found, ResponseError> {
    let mark = |offset: Offset, epoch: Option<LeaderEpoch>| Found {
        offset: offset.0,
        timestamp: -1,
        epoch: epoch.map_or(-1, |epoch| epoch.0),
    };
    match timestamp {
        LATEST => Ok(mark(log.committed(), Some(log.leader_epoch()))),
        EARLIEST => Ok(mark(log.log_start(), log.epoch_at(log.log_start()))),
        MAX_TIMESTAMP if version >= 7 => record(log.max_timestamp().await.map_err(|error| errors::log_read(&error))?),
        EARLIEST_LOCAL if version >= 8 => Ok(mark(log.log_start(), log.epoch_at(log.log_start()))),
        // Nothing is ever in remote storage.
        LATEST_TIERED if version >= 9 => Ok(NOTHING),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Ok(NOTHING),
        negative if negative < 0 => Err(ResponseError::UnsupportedVersion),
        time => record(log.offset_for_time(time).await.map_err(|error| errors::log_read(&error))?),
    }
}

fn record(found: Option<(Offset, i64, LeaderEpoch)>) -> Result<Found, ResponseError> {
    Ok(found.map_or(NOTHING, |(offset, timestamp, epoch)| Found { offset: offset.0, timestamp, epoch: epoch.0 }))
}
