//! What is on its way into the log, and what happens when it is there.
//!
//! Appends take effect in the order in which they were asked for, whatever the order in which they are reported.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::effect::{Record, Response};
use super::error::AppendError;
use super::event::{AppendId, ReplyTo};
use super::offset_store::CommittedOffset;
use super::records::{self, GroupValue};
use super::static_members::Rejoin;

/// What one record changes once it is durable; `None` deletes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Offset { group: Arc<str>, topic: Arc<str>, partition: i32, committed: Option<CommittedOffset> },
    Group { group: Arc<str>, value: Option<GroupValue> },
}

/// What an append is for, beyond its changes and its answer.
#[derive(Debug)]
pub(super) enum Purpose {
    Nothing,
    /// The first record of a group that a member joins; without it the group is not there.
    NewGroup {
        group: Arc<str>,
    },
    /// The leader's assignment: when it is durable, the members get theirs.
    Assignment {
        group: Arc<str>,
        generation: i32,
        assignments: BTreeMap<Arc<str>, Bytes>,
    },
    /// The new id of a static member that rejoined a stable group.
    StaticRejoin(Box<Rejoin>),
    /// The tombstones of a group that was empty since then.
    DeleteGroup {
        group: Arc<str>,
        empty_since_ms: Option<i64>,
    },
}

#[derive(Debug)]
pub(super) struct Append {
    pub(super) changes: Vec<Change>,
    pub(super) purpose: Purpose,
    /// Sent when the append is done, with its error if it failed.
    pub(super) answer: Option<(ReplyTo, Response)>,
    result: Option<Result<i64, AppendError>>,
}

#[derive(Debug, Default)]
pub(super) struct Appends {
    /// The id of the first in `queue`; the others follow without a gap.
    first: u64,
    queue: VecDeque<Append>,
}

impl Appends {
    /// Queues an append. Its records are to be written, unless they cannot be encoded: then it has failed already.
    pub(super) fn push(&mut self, append: Append) -> Option<(AppendId, Vec<Record>)> {
        let id = AppendId(self.next_id());
        let encoded: Result<Vec<Record>, records::Error> = append.changes.iter().map(Change::encode).collect();
        self.queue.push_back(append);
        match encoded {
            Ok(records) => Some((id, records)),
            Err(_) => {
                self.finish(id, Err(AppendError::TooLarge));
                None
            }
        }
    }

    /// Notes how an append ended. Unknown ids are of an earlier life of this coordinator, and ignored.
    pub(super) fn finish(&mut self, id: AppendId, result: Result<i64, AppendError>) {
        let index = id.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(append) = index.and_then(|index| self.queue.get_mut(index)) {
            append.result.get_or_insert(result);
        }
    }

    /// Takes out the first append if its end is known.
    pub(super) fn pop_finished(&mut self) -> Option<(Append, Result<i64, AppendError>)> {
        let result = self.queue.front()?.result?;
        self.first += 1;
        self.queue.pop_front().map(|append| (append, result))
    }

    /// Takes out all, finished or not.
    pub(super) fn take_all(&mut self) -> VecDeque<Append> {
        self.first = self.next_id();
        std::mem::take(&mut self.queue)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Lets a reply wait for the append that was queued last.
    pub(super) fn answer_after_last(&mut self, to: ReplyTo, response: Response) {
        if let Some(last) = self.queue.back_mut() {
            assert!(last.answer.is_none(), "an append answers one request");
            last.answer = Some((to, response));
        }
    }

    /// Partitions of the group whose commit is under way.
    pub(super) fn committing(&self, group_id: &str) -> BTreeSet<(Arc<str>, i32)> {
        let changes = self.queue.iter().flat_map(|append| &append.changes);
        let committing = changes.filter_map(|change| match change {
            Change::Offset { group, topic, partition, committed: Some(_) } if group.as_ref() == group_id => {
                Some((Arc::clone(topic), *partition))
            }
            _ => None,
        });
        committing.collect()
    }

    /// The same for every group that is committing.
    pub(super) fn committing_by_group(&self) -> BTreeMap<Arc<str>, BTreeSet<(Arc<str>, i32)>> {
        let mut groups: BTreeMap<Arc<str>, BTreeSet<(Arc<str>, i32)>> = BTreeMap::new();
        for change in self.queue.iter().flat_map(|append| &append.changes) {
            if let Change::Offset { group, topic, partition, committed: Some(_) } = change {
                groups.entry(Arc::clone(group)).or_default().insert((Arc::clone(topic), *partition));
            }
        }
        groups
    }

    /// Groups that have a commit under way in the topic of that name and id, with the partitions.
    pub(super) fn committing_in_topic(&self, name: &str, topic_id: [u8; 16]) -> BTreeSet<(Arc<str>, i32)> {
        let changes = self.queue.iter().flat_map(|append| &append.changes);
        let committing = changes.filter_map(|change| match change {
            Change::Offset { group, topic, partition, committed: Some(committed) }
                if topic.as_ref() == name && committed.may_be_of(topic_id) =>
            {
                Some((Arc::clone(group), *partition))
            }
            _ => None,
        });
        committing.collect()
    }
}

impl Append {
    pub(super) fn new(changes: Vec<Change>, purpose: Purpose) -> Self {
        Append { changes, purpose, answer: None, result: None }
    }
}

impl Change {
    pub(super) fn tombstone(group: &Arc<str>, topic: &Arc<str>, partition: i32) -> Self {
        Change::Offset { group: Arc::clone(group), topic: Arc::clone(topic), partition, committed: None }
    }

    fn encode(&self) -> Result<Record, records::Error> {
        match self {
            Change::Offset { group, topic, partition, committed } => Ok(Record {
                key: records::encode_offset_key(group, topic, *partition)?,
                value: committed.as_ref().map(records::encode_offset).transpose()?,
            }),
            Change::Group { group, value } => Ok(Record {
                key: records::encode_group_key(group)?,
                value: value.as_ref().map(records::encode_group).transpose()?,
            }),
        }
    }
}
