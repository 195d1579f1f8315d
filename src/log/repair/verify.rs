//! Checking every batch of every segment.

use std::fmt;
use std::path::{Path, PathBuf};

use duramen_wire::ids::Offset;

use super::walk::{Found, Walk};
use super::{PartitionDir, Result, partitions};
use crate::log::paths;

/// Something wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub position: u64,
    /// The offset of the batch that should be there.
    pub offset: Offset,
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: byte {}, offset {}: {}", self.file.display(), self.position, self.offset, self.why)
    }
}

/// What was looked at, and what is wrong.
#[derive(Debug, Default)]
pub struct Verified {
    pub partitions: u64,
    pub segments: u64,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

/// Checks a partition directory, or all of a data directory: every length, CRC and record, that offsets are dense, and
/// that segments follow each other. Zeros behind the last batch of the last segment are no problem.
pub fn verify(dir: &Path) -> Result<Verified> {
    let mut verified = Verified::default();
    for partition in partitions(dir)? {
        verified.partitions += 1;
        let end = good_end(&partition, &mut verified)?;
        verified.problems.extend(end.problem);
    }
    Ok(verified)
}

/// Where the good part of a partition ends.
pub(super) struct GoodEnd {
    pub offset: Offset,
    /// The segment that it ends in, by its place, and the byte there.
    pub segment: usize,
    pub position: u64,
    pub problem: Option<Problem>,
    /// Bytes and largest timestamp of each good segment, and the largest of its first batch.
    pub segments: Vec<(u64, i64, i64)>,
}

/// Walks a partition up to the first problem.
pub(super) fn good_end(partition: &PartitionDir, verified: &mut Verified) -> Result<GoodEnd> {
    let first = partition.segments.first().copied().unwrap_or_default();
    let mut end = GoodEnd { offset: first, segment: 0, position: 0, problem: None, segments: Vec::new() };
    for (index, base) in partition.segments.iter().enumerate() {
        let file = paths::segment(&partition.path, *base, "log");
        let problem = |position, offset, why| Some(Problem { file: file.clone(), position, offset, why });
        if *base != end.offset {
            let why = format!("the segment does not follow, {} is expected", end.offset);
            end.problem = problem(0, *base, why);
            return Ok(end);
        }
        (end.segment, end.position) = (index, 0);
        end.segments.push((0, -1, -1));
        verified.segments += 1;
        let mut walk = Walk::open(&file)?;
        verified.bytes += walk.len();
        loop {
            match walk.next(Some(end.offset))? {
                Found::Batch(header) => {
                    verified.batches += 1;
                    verified.records += header.record_count as u64;
                    end.offset = header.last_offset().plus(1);
                    end.position = walk.position;
                    let (len, max, first) = &mut end.segments[index];
                    *first = if *len == 0 { header.max_timestamp } else { *first };
                    (*len, *max) = (walk.position, header.max_timestamp.max(*max));
                }
                Found::End { zeros } if zeros > 0 && index + 1 < partition.segments.len() => {
                    end.problem = problem(walk.position, end.offset, format!("{zeros} zeros end a sealed segment"));
                    return Ok(end);
                }
                Found::End { .. } => break,
                Found::Bad { why } => {
                    end.problem = problem(walk.position, end.offset, why);
                    return Ok(end);
                }
            }
        }
    }
    Ok(end)
}
