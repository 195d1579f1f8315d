//! Keys: which one a record gets, and the partition that Java's default partitioner gives it.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};

use crate::error::Error;
use crate::plan;

/// Bytes of a key: `k` and the digits of its number.
pub(crate) const KEY_LEN: usize = 12;
/// As many keys have different digits.
pub(crate) const KEYS_MAX: u64 = 100_000_000_000;

const MURMUR_SEED: u32 = 0x9747_b28c;
const MURMUR_MULTIPLIER: u32 = 0x5bd1_e995;

/// Draws the keys of one producer.
pub(crate) struct Keys {
    random: SmallRng,
    drawn: Drawn,
}

enum Drawn {
    Uniform(u64),
    Zipf(Zipf<f64>),
}

impl Keys {
    pub(crate) fn new(keys: &plan::Keys, seed: u64) -> Result<Self, Error> {
        let plan::Keys { count, skew } = *keys;
        if !(1..=KEYS_MAX).contains(&count) {
            return Err(Error::Usage(format!("{count} keys are not between 1 and {KEYS_MAX}")));
        }
        let drawn = match skew == 0.0 {
            true => Drawn::Uniform(count),
            false => {
                let zipf = Zipf::new(count as f64, skew);
                Drawn::Zipf(zipf.map_err(|error| Error::Usage(format!("a key skew of {skew}: {error}")))?)
            }
        };
        Ok(Self { random: SmallRng::seed_from_u64(seed), drawn })
    }

    /// The next record's key.
    pub(crate) fn draw(&mut self) -> [u8; KEY_LEN] {
        key(match &self.drawn {
            Drawn::Uniform(count) => self.random.random_range(0..*count),
            Drawn::Zipf(zipf) => zipf.sample(&mut self.random) as u64 - 1,
        })
    }
}

fn key(mut number: u64) -> [u8; KEY_LEN] {
    let mut key = [b'0'; KEY_LEN];
    key[0] = b'k';
    for digit in key[1..].iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    key
}

/// The place of a key's partition among `partitions`, as Java's producer chooses it.
pub(crate) fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions
}

/// MurmurHash2 with Kafka's seed, over little-endian words.
fn murmur2(data: &[u8]) -> u32 {
    let mut hash = MURMUR_SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut mixed = word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        mixed = mixed.wrapping_mul(MURMUR_MULTIPLIER);
        mixed ^= mixed >> 24;
        mixed = mixed.wrapping_mul(MURMUR_MULTIPLIER);
        hash = hash.wrapping_mul(MURMUR_MULTIPLIER) ^ mixed;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash ^= tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(MURMUR_MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MURMUR_MULTIPLIER);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values in Kafka's own test of `Utils.murmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        for (data, hash) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(data.as_bytes()) as i32, hash, "{data}");
        }
    }

    #[test]
    fn keys_have_their_digits() {
        assert_eq!((&key(0), &key(KEYS_MAX - 1), &key(1_203)), (b"k00000000000", b"k99999999999", b"k00000001203"));
    }

    fn share_of_first(skew: f64) -> f64 {
        let mut keys = Keys::new(&plan::Keys { count: 1_000, skew }, 5).unwrap();
        let drawn = 100_000;
        (0..drawn).filter(|_| keys.draw() == key(0)).count() as f64 / f64::from(drawn)
    }

    #[test]
    fn the_first_rank_has_the_share_that_its_skew_says() {
        let harmonic: f64 = (1..=1_000).map(|rank| 1.0 / f64::from(rank)).sum();
        assert!((share_of_first(1.0) - 1.0 / harmonic).abs() < 0.01);
        assert!((share_of_first(0.0) - 0.001).abs() < 0.001);
    }

    #[test]
    fn senseless_keys_are_refused() {
        for (count, skew) in [(0, 0.0), (KEYS_MAX + 1, 0.0), (10, -1.0), (10, f64::NAN)] {
            assert!(Keys::new(&plan::Keys { count, skew }, 1).is_err(), "{count} {skew}");
        }
    }
}
