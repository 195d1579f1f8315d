//! The stamp at the front of a value: who made it, as which of his records, and when it was due.

use crate::clock::Nanos;

/// Bytes of a stamp; shorter values carry none.
pub const STAMP_LEN: usize = 24;

/// What a value of at least `STAMP_LEN` bytes begins with. All integers are big-endian; the payload goes on behind it:
///
/// ```text
///  0  run       u32  random for each run, so that records of other runs are told apart
///  4  producer  u32  from 0
///  8  sequence  u64  of the producer, from 0, over all its partitions
/// 16  due       u64  ns since the run's epoch, by the monotonic clock of the process
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub run: u32,
    pub producer: u32,
    pub sequence: u64,
    pub due: Nanos,
}

impl Stamp {
    pub(crate) fn to_bytes(self) -> [u8; STAMP_LEN] {
        let mut bytes = [0; STAMP_LEN];
        bytes[0..4].copy_from_slice(&self.run.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.producer.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.due.0.to_be_bytes());
        bytes
    }
}

/// The stamp of a value that is long enough for one. Whether this run wrote it is told by `run`.
pub fn read_stamp(value: &[u8]) -> Option<Stamp> {
    let bytes = value.first_chunk::<STAMP_LEN>()?;
    let (run, rest) = bytes.split_first_chunk::<4>()?;
    let (producer, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, due) = rest.split_first_chunk::<8>()?;
    Some(Stamp {
        run: u32::from_be_bytes(*run),
        producer: u32::from_be_bytes(*producer),
        sequence: u64::from_be_bytes(*sequence),
        due: Nanos(u64::from_be_bytes(*due.first_chunk()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp { run: 0x0102_0304, producer: 7, sequence: u64::MAX - 1, due: Nanos(1_234_567_890_123) };
        let bytes = stamp.to_bytes();
        assert_eq!((&bytes[..4], bytes[7]), (&[1, 2, 3, 4][..], 7));
        assert_eq!(read_stamp(&[&bytes[..], b"payload"].concat()), Some(stamp));
        assert_eq!(read_stamp(&bytes[..STAMP_LEN - 1]), None);
    }
}
