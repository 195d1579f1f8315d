//! Removing the oldest segments: by time, by size, and what DeleteRecords has moved the log start past.
//!
//! Order of steps: the log start moves in memory, so that nobody begins a read below it; then the checkpoint says so,
//! durably, with what is derived from the records that go (producers, epochs); only then do files go, oldest first. After a crash the recorded log start tells recovery which segments to
//! remove, however many of their names are left. A reader that has a file open keeps it: files are unlinked, never
//! written again.

use std::rc::Rc;

use duramen_wire::ids::{Offset, TopicPartitionId};

use super::disk::Disk;
use super::log::{Error, Log, Result, Shard};
use super::partition::{Health, Inner, Partition, State};
use super::paths;
use super::segment::{Segment, Stage};

impl<D: Disk> Partition<D> {
    /// Moves the log start to `before`, or to what is committed if that is less, and returns it once that is durable. The
    /// files go later.
    pub async fn delete_records(&self, before: Offset) -> Result<Offset> {
        let inner = &self.0;
        let before = {
            let mut state = inner.state.borrow_mut();
            if !state.takes_writes() {
                return Err(Error::Failed(inner.id));
            }
            let before = before.min(state.committed.offset);
            if state.synced.offset < before {
                inner.request_sync(&mut state);
            }
            before
        };
        // The log must not start beyond what a crash leaves of it.
        inner.wait_synced(before).await?;
        let log_start = {
            let mut state = inner.state.borrow_mut();
            state.move_log_start(before);
            state.log_start
        };
        inner.shard.checkpointing.set_log_start(inner, log_start);
        inner.shard.write_checkpoint(false).await?;
        inner.shard.housekeeping.notify();
        Ok(log_start)
    }

    /// Removes what the topic's retention allows to remove.
    pub async fn retain(&self, now_ms: i64) -> Result<()> {
        if self.0.expire(now_ms) {
            self.0.shard.write_checkpoint(false).await?;
        }
        self.0.remove_below_start().await
    }
}

impl<D: Disk> Log<D> {
    /// Applies retention to all partitions now.
    pub async fn retain(&self, now_ms: i64) -> Result<()> {
        self.shard().now_ms.set(now_ms);
        self.shard().retain(now_ms).await
    }
}

impl<D: Disk> Shard<D> {
    /// Runs retention if it is due, and removes the files of segments below log starts.
    pub(super) async fn retain_in_background(&self) {
        let now_ms = self.now_ms.get();
        let due = self.retention_due_ms.get() <= now_ms;
        let result = if due { self.retain(now_ms).await } else { self.remove_below_starts().await };
        if let Err(cause) = result {
            tracing::error!(shard = self.id.0, error = %cause, "old segments could not be removed");
        }
    }

    async fn retain(&self, now_ms: i64) -> Result<()> {
        self.retention_due_ms.set(i64::MAX);
        self.retained_ms.set(now_ms);
        let mut moved = false;
        let mut due_ms = i64::MAX;
        for partition in self.partitions_now() {
            moved |= partition.expire(now_ms);
            due_ms = due_ms.min(partition.state.borrow().retention_due_ms());
        }
        if due_ms < i64::MAX {
            self.retention_due_by(due_ms);
        }
        if moved {
            // One checkpoint for all log starts that have moved.
            self.write_checkpoint(false).await?;
        }
        self.remove_below_starts().await
    }

    async fn remove_below_starts(&self) -> Result<()> {
        if self
            .partitions_now()
            .iter()
            .any(|partition| partition.state.borrow().waits_for_checkpoint(&partition.id, self))
        {
            self.checkpoint().await?;
        }
        for partition in self.partitions_now() {
            partition.remove_below_start().await?;
        }
        Ok(())
    }

    /// Has retention looked at by `due_ms`, but not more often than `retention_check_ms`.
    pub(super) fn retention_due_by(&self, due_ms: i64) {
        let earliest = self.retained_ms.get().saturating_add(self.options.retention_check_ms);
        self.retention_due_ms.set(self.retention_due_ms.get().min(due_ms.max(earliest)));
    }
}

impl<D: Disk> Inner<D> {
    /// Moves the log start past what has expired. Whether it moved; then a checkpoint has to be written before files go.
    fn expire(self: &Rc<Self>, now_ms: i64) -> bool {
        let mut state = self.state.borrow_mut();
        if state.config.compact || state.health != Health::Good || state.closing {
            return false;
        }
        let keep_from = state.expired_end(now_ms);
        let is_empty = state.active().len == 0;
        if keep_from == state.appended.offset && !is_empty {
            // Even the active segment has expired; it can go once it is sealed.
            state.roll();
            self.request_sync(&mut state);
            self.shard.retention_due_by(now_ms);
        }
        let sealed_end = state.segments[state.unsealed()].base;
        let log_start = keep_from.min(sealed_end).min(state.committed.offset);
        if log_start <= state.log_start {
            return false;
        }
        state.move_log_start(log_start);
        drop(state);
        self.shard.checkpointing.set_log_start(self, log_start);
        true
    }

    /// Removes the files of segments that lie below the log start, which a checkpoint has.
    async fn remove_below_start(self: &Rc<Self>) -> Result<()> {
        loop {
            let base = {
                let mut state = self.state.borrow_mut();
                let durable = self.shard.checkpointing.removable_to(self.id);
                if state.first_is_removable().is_none_or(|end| end > durable) {
                    return Ok(());
                }
                let removed = state.segments.pop_front().expect("there are two or more");
                let first = state.segments[0].base;
                state.epochs.truncate_from_start(first);
                removed.base
            };
            self.shard.files.borrow_mut().forget(self.id, base);
            for extension in ["index", "timeindex", "log"] {
                let path = paths::segment(&self.dir, base, extension);
                match self.shard.disk.remove(&path).await {
                    Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                    other => other.map_err(Error::io("cannot remove", &path))?,
                }
            }
            self.shard.counters.segments_removed.add(1);
        }
    }
}

impl State {
    /// The end of the first segment, if nothing of it is needed any more.
    fn first_is_removable(&self) -> Option<Offset> {
        let (first, next) = (self.segments.front()?, self.segments.get(1)?);
        let removable = first.stage >= Stage::Sealed && next.base <= self.log_start && self.takes_writes();
        removable.then_some(next.base)
    }

    /// Whether the first segment can go once a full checkpoint is taken.
    fn waits_for_checkpoint<D: Disk>(&self, id: &TopicPartitionId, shard: &Shard<D>) -> bool {
        self.first_is_removable().is_some_and(|end| end > shard.checkpointing.removable_to(*id))
    }

    fn move_log_start(&mut self, to: Offset) {
        self.log_start = self.log_start.max(to);
    }

    /// The first offset that retention keeps.
    fn expired_end(&self, now_ms: i64) -> Offset {
        let (ms, bytes) = (self.config.retention_ms, self.config.retention_bytes);
        let mut total: u64 = self.segments.iter().map(|segment| segment.len).sum();
        let mut end = self.log_start;
        for (index, segment) in self.segments.iter().enumerate() {
            let old = ms >= 0 && segment.max_timestamp >= 0 && now_ms.saturating_sub(segment.max_timestamp) > ms;
            let too_much = bytes >= 0 && total - segment.len >= bytes as u64;
            if segment.len == 0 || !(old || too_much) {
                break;
            }
            total -= segment.len;
            end = self.segments.get(index + 1).map_or(self.appended.offset, |next| next.base);
        }
        end
    }

    /// When the oldest segment expires; `i64::MAX` if it never does by itself.
    fn retention_due_ms(&self) -> i64 {
        let first: Option<&Segment> = self.segments.front().filter(|segment| segment.max_timestamp >= 0);
        match first {
            Some(segment) if self.config.retention_ms >= 0 && !self.config.compact => {
                segment.max_timestamp.saturating_add(self.config.retention_ms).saturating_add(1)
            }
            _ => i64::MAX,
        }
    }
}
