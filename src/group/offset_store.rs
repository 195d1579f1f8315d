//! The offsets that a group has committed, durable ones only.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What was committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// -1 if it is not known.
    pub leader_epoch: i32,
    pub metadata: Arc<str>,
    pub commit_timestamp_ms: i64,
    /// Set by a commit that asked for a retention of its own (versions 2 to 4).
    pub expire_timestamp_ms: Option<i64>,
    /// All zero if it is not known.
    pub topic_id: [u8; 16],
}

impl CommittedOffset {
    /// Whether it was committed in the topic of that id, as far as is known.
    pub(super) fn may_be_of(&self, topic_id: [u8; 16]) -> bool {
        self.topic_id == topic_id || self.topic_id == [0; 16]
    }
}

#[derive(Debug, Default)]
pub(super) struct Offsets {
    by_topic: BTreeMap<Arc<str>, BTreeMap<i32, CommittedOffset>>,
    len: usize,
}

impl Offsets {
    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.by_topic.get(topic)?.get(&partition)
    }

    pub(super) fn put(&mut self, topic: &Arc<str>, partition: i32, committed: CommittedOffset) {
        let partitions = self.by_topic.entry(Arc::clone(topic)).or_default();
        self.len += usize::from(partitions.insert(partition, committed).is_none());
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) {
        let Some(partitions) = self.by_topic.get_mut(topic) else { return };
        self.len -= usize::from(partitions.remove(&partition).is_some());
        if partitions.is_empty() {
            self.by_topic.remove(topic);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i32, CommittedOffset>)> {
        self.by_topic.iter()
    }

    /// The partitions with something committed in the topic of that name and id.
    pub(super) fn partitions(&self, topic: &str, topic_id: [u8; 16]) -> impl Iterator<Item = i32> {
        let partitions = self.by_topic.get(topic).into_iter().flatten();
        partitions.filter(move |(_, committed)| committed.may_be_of(topic_id)).map(|(partition, _)| *partition)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        let entries = self.by_topic.iter();
        entries
            .flat_map(|(topic, partitions)| partitions.iter().map(move |(index, committed)| (topic, *index, committed)))
    }
}
