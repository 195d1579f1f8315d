//! What librdkafka calls back during consumption: rebalances, commits, complaints.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::plan::Plan;
use super::sink::Sink;
use crate::client::native::Complaint;

/// What a commit says of a group that has nothing new to say.
const NOTHING_NEW: RDKafkaErrorCode = RDKafkaErrorCode::NoOffset;

/// Shared by the stream and librdkafka's callbacks, which run in its calls of `poll`.
pub(super) struct Context<W> {
    pub(super) topic: String,
    pub(super) grouped: bool,
    pub(super) state: Mutex<State<W>>,
    pub(super) complaint: Complaint,
}

/// What the callbacks change.
pub(super) struct State<W> {
    pub(super) plan: Plan,
    pub(super) sink: Sink<W>,
    /// The output failed while partitions were being given up.
    pub(super) output_error: Option<std::io::Error>,
    /// Why the last commit failed, until one succeeds.
    pub(super) commit_error: Option<String>,
}

impl<W: Write + Send> Context<W> {
    /// Never hold this across a call of `poll`.
    pub(super) fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what stdout took since the last commit; does nothing without a group.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>, mode: CommitMode) -> KafkaResult<()> {
        let offsets = self.state().sink.take_uncommitted();
        if !self.grouped || offsets.is_empty() {
            return Ok(());
        }
        match consumer.commit(&list(&self.topic, &offsets), mode) {
            Err(error) if error.rdkafka_error_code() != Some(NOTHING_NEW) => {
                self.state().sink.restore(offsets);
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl<W: Write + Send> ClientContext for Context<W> {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        self.complaint.note_log(level, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.complaint.note(reason);
        }
    }
}

impl<W: Write + Send> ConsumerContext for Context<W> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.state().plan.assign(partitions(list)),
            Rebalance::Revoke(list) => {
                let flushed = self.state().sink.flush();
                self.state().output_error = flushed.err();
                // Without an assignment any more, the commit is refused; the records are then read again.
                let committed = self.commit(consumer, CommitMode::Sync);
                let mut state = self.state();
                state.commit_error = committed.err().map(|error| reason(&error));
                state.sink.forget(partitions(list));
                state.plan.revoke(partitions(list));
            }
            Rebalance::Error(error) => self.complaint.note(&reason(error)),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.state().commit_error = None,
            Err(error) if error.rdkafka_error_code() == Some(NOTHING_NEW) => {}
            Err(error) => {
                let mut state = self.state();
                state.commit_error = Some(reason(&error));
                state.sink.restore(numbers(offsets));
            }
        }
    }
}

/// An error in plain words.
pub(super) fn reason(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// Offsets of a topic as librdkafka takes them.
pub(super) fn list(topic: &str, offsets: &BTreeMap<i32, i64>) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (&partition, &offset) in offsets {
        // Only a position of librdkafka's own making can be refused, and these are plain offsets.
        let added = list.add_partition_offset(topic, partition, Offset::Offset(offset));
        debug_assert!(added.is_ok(), "a plain offset is always taken");
    }
    list
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}

fn numbers(list: &TopicPartitionList) -> BTreeMap<i32, i64> {
    let number = |offset| if let Offset::Offset(number) = offset { Some(number) } else { None };
    list.elements().iter().filter_map(|e| number(e.offset()).map(|offset| (e.partition(), offset))).collect()
}
