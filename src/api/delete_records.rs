//! DeleteRecords (key 21): moves the log start; what lies before it is never read again (KIP-107).

use duramen_wire::ids::Offset;
use duramen_wire::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use duramen_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse, ResponseError};

use super::partitions::{find, with_log};
use super::{Context, errors};
use crate::config;
use crate::log::Partition;
use crate::runtime::disk::RealDisk;

/// Asks for all records up to the high watermark to be deleted.
const UP_TO_HIGH_WATERMARK: i64 = -1;
const NO_LOW_WATERMARK: i64 = -1;

pub async fn answer(context: &Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::new();
    for topic in request.topics {
        let allowed = check_topic(context, &topic.name);
        let mut partitions = Vec::new();
        for asked in topic.partitions {
            let place = allowed.and_then(|()| find(context, &topic.name, asked.partition_index));
            let before = asked.offset;
            let low_watermark = with_log(context, place, move |log| delete_before(log, before)).await;
            let result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            partitions.push(match low_watermark {
                Ok(offset) => result.with_low_watermark(offset.0),
                Err(error) => result.with_low_watermark(NO_LOW_WATERMARK).with_error_code(error.code()),
            });
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

/// Records of the broker's own topics, and of topics that are only ever compacted, are not deleted so.
fn check_topic(context: &Context, name: &str) -> Result<(), ResponseError> {
    let image = context.shard.image.borrow();
    let topic = image.topic_by_name(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
    if topic.internal {
        return Err(ResponseError::InvalidTopicException);
    }
    let layers = image.layers(&context.settings, context.config().node_id);
    match config::Topic::new(&topic.configs, &layers).cleanup_policy.delete {
        true => Ok(()),
        false => Err(ResponseError::PolicyViolation),
    }
}

async fn delete_before(log: Partition<RealDisk>, before: i64) -> Result<Offset, ResponseError> {
    let high_watermark = log.committed();
    let before = match before {
        UP_TO_HIGH_WATERMARK => high_watermark,
        offset if (0..=high_watermark.0).contains(&offset) => Offset(offset),
        _ => return Err(ResponseError::OffsetOutOfRange),
    };
    log.delete_records(before).await.map_err(|error| errors::log(&error))
}
