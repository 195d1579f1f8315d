//! Reads on the shard that owns the partitions: answered at once, parked until there is enough, or handed to a reader of
//! cold segments. Parked reads are woken by the partitions they wait for, never by polling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use duramen_wire::ids::Offset;
use slab::Slab;

use super::Shard;
use super::hosted::Partitions;
use super::message::{Found, ReadBatch, ReadItem, ReadRefusal, ReplyTo, Tier};
use crate::log::disk::Disk;
use crate::log::{ReadKind, read};
use crate::runtime::disk::DiskFile;

/// Deadlines of reads that were answered before, kept at most beyond those of parked ones.
const STALE_DEADLINES_MAX: usize = 256;

/// The reads that wait on one shard.
#[derive(Default)]
pub struct Reads {
    parked: Slab<Parked>,
    deadlines: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    parked_ever: u64,
}

struct Parked {
    batch: Box<ReadBatch>,
    /// Tells this read from earlier ones in the same place.
    number: u64,
}

/// What became of a read that was looked at.
pub enum Outcome {
    Done(Box<ReadBatch>),
    /// At least one item lies in segments that are not in memory.
    Cold(Box<ReadBatch>),
    Parked,
}

impl Reads {
    /// Looks at each item of a read for the first time.
    pub fn begin<D: Disk<File = DiskFile>>(
        &mut self,
        partitions: &mut Partitions<D>,
        mut batch: Box<ReadBatch>,
        now: Instant,
    ) -> Outcome {
        match look(partitions, &mut batch) {
            Look::Enough => Outcome::Done(batch),
            Look::Cold => Outcome::Cold(batch),
            Look::Wait if batch.wait_ms == 0 => Outcome::Done(batch),
            Look::Wait => {
                self.park(partitions, batch, now);
                Outcome::Parked
            }
        }
    }

    /// Looks again at a parked read, since one of its partitions has changed. `Parked` if it goes on waiting.
    pub fn look_again<D: Disk<File = DiskFile>>(&mut self, partitions: &mut Partitions<D>, key: usize) -> Outcome {
        let Some(parked) = self.parked.get_mut(key) else { return Outcome::Parked };
        match look(partitions, &mut parked.batch) {
            Look::Wait => Outcome::Parked,
            Look::Enough => Outcome::Done(self.unpark(partitions, key)),
            Look::Cold => Outcome::Cold(self.unpark(partitions, key)),
        }
    }

    /// A parked read whose wait is over.
    pub fn expired<D: Disk>(&mut self, partitions: &mut Partitions<D>, now: Instant) -> Option<Box<ReadBatch>> {
        while let Some(Reverse((deadline, key, number))) = self.deadlines.peek().copied() {
            let live = self.parked.get(key).is_some_and(|parked| parked.number == number);
            if live && deadline > now {
                return None;
            }
            self.deadlines.pop();
            if live {
                return Some(self.unpark(partitions, key));
            }
        }
        None
    }

    /// When the next wait is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _, _))| *deadline)
    }

    /// Ends the wait of one read.
    pub fn cancel<D: Disk>(&mut self, partitions: &mut Partitions<D>, read: ReplyTo) -> Option<Box<ReadBatch>> {
        let key = self.parked.iter().find(|(_, parked)| parked.batch.reply_to == read)?.0;
        Some(self.unpark(partitions, key))
    }

    /// Reads that wait.
    pub fn len(&self) -> usize {
        self.parked.len()
    }

    pub fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    fn park<D: Disk>(&mut self, partitions: &mut Partitions<D>, mut batch: Box<ReadBatch>, now: Instant) {
        // What was found so far is read again later; holding it would pin memory for the length of the wait.
        batch.items.iter_mut().for_each(|item| item.data.clear());
        let key = self.parked.vacant_key();
        for item in &batch.items {
            if let Some(hosted) = partitions.get_mut(item.partition) {
                hosted.read_waits.push(key);
            }
        }
        self.parked_ever += 1;
        let deadline = now + Duration::from_millis(batch.wait_ms.into());
        if self.deadlines.len() > 2 * self.parked.len() + STALE_DEADLINES_MAX {
            let parked = &self.parked;
            self.deadlines.retain(|Reverse((_, key, number))| parked.get(*key).is_some_and(|p| p.number == *number));
        }
        self.deadlines.push(Reverse((deadline, key, self.parked_ever)));
        self.parked.insert(Parked { batch, number: self.parked_ever });
    }

    fn unpark<D: Disk>(&mut self, partitions: &mut Partitions<D>, key: usize) -> Box<ReadBatch> {
        let batch = self.parked.remove(key).batch;
        for item in &batch.items {
            if let Some(hosted) = partitions.get_mut(item.partition)
                && let Some(at) = hosted.read_waits.iter().position(|wait| *wait == key)
            {
                hosted.read_waits.swap_remove(at);
            }
        }
        batch
    }
}

enum Look {
    /// There is enough to answer, or something failed.
    Enough,
    Wait,
    Cold,
}

/// Reads all items as far as that goes without waiting.
fn look<D: Disk<File = DiskFile>>(partitions: &mut Partitions<D>, batch: &mut ReadBatch) -> Look {
    batch.bytes = 0;
    let mut failed = false;
    let mut cold = false;
    for item in &mut batch.items {
        let left = batch.bytes_max.saturating_sub(batch.bytes);
        item.data.clear();
        match look_at(partitions, item, left, batch.bytes == 0) {
            Ok(Sight::Ready) => batch.bytes += item.data.len(),
            Ok(Sight::Cold) => cold = true,
            Err(refusal) => {
                item.result = Err(refusal);
                failed = true;
            }
        }
        failed |= item.result.as_ref().is_ok_and(|found| found.diverging.is_some());
        if cold {
            return Look::Cold;
        }
    }
    if failed || batch.bytes >= batch.bytes_min { Look::Enough } else { Look::Wait }
}

/// What one item comes to.
pub(super) enum Sight {
    Ready,
    Cold,
}

/// Reads one item. `bytes_left` bounds it beside its own bound; `first` asks for one whole batch at least.
pub(super) fn look_at<D: Disk<File = DiskFile>>(
    partitions: &Partitions<D>,
    item: &mut ReadItem,
    bytes_left: usize,
    first: bool,
) -> Result<Sight, ReadRefusal> {
    let hosted = partitions.get(item.partition).ok_or(ReadRefusal::NotHere)?;
    let log = &hosted.log;
    let epoch = log.leader_epoch();
    match item.current_leader_epoch {
        Some(believed) if believed < epoch => return Err(ReadRefusal::FencedLeaderEpoch),
        Some(believed) if believed > epoch => return Err(ReadRefusal::UnknownLeaderEpoch),
        _ => {}
    }
    let high_watermark = log.committed();
    let mut found = Found { high_watermark, log_start: log.log_start(), diverging: None };
    if let Some(last) = item.last_fetched_epoch
        && let Some((epoch, end)) = log.end_offset_for_epoch(last)
        && (epoch < last || end < item.from)
    {
        found.diverging = Some((epoch, end));
        item.result = Ok(found);
        return Ok(Sight::Ready);
    }
    item.result = Ok(found);
    if item.from >= high_watermark || (bytes_left == 0 && !first) {
        // At the end, or out of room: nothing to read, but an offset out of range is still told.
        return check_range(item.from, &found, log.log_end()).map(|()| Sight::Ready);
    }
    let bytes_max = item.bytes_max.min(bytes_left);
    match log.read(item.from, bytes_max, high_watermark, first, &mut item.data.out)? {
        ReadKind::Hot => item.data.tier = Tier::Hot,
        ReadKind::File { file, range } => {
            item.data.file = Some((file, range));
            item.data.tier = Tier::Cached;
        }
        ReadKind::Cold => return Ok(Sight::Cold),
    }
    Ok(Sight::Ready)
}

fn check_range(from: Offset, found: &Found, log_end: Offset) -> Result<(), ReadRefusal> {
    match from < found.log_start || from > log_end {
        true => Err(read::Error::OutOfRange { asked: from, log_start: found.log_start, log_end }.into()),
        false => Ok(()),
    }
}

/// Reads one item from disk. What the log says of it then is the answer; the records may have gone meanwhile.
pub(super) async fn read_cold(shard: &Shard, item: &mut ReadItem, bytes_left: usize, first: bool) {
    let log = shard.partitions.borrow().get(item.partition).map(|hosted| hosted.log.clone());
    let Some(log) = log else {
        item.result = Err(ReadRefusal::NotHere);
        return;
    };
    let bytes_max = item.bytes_max.min(bytes_left);
    item.data.tier = Tier::Cold;
    match log.read_cold(item.from, bytes_max, log.committed(), first, &mut item.data.out).await {
        Ok(ReadKind::File { file, range }) => {
            item.data.file = Some((file, range));
            item.data.tier = Tier::Cached;
        }
        Ok(ReadKind::Hot | ReadKind::Cold) => {}
        Err(error) => {
            item.data.clear();
            item.result = Err(error.into());
        }
    }
}
