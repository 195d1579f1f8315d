//! The long-lived tasks of a shard. They are spawned once; nothing is spawned per request.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Shard;
use super::appends::Stopped;
use super::message::{AppendRefusal, ReadBatch};
use super::reads::{self, Sight};
use crate::log::{Log, append};
use crate::runtime::TaskClass;
use crate::runtime::disk::RealDisk;

/// Reads of cold segments at the same time on one shard.
const COLD_READERS: usize = 4;
/// How long the log's clock may lag: its timers are due at this grain.
const TICK: Duration = Duration::from_millis(100);
/// How long an idle shard waits for a timer of which the log knows nothing yet.
const IDLE_TICK: Duration = Duration::from_secs(1);

impl Shard {
    /// Takes up the log, and starts the tasks of both.
    pub fn start(self: &Rc<Self>, log: Log<RealDisk>) {
        for task in log.background() {
            self.reactor.spawn(TaskClass::Serve, task).detach();
        }
        let first = self.log.set(log).is_ok();
        assert!(first, "a shard has one log");
        self.reactor.spawn(TaskClass::Serve, append_task(self.clone())).detach();
        self.reactor.spawn(TaskClass::Serve, commit_task(self.clone())).detach();
        self.reactor.spawn(TaskClass::Serve, read_deadline_task(self.clone())).detach();
        for _ in 0..COLD_READERS {
            self.reactor.spawn(TaskClass::Background, cold_task(self.clone())).detach();
        }
        self.reactor.spawn(TaskClass::Background, tick_task(self.clone())).detach();
    }
}

async fn append_task(shard: Rc<Shard>) {
    let mut done = Vec::new();
    loop {
        shard.append_work.wait().await;
        loop {
            let stopped = shard.appends.borrow_mut().run(
                &mut shard.partitions.borrow_mut(),
                shard.now_ms(),
                || shard.reactor.should_yield(),
                &mut done,
            );
            done.drain(..).for_each(|batch| shard.answer_append(batch));
            match stopped {
                // Memory that comes back raises `append_work` again.
                Stopped::Empty | Stopped::NoMemory => break,
                Stopped::SliceOver => shard.reactor.yield_now().await,
            }
        }
    }
}

/// Wakes whoever waits for what the log has committed.
async fn commit_task(shard: Rc<Shard>) {
    let mut done = Vec::new();
    let mut committed = Vec::new();
    let mut disk_full = Vec::new();
    let mut poisoned = Vec::new();
    let mut reads = Vec::new();
    loop {
        shard.seen.news.wait().await;
        {
            let mut seen = shard.seen.seen.borrow_mut();
            std::mem::swap(&mut seen.committed, &mut committed);
            std::mem::swap(&mut seen.disk_full, &mut disk_full);
            std::mem::swap(&mut seen.poisoned, &mut poisoned);
        }
        // What was committed before is acknowledged, even if it was heard of together.
        for id in disk_full.drain(..) {
            if let Some(hosted) = shard.partitions.borrow_mut().get_mut(id) {
                let mut appends = shard.appends.borrow_mut();
                appends.committed(hosted, &mut done);
                appends.refuse_all(hosted, || append::Error::DiskFull.into(), &mut done);
                if let Some(notify) = &hosted.on_commit {
                    notify.raise();
                }
            }
        }
        for id in poisoned.drain(..) {
            let mut partitions = shard.partitions.borrow_mut();
            if let Some(hosted) = partitions.get_mut(id) {
                shard.appends.borrow_mut().refuse_all(hosted, || AppendRefusal::Poisoned, &mut done);
                if let Some(notify) = &hosted.on_commit {
                    notify.raise();
                }
            }
        }
        for id in committed.drain(..) {
            if let Some(hosted) = shard.partitions.borrow_mut().get_mut(id) {
                shard.appends.borrow_mut().committed(hosted, &mut done);
                reads.extend_from_slice(&hosted.read_waits);
                if let Some(notify) = &hosted.on_commit {
                    notify.raise();
                }
            }
            done.drain(..).for_each(|batch| shard.answer_append(batch));
            for key in reads.drain(..) {
                let outcome = shard.reads.borrow_mut().look_again(&mut shard.partitions.borrow_mut(), key);
                shard.finish_read(outcome);
            }
            if shard.reactor.should_yield() {
                shard.reactor.yield_now().await;
            }
        }
        done.drain(..).for_each(|batch| shard.answer_append(batch));
        if !shard.appends.borrow().is_empty() {
            shard.append_work.raise();
        }
    }
}

/// Answers parked reads whose wait is over.
async fn read_deadline_task(shard: Rc<Shard>) {
    loop {
        let next = shard.reads.borrow().next_deadline();
        match next {
            None => shard.read_deadlines.wait().await,
            // A new read with an earlier deadline raises the flag; the outcome of the wait does not matter.
            Some(deadline) => drop(shard.reactor.timeout_at(deadline, shard.read_deadlines.wait()).await),
        }
        let now = Instant::now();
        loop {
            let expired = shard.reads.borrow_mut().expired(&mut shard.partitions.borrow_mut(), now);
            let Some(outcome) = expired else { break };
            shard.finish_read(outcome);
        }
    }
}

/// Reads what is on disk only. A few of these run at a time, so that cold readers wait for each other and nobody else.
async fn cold_task(shard: Rc<Shard>) {
    loop {
        let next = shard.cold.borrow_mut().pop_front();
        let Some(mut batch) = next else {
            shard.cold_work.wait().await;
            continue;
        };
        if !shard.cold.borrow().is_empty() {
            shard.cold_work.raise();
        }
        read_cold(&shard, &mut batch).await;
        shard.answer_read(batch);
    }
}

async fn read_cold(shard: &Shard, batch: &mut ReadBatch) {
    batch.bytes = 0;
    for item in &mut batch.items {
        let left = batch.bytes_max.saturating_sub(batch.bytes);
        item.data.clear();
        let first = batch.bytes == 0;
        let sight = reads::look_at(&shard.partitions.borrow(), item, left, first);
        match sight {
            Ok(Sight::Ready) => {}
            Ok(Sight::Cold) => reads::read_cold(shard, item, left, first).await,
            Err(refusal) => item.result = Err(refusal),
        }
        batch.bytes += item.data.len();
    }
}

/// Tells the log the time when something of it is due, and at least every [`IDLE_TICK`] the meters of partitions; tries
/// again what could not be made.
async fn tick_task(shard: Rc<Shard>) {
    let started = Instant::now();
    loop {
        let now_ms = shard.now_ms();
        let wait = match shard.log().next_tick(now_ms) {
            Some(due) => Duration::from_millis(u64::try_from(due - now_ms).unwrap_or(0)).clamp(TICK, IDLE_TICK),
            None => IDLE_TICK,
        };
        shard.reactor.sleep_until(Instant::now() + wait).await;
        shard.log().tick(shard.now_ms());
        // So that the look back is a short one whenever somebody asks.
        shard.utilisation();
        shard.make_unmade().await;
        shard.partitions.borrow().set_clock(u32::try_from(started.elapsed().as_secs()).unwrap_or(u32::MAX));
    }
}
