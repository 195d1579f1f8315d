//! Idempotent producers of a partition (KIP-98): which batches have been appended, so that none is appended twice.
//!
//! Of each producer the last [`BATCHES_KEPT`] batches of its newest epoch are remembered. Kafka's rules, as its broker
//! 4.3 applies them to batches of clients:
//! - an exact repetition of a remembered batch is a duplicate, and acknowledged as it was the first time;
//! - an epoch older than the newest is refused; a newer one must begin with sequence 0;
//! - within an epoch each batch follows the one before it; after `i32::MAX` comes 0;
//! - of an unknown producer any sequence is accepted.
//!
//! Two things differ on purpose. A producer expires by the time of its last append, not by the timestamps that it wrote
//! itself. And at most [`PRODUCERS_MAX`] are remembered: the ones that were silent longest are forgotten first.

use std::collections::BTreeMap;

use duramen_wire::ids::{Offset, ProducerEpoch, ProducerId};

/// Batches that are remembered per producer.
pub const BATCHES_KEPT: usize = 5;
/// Producers that are remembered per partition.
pub const PRODUCERS_MAX: usize = 10_000;
/// How many are forgotten at a time when there are too many, so that it is not done for each new one.
const FORGOTTEN_AT_ONCE: usize = PRODUCERS_MAX / 8;

/// What idempotence needs to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSummary {
    /// Negative for a batch without idempotence.
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub last_sequence: i32,
    pub last_offset_delta: i32,
    /// Milliseconds since 1970.
    pub max_timestamp: i64,
}

/// Whether a batch is to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fresh,
    /// It was appended before, and is there.
    Duplicate {
        base_offset: Offset,
        last_offset: Offset,
        timestamp: i64,
    },
}

/// Why a batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `last` is -1 if the epoch is new. A repetition of a batch that is remembered no more comes here too.
    #[error("sequence {found} of producer {producer_id} does not follow {last}")]
    OutOfOrderSequence { producer_id: ProducerId, last: i32, found: i32 },
    #[error("producer {producer_id} has epoch {current}, the batch {found}")]
    InvalidProducerEpoch { producer_id: ProducerId, current: ProducerEpoch, found: ProducerEpoch },
}

/// What is remembered of a producer, as it is kept in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct ProducerState {
    pub producer_id: i64,
    pub epoch: i16,
    /// When it last appended, in milliseconds since 1970 by the broker's clock.
    pub last_ms: i64,
    /// Oldest first, at most [`BATCHES_KEPT`].
    pub batches: Vec<KeptBatch>,
}

/// A remembered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeptBatch {
    pub base_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: i64,
    pub last_offset: i64,
    pub timestamp: i64,
}

/// The producers of a partition.
#[derive(Clone, Debug, Default)]
pub struct Producers(BTreeMap<i64, ProducerState>);

impl Producers {
    /// Whether a client's batch is to be appended. Changes nothing.
    pub fn check(&self, batch: &BatchSummary) -> Result<Verdict, Error> {
        let producer_id = batch.producer_id;
        let known = self.0.get(&producer_id.0).filter(|_| producer_id.0 >= 0);
        let Some((state, last)) = known.and_then(|state| Some((state, state.batches.last()?))) else {
            return Ok(Verdict::Fresh);
        };
        let (current, found) = (ProducerEpoch(state.epoch), batch.producer_epoch);
        if found < current {
            return Err(Error::InvalidProducerEpoch { producer_id, current, found });
        }
        if found > current {
            return in_order(producer_id, -1, batch.base_sequence);
        }
        match state.batches.iter().find(|kept| kept.is(batch)) {
            Some(kept) => Ok(kept.duplicate()),
            None => in_order(producer_id, last.last_sequence, batch.base_sequence),
        }
    }

    /// Remembers a batch that was appended, whatever `check` would say of it. Allocates for a new producer only.
    pub fn record(&mut self, batch: &BatchSummary, base_offset: Offset, now_ms: i64) {
        let id = batch.producer_id.0;
        if id < 0 {
            return;
        }
        if self.0.len() >= PRODUCERS_MAX && !self.0.contains_key(&id) {
            self.forget_oldest();
        }
        let state = self.0.entry(id).or_insert_with(|| ProducerState {
            producer_id: id,
            epoch: batch.producer_epoch.0,
            last_ms: now_ms,
            batches: Vec::with_capacity(BATCHES_KEPT),
        });
        state.add(batch, base_offset, now_ms);
    }

    /// Whether a producer that is remembered has been silent for `expiration_ms`.
    pub fn is_silent(&self, id: ProducerId, now_ms: i64, expiration_ms: i64) -> bool {
        self.0.get(&id.0).is_some_and(|state| now_ms.saturating_sub(state.last_ms) >= expiration_ms)
    }

    /// Forgets producers that have been silent for `expiration_ms`.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.0.retain(|_, state| now_ms.saturating_sub(state.last_ms) < expiration_ms);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is remembered, by producer id.
    pub fn snapshot(&self) -> Vec<ProducerState> {
        self.0.values().cloned().collect()
    }

    /// The state that `snapshot` gave. States beyond the bounds are cut to them.
    pub fn restore(states: Vec<ProducerState>) -> Self {
        let bounded = states.into_iter().take(PRODUCERS_MAX).filter(|state| !state.batches.is_empty());
        Self(bounded.map(|state| (state.producer_id, state.bounded())).collect())
    }

    fn forget_oldest(&mut self) {
        let mut ages: Vec<(i64, i64)> = self.0.values().map(|state| (state.last_ms, state.producer_id)).collect();
        let (oldest, ..) = ages.select_nth_unstable(FORGOTTEN_AT_ONCE);
        for (_, id) in oldest {
            self.0.remove(id);
        }
    }
}

impl ProducerState {
    fn add(&mut self, batch: &BatchSummary, base_offset: Offset, now_ms: i64) {
        if self.epoch != batch.producer_epoch.0 {
            self.epoch = batch.producer_epoch.0;
            self.batches.clear();
        }
        if self.batches.len() == BATCHES_KEPT {
            self.batches.remove(0);
        }
        self.last_ms = now_ms;
        self.batches.push(KeptBatch {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence,
            base_offset: base_offset.0,
            last_offset: base_offset.plus(i64::from(batch.last_offset_delta)).0,
            timestamp: batch.max_timestamp,
        });
    }

    fn bounded(mut self) -> Self {
        self.batches.drain(..self.batches.len().saturating_sub(BATCHES_KEPT));
        self.batches.reserve_exact(BATCHES_KEPT - self.batches.len());
        self
    }
}

impl KeptBatch {
    fn is(&self, batch: &BatchSummary) -> bool {
        (self.base_sequence, self.last_sequence) == (batch.base_sequence, batch.last_sequence)
    }

    fn duplicate(&self) -> Verdict {
        Verdict::Duplicate {
            base_offset: Offset(self.base_offset),
            last_offset: Offset(self.last_offset),
            timestamp: self.timestamp,
        }
    }
}

fn in_order(producer_id: ProducerId, last: i32, found: i32) -> Result<Verdict, Error> {
    let next = if last == i32::MAX { 0 } else { last + 1 };
    if found == next { Ok(Verdict::Fresh) } else { Err(Error::OutOfOrderSequence { producer_id, last, found }) }
}

#[cfg(test)]
mod tests;
