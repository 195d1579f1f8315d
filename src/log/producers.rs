//! Idempotent producers of a partition (KIP-98): which sequence numbers have been appended.

use std::collections::BTreeMap;

use duramen_wire::batch::BatchHeader;
use duramen_wire::ids::{Offset, ProducerEpoch, ProducerId};

/// Batches that are remembered per producer.
pub const BATCHES_KEPT: usize = 5;
/// Producers that are remembered per partition.
pub const PRODUCERS_MAX: usize = 10_000;

/// What idempotence needs to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSummary {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub last_sequence: i32,
    pub last_offset_delta: i32,
    pub max_timestamp: i64,
}

impl From<&BatchHeader> for BatchSummary {
    fn from(header: &BatchHeader) -> Self {
        Self {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            last_offset_delta: header.last_offset_delta,
            max_timestamp: header.max_timestamp,
        }
    }
}

/// Whether a batch is to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fresh,
    Duplicate { base_offset: Offset, last_offset: Offset, timestamp: i64 },
}

/// Why a batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("sequence {found} of producer {producer_id} does not follow {last}")]
    OutOfOrderSequence { producer_id: ProducerId, last: i32, found: i32 },
    #[error("producer {producer_id} has epoch {current}, the batch {found}")]
    InvalidProducerEpoch { producer_id: ProducerId, current: ProducerEpoch, found: ProducerEpoch },
    #[error("sequence {found} of producer {producer_id} was appended before the batches that are remembered")]
    DuplicateSequence { producer_id: ProducerId, found: i32 },
}

/// A producer's last batches.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct ProducerState {
    pub producer_id: i64,
    pub epoch: i16,
    pub last_ms: i64,
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
    pub fn check(&self, batch: &BatchSummary) -> Result<Verdict, Error> {
        let producer_id = batch.producer_id;
        let Some(state) = self.0.get(&producer_id.0).filter(|_| producer_id.0 >= 0) else { return Ok(Verdict::Fresh) };
        let Some(last) = state.batches.last() else { return Ok(Verdict::Fresh) };
        let (current, found) = (ProducerEpoch(state.epoch), batch.producer_epoch);
        if found < current {
            return Err(Error::InvalidProducerEpoch { producer_id, current, found });
        }
        let found = batch.base_sequence;
        if batch.producer_epoch > current {
            return match found {
                0 => Ok(Verdict::Fresh),
                _ => Err(Error::OutOfOrderSequence { producer_id, last: -1, found }),
            };
        }
        let same = |kept: &&KeptBatch| (kept.base_sequence, kept.last_sequence) == (found, batch.last_sequence);
        if let Some(kept) = state.batches.iter().find(same) {
            let (base_offset, last_offset) = (Offset(kept.base_offset), Offset(kept.last_offset));
            return Ok(Verdict::Duplicate { base_offset, last_offset, timestamp: kept.timestamp });
        }
        let next = if last.last_sequence == i32::MAX { 0 } else { last.last_sequence + 1 };
        match found == next {
            true => Ok(Verdict::Fresh),
            false if found < state.batches[0].base_sequence => Err(Error::DuplicateSequence { producer_id, found }),
            false => Err(Error::OutOfOrderSequence { producer_id, last: last.last_sequence, found }),
        }
    }

    pub fn record(&mut self, batch: &BatchSummary, base_offset: Offset, now_ms: i64) {
        if batch.producer_id.0 < 0 {
            return;
        }
        let id = batch.producer_id.0;
        if self.0.len() >= PRODUCERS_MAX && !self.0.contains_key(&id) {
            let oldest = self.0.values().min_by_key(|state| state.last_ms).map(|state| state.producer_id);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let fresh = || ProducerState {
            producer_id: id,
            epoch: batch.producer_epoch.0,
            last_ms: now_ms,
            batches: Vec::with_capacity(BATCHES_KEPT),
        };
        let state = self.0.entry(id).or_insert_with(fresh);
        if state.epoch != batch.producer_epoch.0 {
            state.epoch = batch.producer_epoch.0;
            state.batches.clear();
        }
        if state.batches.len() == BATCHES_KEPT {
            state.batches.remove(0);
        }
        state.last_ms = now_ms;
        state.batches.push(KeptBatch {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence,
            base_offset: base_offset.0,
            last_offset: base_offset.0 + i64::from(batch.last_offset_delta),
            timestamp: batch.max_timestamp,
        });
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

    pub fn snapshot(&self) -> Vec<ProducerState> {
        self.0.values().cloned().collect()
    }

    pub fn restore(states: Vec<ProducerState>) -> Self {
        Self(states.into_iter().map(|state| (state.producer_id, state)).collect())
    }
}
