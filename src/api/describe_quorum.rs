//! DescribeQuorum (key 55): one host is a quorum of one, which leads itself.

use duramen_wire::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use duramen_wire::messages::{
    BrokerId, DescribeQuorumRequest, DescribeQuorumResponse, ResponseError, StrBytes, TopicName,
};

use super::{Caller, Context};

/// What Kafka calls the log of the metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";

pub fn answer(context: &Context, caller: &Caller, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let asks_for_it = request.topics.len() == 1
        && request.topics[0].topic_name.as_str() == METADATA_TOPIC
        && request.topics[0].partitions.len() == 1
        && request.topics[0].partitions[0].partition_index == 0;
    if !asks_for_it {
        return DescribeQuorumResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    let end = i64::try_from(context.shard.image.borrow().applied()).unwrap_or(i64::MAX);
    let now_ms = context.shard.now_ms();
    let node = context.own_node();
    let voter = ReplicaState::default()
        .with_replica_id(BrokerId(context.config().node_id))
        .with_log_end_offset(end)
        .with_last_fetch_timestamp(now_ms)
        .with_last_caught_up_timestamp(now_ms);
    let partition = PartitionData::default()
        .with_leader_id(BrokerId(context.config().node_id))
        .with_leader_epoch(1)
        .with_high_watermark(end)
        .with_current_voters(vec![voter]);
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(METADATA_TOPIC)))
        .with_partitions(vec![partition]);
    let response = DescribeQuorumResponse::default().with_topics(vec![topic]);
    if caller.version < 2 {
        return response;
    }
    let listener = Listener::default()
        .with_name(StrBytes::from_string(context.listener_name().to_string()))
        .with_host(StrBytes::from_string(node.host.clone()))
        .with_port(u16::try_from(node.port).unwrap_or_default());
    let voter = Node::default().with_node_id(BrokerId(context.config().node_id)).with_listeners(vec![listener]);
    response.with_nodes(vec![voter])
}
