//! Appends on the shard that owns the partitions: taken in order, acknowledged when committed.
//!
//! Pure bookkeeping over the log: it knows no executor and no socket, so that the whole path from request to
//! acknowledgement runs on a simulated disk as well. Bounded by the exchanges that connections may have under way.

use std::collections::VecDeque;

use duramen_wire::ids::TopicPartitionId;
use slab::Slab;

use super::hosted::{AppendWait, Hosted, Partitions};
use super::message::{AppendBatch, AppendRefusal, Appended};
use crate::log::append;
use crate::log::disk::Disk;

/// The appends that are under way on one shard.
#[derive(Default)]
pub struct Appends {
    batches: Slab<Box<AppendBatch>>,
    /// Those that are not yet appended whole, by their place among `batches`, in order of arrival.
    queue: VecDeque<usize>,
}

/// Why [`Appends::run`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing is left to append.
    Empty,
    /// The time slice is over.
    SliceOver,
    /// The log has no memory for more until it has written some out.
    NoMemory,
}

impl Appends {
    pub fn enqueue(&mut self, batch: Box<AppendBatch>) {
        self.queue.push_back(self.batches.insert(batch));
    }

    /// Requests that are queued or wait for their commit.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Appends what is queued, in order. Requests that are answered go to `done`.
    pub fn run<D: Disk>(
        &mut self,
        partitions: &mut Partitions<D>,
        now_ms: i64,
        mut slice_is_over: impl FnMut() -> bool,
        done: &mut Vec<Box<AppendBatch>>,
    ) -> Stopped {
        while let Some(&key) = self.queue.front() {
            let batch = &mut self.batches[key];
            while batch.next < batch.items.len() {
                if slice_is_over() {
                    return Stopped::SliceOver;
                }
                if !append_next(batch, key, partitions, now_ms) {
                    return Stopped::NoMemory;
                }
                batch.next += 1;
            }
            self.queue.pop_front();
            self.finish(key, done);
        }
        Stopped::Empty
    }

    /// Answers what waited for the commits of a partition.
    pub fn committed<D: Disk>(&mut self, hosted: &mut Hosted<D>, done: &mut Vec<Box<AppendBatch>>) {
        let committed = hosted.log.committed();
        while hosted.append_waits.front().is_some_and(|wait| wait.end <= committed) {
            let wait = hosted.append_waits.pop_front().expect("the front was just seen");
            self.batches[wait.batch].unresolved -= 1;
            self.finish(wait.batch, done);
        }
    }

    /// Answers what waited for a partition that will commit nothing more here, or nothing for long.
    pub fn refuse_all<D: Disk>(
        &mut self,
        hosted: &mut Hosted<D>,
        refusal: impl Fn() -> AppendRefusal,
        done: &mut Vec<Box<AppendBatch>>,
    ) {
        for wait in std::mem::take(&mut hosted.append_waits) {
            let batch = &mut self.batches[wait.batch];
            batch.items[wait.item].result = Err(refusal());
            batch.unresolved -= 1;
            self.finish(wait.batch, done);
        }
    }

    /// Hands a batch over if it is appended whole and nothing of it waits.
    fn finish(&mut self, key: usize, done: &mut Vec<Box<AppendBatch>>) {
        let batch = &self.batches[key];
        if batch.unresolved == 0 && batch.next == batch.items.len() {
            done.push(self.batches.remove(key));
        }
    }
}

/// Appends the next item of a batch; false if the log has no memory for it now.
fn append_next<D: Disk>(batch: &mut AppendBatch, key: usize, partitions: &mut Partitions<D>, now_ms: i64) -> bool {
    let index = batch.next;
    let item = &mut batch.items[index];
    let now_s = partitions.now_s();
    let Some(hosted) = partitions.get_mut(item.partition) else {
        item.result = Err(AppendRefusal::NotHere);
        return true;
    };
    let records = item.records.clone();
    let records_len = records.len();
    let input = batch.input.as_ref().expect("a batch that is under way has its request");
    let appended = input.with(|request| hosted.log.append(request.sub(records), append::Origin::Client, now_ms));
    item.result = match appended {
        Err(append::Error::Busy { .. }) => return false,
        Err(error) => Err(error.into()),
        Ok(appended) => {
            hosted.load.add(now_s, records_len);
            if batch.wait_for_commit && appended.end > hosted.log.committed() {
                hosted.append_waits.push_back(AppendWait { end: appended.end, batch: key, item: index });
                batch.unresolved += 1;
            }
            Ok(Appended { base_offset: appended.base_offset, log_start: hosted.log.log_start() })
        }
    };
    true
}

/// What an observer of the log has seen since it was last asked: partitions with new commits, and failed ones.
#[derive(Default)]
pub struct Seen {
    pub committed: Vec<TopicPartitionId>,
    pub disk_full: Vec<TopicPartitionId>,
    pub poisoned: Vec<TopicPartitionId>,
}
