//! The index of a sealed segment, read from its files.

use duramen_wire::ids::Offset;

use super::{OFFSET_ENTRY_LEN, TIME_ENTRY_LEN};

/// Why an index is not to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{len} bytes are no whole number of entries")]
    Length { len: usize },
    #[error("entry {entry} of the {index} index does not go up")]
    Order { index: &'static str, entry: usize },
    #[error("entry {entry} of the {index} index points out of the segment")]
    Outside { index: &'static str, entry: usize },
}

/// The two indexes of a sealed segment, as they lie in their files, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedIndex {
    base: Offset,
    offsets: Vec<u8>,
    times: Vec<u8>,
}

impl SealedIndex {
    /// Checks the files of the segment that holds the offsets from `base` up to `end` in `len` bytes.
    pub fn decode(base: Offset, end: Offset, len: u64, offsets: Vec<u8>, times: Vec<u8>) -> Result<Self, Error> {
        for (bytes, entry_len) in [(&offsets, OFFSET_ENTRY_LEN), (&times, TIME_ENTRY_LEN)] {
            if !bytes.len().is_multiple_of(entry_len) {
                return Err(Error::Length { len: bytes.len() });
            }
        }
        let index = Self { base, offsets, times };
        let within = |last: u32| base.plus(i64::from(last)) < end;
        check("offset", &index.offsets, offset_entry, |(last, position)| within(*last) && u64::from(*position) < len)?;
        check("time", &index.times, time_entry, |(_, last)| within(*last))?;
        Ok(index)
    }

    /// The position from where to look for the record at `offset`.
    pub fn lookup(&self, offset: Offset) -> u32 {
        let found = last_entry(&self.offsets, offset_entry, |(last, _)| self.base.plus(i64::from(*last)) <= offset);
        found.map_or(0, |(_, position)| position)
    }

    /// The offset from where to look for the first record with a timestamp not before `timestamp`.
    pub fn lookup_time(&self, timestamp: i64) -> Offset {
        let found = last_entry(&self.times, time_entry, |(known, _)| *known < timestamp);
        found.map_or(self.base, |(_, last)| self.base.plus(i64::from(last)))
    }

    /// The largest timestamp, -1 if there is none, and the last offset of the first batch that has it.
    pub fn max_timestamp(&self) -> (i64, Offset) {
        let found = last_entry(&self.times, time_entry, |_| true);
        found.map_or((-1, self.base), |(timestamp, last)| (timestamp, self.base.plus(i64::from(last))))
    }

    /// Where the last indexed batch begins that begins at or before `position`; 0 if none.
    pub fn position_before(&self, position: u32) -> u32 {
        last_entry(&self.offsets, offset_entry, |(_, known)| *known <= position).map_or(0, |(_, known)| known)
    }

    /// Bytes of memory that it takes.
    pub fn size(&self) -> usize {
        self.offsets.len() + self.times.len()
    }
}

fn check<A: PartialOrd, B: PartialOrd, const N: usize>(
    index: &'static str,
    bytes: &[u8],
    decode: fn(&[u8; N]) -> (A, B),
    is_within: impl Fn(&(A, B)) -> bool,
) -> Result<(), Error> {
    let mut previous: Option<(A, B)> = None;
    let (entries, _) = bytes.as_chunks::<N>();
    for (entry, found) in entries.iter().map(decode).enumerate() {
        if !is_within(&found) {
            return Err(Error::Outside { index, entry });
        }
        if previous.is_some_and(|previous| previous.0 >= found.0 || previous.1 >= found.1) {
            return Err(Error::Order { index, entry });
        }
        previous = Some(found);
    }
    Ok(())
}

/// The last of the sorted entries for which `is_before` holds.
fn last_entry<T, const N: usize>(bytes: &[u8], decode: fn(&[u8; N]) -> T, is_before: impl Fn(&T) -> bool) -> Option<T> {
    let (entries, _) = bytes.as_chunks::<N>();
    let next = entries.partition_point(|entry| is_before(&decode(entry)));
    next.checked_sub(1).map(|index| decode(&entries[index]))
}

fn offset_entry(bytes: &[u8; OFFSET_ENTRY_LEN]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

fn time_entry(bytes: &[u8; TIME_ENTRY_LEN]) -> (i64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}
