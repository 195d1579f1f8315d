//! The offsets of a group: read and written at its coordinator.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::Error;
use crate::client::{Cluster, check};

/// Topic and partition.
pub(super) type Place = (String, i32);

/// All offsets that a group has committed.
pub(super) fn fetch(cluster: &mut Cluster, group: &str) -> Result<BTreeMap<Place, i64>, Error> {
    const SEVERAL_GROUPS: i16 = 8;
    let id = GroupId(StrBytes::from_string(group.to_owned()));
    let what = || format!("read the offsets of group {group}");
    let coordinator = cluster.coordinator(group)?;
    let version = coordinator.version::<OffsetFetchRequest>()?;
    let mut offsets = BTreeMap::new();
    if version < SEVERAL_GROUPS {
        let request = OffsetFetchRequest::default().with_group_id(id).with_topics(None);
        let response = coordinator.call_version(&request, version)?;
        check(response.error_code, None, what)?;
        for topic in response.topics {
            for partition in topic.partitions {
                check(partition.error_code, None, what)?;
                offsets.insert((topic.name.0.to_string(), partition.partition_index), partition.committed_offset);
            }
        }
    } else {
        // Version 9 wants an epoch for members of the new protocol; this is no member.
        let wanted = OffsetFetchRequestGroup::default().with_group_id(id).with_member_epoch(-1).with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![wanted]);
        for answer in coordinator.call_version(&request, version)?.groups {
            check(answer.error_code, None, what)?;
            for topic in answer.topics {
                for partition in topic.partitions {
                    check(partition.error_code, None, what)?;
                    offsets.insert((topic.name.0.to_string(), partition.partition_index), partition.committed_offset);
                }
            }
        }
    }
    offsets.retain(|_, &mut offset| offset >= 0);
    Ok(offsets)
}

/// Commits offsets from outside the group, which the coordinator allows while the group has no members.
pub(super) fn commit(cluster: &mut Cluster, group: &str, offsets: &BTreeMap<Place, i64>) -> Result<(), Error> {
    const NO_GENERATION: i32 = -1;
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), &offset) in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(StrBytes::default()));
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&str, Vec<OffsetCommitRequestPartition>)| {
        OffsetCommitRequestTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partitions(partitions)
    };
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(topics.into_iter().map(topic).collect());
    let response = cluster.coordinator(group)?.call(&request)?;
    for topic in response.topics {
        for partition in topic.partitions {
            let what = || format!("set the offset of {}:{}", topic.name.0.as_str(), partition.partition_index);
            check(partition.error_code, None, what)?;
        }
    }
    Ok(())
}
