//! OffsetForLeaderEpoch (key 23): where an epoch ended, so that a client finds out what was truncated (KIP-320).

use duramen_wire::ids::LeaderEpoch;
use duramen_wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use duramen_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::Context;
use super::partitions::{find, with_log};

pub async fn answer(context: &Context, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for asked in topic.partitions {
            let found = find(context, &topic.topic, asked.partition);
            let wanted = LeaderEpoch(asked.leader_epoch);
            let believed = (asked.current_leader_epoch >= 0).then_some(LeaderEpoch(asked.current_leader_epoch));
            let end = with_log(context, found, move |log| async move {
                super::partitions::check_epoch(&log, believed)?;
                Ok(log.end_offset_for_epoch(wanted))
            });
            let answer = EpochEndOffset::default().with_partition(asked.partition);
            partitions.push(match end.await {
                Ok(Some((epoch, offset))) => answer.with_leader_epoch(epoch.0).with_end_offset(offset.0),
                Ok(None) => answer.with_leader_epoch(-1).with_end_offset(-1),
                Err(error) => answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
            });
        }
        topics.push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions));
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}
