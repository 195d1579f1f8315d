//! The sizes of values: a table drawn once from the distribution, read by each record's number.

use rand::Rng;
use rand::rngs::SmallRng;
use rand_distr::weighted::WeightedIndex;
use rand_distr::{Distribution, Normal};

use crate::error::Error;
use crate::plan::Sizes;

/// Sizes that are drawn; after them they come again.
pub(crate) const DRAWN: usize = 1 << 16;
/// No value is longer: what fits a Kafka batch with its header and a key.
pub(crate) const VALUE_BYTES_MAX: u32 = 1 << 30;
/// A producer begins so much further on in the table than the one before; odd, so that all begin elsewhere.
const PRODUCER_STEP: u64 = 40_503;

/// How long each record's value is.
#[derive(Debug)]
pub(crate) enum SizeTable {
    Fixed(u32),
    Drawn { sizes: Vec<u32>, largest: u32 },
}

impl SizeTable {
    pub(crate) fn new(sizes: &Sizes, random: &mut SmallRng) -> Result<Self, Error> {
        let drawn = match sizes {
            Sizes::Fixed(size) => return Ok(Self::Fixed(checked(*size)?)),
            Sizes::Uniform { min, max } if min <= max => draw(|| random.random_range(*min..=*max)),
            Sizes::Uniform { min, max } => return Err(Error::Usage(format!("sizes from {min} to {max} are none"))),
            Sizes::Normal { mean, deviation } => {
                let normal = Normal::new(*mean, *deviation).map_err(|error| Error::Usage(error.to_string()))?;
                draw(|| normal.sample(random).round().clamp(0.0, f64::from(VALUE_BYTES_MAX)) as u32)
            }
            Sizes::Weighted(weights) => {
                let index = WeightedIndex::new(weights.iter().map(|(_, weight)| *weight));
                let index = index.map_err(|error| Error::Usage(format!("weights of sizes: {error}")))?;
                draw(|| weights[index.sample(random)].0)
            }
        };
        let largest = checked(drawn.iter().copied().max().unwrap_or_default())?;
        Ok(Self::Drawn { sizes: drawn, largest })
    }

    /// The size of a producer's value.
    #[inline]
    pub(crate) fn of(&self, producer: u32, sequence: u64) -> u32 {
        match self {
            Self::Fixed(size) => *size,
            Self::Drawn { sizes, .. } => {
                let at = sequence.wrapping_add(u64::from(producer).wrapping_mul(PRODUCER_STEP));
                sizes[(at % DRAWN as u64) as usize]
            }
        }
    }

    pub(crate) fn largest(&self) -> u32 {
        match self {
            Self::Fixed(size) => *size,
            Self::Drawn { largest, .. } => *largest,
        }
    }
}

fn draw(one: impl FnMut() -> u32) -> Vec<u32> {
    std::iter::repeat_with(one).take(DRAWN).collect()
}

fn checked(size: u32) -> Result<u32, Error> {
    match size > VALUE_BYTES_MAX {
        true => Err(Error::Usage(format!("values of {size} bytes are longer than {VALUE_BYTES_MAX}"))),
        false => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn table(sizes: Sizes) -> SizeTable {
        SizeTable::new(&sizes, &mut SmallRng::seed_from_u64(1)).unwrap()
    }

    fn sizes_of(table: &SizeTable) -> Vec<u32> {
        (0..DRAWN as u64).map(|sequence| table.of(3, sequence)).collect()
    }

    #[test]
    fn weights_are_kept() {
        let table = table(Sizes::Weighted(vec![(100, 80.0), (1_000, 19.0), (10_000, 1.0)]));
        let sizes = sizes_of(&table);
        let share = |size| sizes.iter().filter(|&&one| one == size).count() as f64 / DRAWN as f64;
        assert!((share(100) - 0.80).abs() < 0.01 && (share(1_000) - 0.19).abs() < 0.01);
        assert!((share(10_000) - 0.01).abs() < 0.003 && table.largest() == 10_000);
    }

    #[test]
    fn uniform_and_normal_have_their_means() {
        let mean = |sizes: &[u32]| sizes.iter().map(|&size| f64::from(size)).sum::<f64>() / DRAWN as f64;
        let uniform = sizes_of(&table(Sizes::Uniform { min: 50, max: 500 }));
        assert!((mean(&uniform) - 275.0).abs() < 3.0 && uniform.iter().all(|size| (50..=500).contains(size)));
        assert!((mean(&sizes_of(&table(Sizes::Normal { mean: 200.0, deviation: 50.0 }))) - 200.0).abs() < 2.0);
    }

    #[test]
    fn senseless_sizes_are_refused() {
        for sizes in [
            Sizes::Uniform { min: 2, max: 1 },
            Sizes::Weighted(vec![]),
            Sizes::Weighted(vec![(1, -1.0)]),
            Sizes::Fixed(VALUE_BYTES_MAX + 1),
        ] {
            assert!(SizeTable::new(&sizes, &mut SmallRng::seed_from_u64(1)).is_err(), "{sizes:?}");
        }
    }
}
