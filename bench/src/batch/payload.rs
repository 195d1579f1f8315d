//! What values hold: bytes from letters, chance, zeros or a file, in turn.

use std::fs::File;
use std::io::Read;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::error::Error;
use crate::plan::Payload;

/// So much of a payload file is used.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// A pool of partly random values has at most so many.
const POOL_MAX: u32 = 1 << 20;

/// Gives each value its bytes.
pub(crate) struct Payloads {
    source: Source,
}

enum Source {
    Letters { state: u64 },
    Random(SmallRng),
    Zeros,
    File { bytes: Vec<u8>, next: usize },
    PartlyRandom { share: f64, pool: u32, next: u32, seed: u64 },
}

impl Payloads {
    pub(crate) fn new(payload: &Payload, seed: u64) -> Result<Self, Error> {
        let source = match payload {
            // Never 0, from which xorshift does not move.
            Payload::Letters => Source::Letters { state: 0x9e37_79b9_7f4a_7c15 ^ seed.rotate_left(32) | 1 },
            Payload::Random => Source::Random(SmallRng::seed_from_u64(seed)),
            Payload::Zeros => Source::Zeros,
            Payload::File(path) => {
                let what = || format!("read {}", path.display());
                let failed = |source| Error::Io { what: what(), source };
                let mut bytes = Vec::new();
                let file = File::open(path).map_err(failed)?;
                file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
                if bytes.is_empty() {
                    return Err(Error::Usage(format!("{} is empty", path.display())));
                }
                Source::File { bytes, next: 0 }
            }
            Payload::PartlyRandom { share, pool } => {
                let share = share.clamp(0.0, 1.0);
                Source::PartlyRandom { share, pool: (*pool).clamp(1, POOL_MAX), next: 0, seed }
            }
        };
        Ok(Self { source })
    }

    /// Fills the next value.
    pub(crate) fn fill(&mut self, value: &mut [u8]) {
        match &mut self.source {
            Source::Letters { state } => value.iter_mut().for_each(|byte| *byte = letter(state)),
            Source::Random(random) => random.fill_bytes(value),
            Source::Zeros => value.fill(0),
            Source::File { bytes, next } => {
                let mut filled = 0;
                while filled < value.len() {
                    let piece = (bytes.len() - *next).min(value.len() - filled);
                    value[filled..filled + piece].copy_from_slice(&bytes[*next..*next + piece]);
                    filled += piece;
                    *next = (*next + piece) % bytes.len();
                }
            }
            Source::PartlyRandom { share, pool, next, seed } => {
                // The same number gives the same bytes: a pool of so many values without the memory for it.
                let mut random = SmallRng::seed_from_u64(seed.wrapping_add(u64::from(*next)));
                *next = (*next + 1) % *pool;
                let chance = (value.len() as f64 * *share).round() as usize;
                value.fill(0);
                random.fill(&mut value[..chance]);
            }
        }
    }
}

/// Xorshift (Marsaglia, 2003): letters that don't repeat soon, so that a compressor wins neither all nor nothing.
fn letter(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    b'A' + (*state % 26) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(payload: &Payload, lengths: &[usize]) -> Vec<Vec<u8>> {
        let mut payloads = Payloads::new(payload, 1).unwrap();
        let fill = |&length: &usize| {
            let mut value = vec![1; length];
            payloads.fill(&mut value);
            value
        };
        lengths.iter().map(fill).collect()
    }

    #[test]
    fn letters_are_letters_and_the_same_for_a_seed() {
        let values = filled(&Payload::Letters, &[1_000, 1_000]);
        assert!(values[0].iter().all(u8::is_ascii_uppercase) && values[0] != values[1]);
        assert!((b'A'..=b'Z').all(|letter| values[0].contains(&letter)));
        assert_eq!(values, filled(&Payload::Letters, &[1_000, 1_000]));
        // The seed at which a careless start would stay at 0 for ever.
        let mut stuck = Payloads::new(&Payload::Letters, 0x9e37_79b9_7f4a_7c15_u64.rotate_left(32)).unwrap();
        let mut value = [0; 64];
        stuck.fill(&mut value);
        assert!(value.iter().any(|letter| *letter != value[0]));
    }

    #[test]
    fn a_file_is_used_slice_by_slice_and_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payload");
        std::fs::write(&path, b"abcdefg").unwrap();
        let values = filled(&Payload::File(path.clone()), &[3, 3, 10]);
        assert_eq!(values, [&b"abc"[..], b"def", b"gabcdefgab"]);
        std::fs::write(&path, b"").unwrap();
        assert!(Payloads::new(&Payload::File(path), 1).is_err());
        assert!(Payloads::new(&Payload::File(directory.path().join("none")), 1).is_err());
    }

    #[test]
    fn partly_random_values_repeat_after_the_pool() {
        let values = filled(&Payload::PartlyRandom { share: 0.5, pool: 2 }, &[100, 100, 100]);
        assert!(values[0] == values[2] && values[0] != values[1]);
        assert!(values[0][50..].iter().all(|byte| *byte == 0) && values[0][..50].iter().any(|byte| *byte != 0));
    }
}
