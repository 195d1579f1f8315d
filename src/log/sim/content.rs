//! The bytes of one file: what a reader sees, what would survive the loss of power, and the versions between.
//!
//! A block that was written and not synced may, after a crash, hold any of the versions since the last sync, or sectors
//! of several. Lengths change in order, as a file system's journal has them, but independently of the blocks: a length
//! may be there without the bytes (which are then zeros) and the bytes without the length (and are then gone).

use std::collections::BTreeMap;
use std::rc::Rc;

use super::random::Random;
use crate::log::memory::BLOCK_LEN;

/// Bytes that a device writes whole or not at all.
const SECTOR_LEN: usize = 512;
/// Unsynced versions that are remembered of one block; beyond it, the oldest is forgotten.
const VERSIONS_MAX: usize = 6;

const BLOCK: u64 = BLOCK_LEN as u64;

type Block = Rc<[u8]>;

/// Which parts of an operation take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// Some of its blocks, and of these some sectors.
    Torn,
}

#[derive(Debug)]
struct Version {
    operation: u64,
    bytes: Block,
    /// A sync that should have covered it failed; no later one makes up for that.
    doomed: bool,
}

#[derive(Debug)]
struct Length {
    operation: u64,
    len: u64,
    is_cut: bool,
}

/// One file's bytes.
#[derive(Debug, Default)]
pub(super) struct Content {
    len: u64,
    /// Blocks that are allocated; the others are holes.
    blocks: BTreeMap<u64, Block>,
    stable_len: u64,
    stable: BTreeMap<u64, Block>,
    versions: BTreeMap<u64, Vec<Version>>,
    lengths: Vec<Length>,
}

impl Content {
    /// A file that was synced with these bytes in it.
    pub fn stable(bytes: &[u8]) -> Self {
        let blocks: BTreeMap<u64, Block> = (0..).zip(bytes.chunks(BLOCK_LEN).map(padded)).collect();
        let len = bytes.len() as u64;
        Self { len, stable_len: len, stable: blocks.clone(), blocks, ..Self::default() }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Blocks that take up room.
    pub fn allocated(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Blocks of the range that do not take up room yet.
    pub fn holes(&self, at: u64, len: u64) -> u64 {
        let blocks = at / BLOCK..(at + len).div_ceil(BLOCK);
        blocks.end - blocks.start - self.blocks.range(blocks).count() as u64
    }

    /// Fills `out` with the bytes from `at` on, and says how many there are before the end.
    pub fn read(&self, at: u64, out: &mut [u8]) -> usize {
        let count = (self.len.saturating_sub(at)).min(out.len() as u64) as usize;
        let mut done = 0;
        while done < count {
            let (block, place) = ((at + done as u64) / BLOCK, ((at + done as u64) % BLOCK) as usize);
            let step = (BLOCK_LEN - place).min(count - done);
            let target = &mut out[done..done + step];
            match self.blocks.get(&block) {
                Some(bytes) => target.copy_from_slice(&bytes[place..place + step]),
                None => target.fill(0),
            }
            done += step;
        }
        count
    }

    /// Writes `bytes`, which need not be whole blocks, and lengthens the file if they reach beyond it.
    pub fn write(&mut self, operation: u64, at: u64, bytes: &[u8], extent: Extent, random: &mut Random) {
        let mut done = 0;
        while done < bytes.len() {
            let (block, place) = ((at + done as u64) / BLOCK, ((at + done as u64) % BLOCK) as usize);
            let step = (BLOCK_LEN - place).min(bytes.len() - done);
            if extent == Extent::Whole || random.coin() {
                let old = self.blocks.get(&block).cloned().unwrap_or_else(zeros);
                let mut new = old.to_vec();
                new[place..place + step].copy_from_slice(&bytes[done..done + step]);
                let new = if extent == Extent::Whole { new.into() } else { mixed(&[&old, &new.into()], random) };
                self.set(operation, block, new);
                self.lengthen(operation, at + (done + step) as u64);
            }
            done += step;
        }
    }

    /// Writes zeros to whole blocks.
    pub fn zero(&mut self, operation: u64, at: u64, len: u64) {
        for block in at / BLOCK..(at + len).div_ceil(BLOCK) {
            self.set(operation, block, zeros());
        }
        self.lengthen(operation, at + len);
    }

    /// Cuts the file, or lengthens it with a hole.
    pub fn set_len(&mut self, operation: u64, len: u64) {
        if len >= self.len {
            return self.lengthen(operation, len);
        }
        self.lengths.push(Length { operation, len, is_cut: true });
        self.len = len;
        cut(&mut self.blocks, len);
    }

    /// Makes everything up to `operation` stable.
    pub fn sync(&mut self, operation: u64) {
        self.settle_lengths(|length| length.operation <= operation);
        for (block, versions) in &mut self.versions {
            if let Some(last) = versions.iter().rposition(|version| version.operation <= operation && !version.doomed) {
                self.stable.insert(*block, versions[last].bytes.clone());
                versions.drain(..=last);
            }
        }
        self.tidy();
    }

    /// Makes the bytes of one write stable, with the length that they need, and nothing else.
    pub fn sync_write(&mut self, operation: u64) {
        if self.lengths.iter().any(|length| length.operation == operation) {
            self.settle_lengths(|length| length.operation <= operation);
        }
        for (block, versions) in &mut self.versions {
            if let Some(own) = versions.iter().rposition(|version| version.operation == operation) {
                self.stable.insert(*block, versions[own].bytes.clone());
                versions.drain(..=own);
            }
        }
        self.tidy();
    }

    /// A sync of everything up to `operation` failed: each version may be stable all the same, or never will be.
    pub fn fail_sync(&mut self, operation: u64, random: &mut Random) {
        for (block, versions) in &mut self.versions {
            let arrived = random.coin();
            for version in versions.iter_mut().filter(|version| version.operation <= operation) {
                version.doomed = true;
                if arrived {
                    self.stable.insert(*block, version.bytes.clone());
                }
            }
        }
    }

    /// Power is lost.
    pub fn crash(&mut self, random: &mut Random) {
        let kept = random.index(self.lengths.len() + 1);
        let last = self.lengths[..kept].last().map(|length| length.operation);
        self.settle_lengths(|length| Some(length.operation) <= last);
        self.lengths.clear();
        // Now and then a whole file fares alike.
        let luck = random.below(4);
        for (block, versions) in std::mem::take(&mut self.versions) {
            let old = self.stable.get(&block).cloned().unwrap_or_else(zeros);
            let Some(newest) = versions.last() else { continue };
            let bytes = match (luck, random.below(4)) {
                (0, _) | (2.., 0) => old,
                (1, _) | (2.., 1) => newest.bytes.clone(),
                (_, 2) => versions[random.index(versions.len())].bytes.clone(),
                _ => {
                    let choices: Vec<&Block> =
                        [&old].into_iter().chain(versions.iter().map(|each| &each.bytes)).collect();
                    mixed(&choices, random)
                }
            };
            self.stable.insert(block, bytes);
        }
        cut(&mut self.stable, self.stable_len);
        (self.len, self.blocks) = (self.stable_len, self.stable.clone());
    }

    fn set(&mut self, operation: u64, block: u64, bytes: Block) {
        self.blocks.insert(block, bytes.clone());
        let versions = self.versions.entry(block).or_default();
        if versions.len() == VERSIONS_MAX {
            versions.remove(0);
        }
        versions.push(Version { operation, bytes, doomed: false });
    }

    fn lengthen(&mut self, operation: u64, len: u64) {
        if len > self.len {
            self.lengths.push(Length { operation, len, is_cut: false });
            self.len = len;
        }
    }

    /// Makes the lengths stable that `covered` names, oldest first. A cut takes with it whatever was there before.
    fn settle_lengths(&mut self, covered: impl Fn(&Length) -> bool) {
        let count = self.lengths.iter().take_while(|length| covered(length)).count();
        for length in self.lengths.drain(..count) {
            self.stable_len = length.len;
            if !length.is_cut {
                continue;
            }
            cut(&mut self.stable, length.len);
            for (block, versions) in &mut self.versions {
                let start = block * BLOCK;
                let keep = length.len.saturating_sub(start).min(BLOCK) as usize;
                for version in versions.iter_mut().filter(|version| version.operation < length.operation) {
                    version.bytes = cleared(&version.bytes, keep);
                }
            }
        }
    }

    fn tidy(&mut self) {
        self.versions.retain(|_, versions| !versions.is_empty());
    }
}

/// Removes what lies beyond `len`, and zeros the rest of the last block.
fn cut(blocks: &mut BTreeMap<u64, Block>, len: u64) {
    blocks.split_off(&len.div_ceil(BLOCK));
    if let Some(bytes) = blocks.get_mut(&(len / BLOCK)) {
        *bytes = cleared(bytes, (len % BLOCK) as usize);
    }
}

/// The block with everything but its first `keep` bytes zeroed.
fn cleared(block: &Block, keep: usize) -> Block {
    let mut bytes = block.to_vec();
    bytes[keep..].fill(0);
    bytes.into()
}

/// Each sector from one of the blocks.
fn mixed(choices: &[&Block], random: &mut Random) -> Block {
    let mut bytes = Vec::with_capacity(BLOCK_LEN);
    for sector in 0..BLOCK_LEN / SECTOR_LEN {
        let range = sector * SECTOR_LEN..(sector + 1) * SECTOR_LEN;
        bytes.extend_from_slice(&choices[random.index(choices.len())][range]);
    }
    bytes.into()
}

fn padded(bytes: &[u8]) -> Block {
    let mut block = bytes.to_vec();
    block.resize(BLOCK_LEN, 0);
    block.into()
}

fn zeros() -> Block {
    thread_local!(static ZEROS: Block = vec![0; BLOCK_LEN].into());
    ZEROS.with(Rc::clone)
}
