//! Options of what is produced.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::units;
use crate::Error;
use crate::plan::{Compression, Keys, Pace, Partitioner, Payload, Plan, Sizes};

/// The most keys that can be asked for. They are drawn, not kept.
const KEYS_MAX: u64 = 10_000_000;
/// Batches of a producer that a broker remembers for each partition: more under way could not be put in order.
pub const IDEMPOTENT_IN_FLIGHT_MAX: u32 = 5;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What is produced")]
pub struct ProduceOptions {
    /// Records a second in all, each due at its time whatever the broker does; max: as fast as answers come [default:
    /// 1000]
    #[arg(long, value_name = "N|max", value_parser = units::pace)]
    pub rate: Option<Pace>,
    /// Producers, each with an id, batches and sequences of its own [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub producers: Option<u32>,
    /// Connections to each broker, which producers share [default: one for each producer]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: Option<u32>,
    /// Requests under way on a connection [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub in_flight: Option<u32>,
    /// Bytes of a value: 100, 50..500, normal:200:50, 100@80,1000@20 [default: 100]
    #[arg(long, value_name = "SIZE", value_parser = units::sizes)]
    pub record_size: Option<Sizes>,
    /// Keys in use [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=KEYS_MAX))]
    pub keys: Option<u64>,
    /// Exponent of the keys' zipf distribution; 0 is uniform [default: 0]
    #[arg(long, value_name = "S", value_parser = skew)]
    pub key_skew: Option<f64>,
    /// Where records without key go: a partition for each batch in turn, or for each record [default: sticky]
    #[arg(long, value_name = "HOW", conflicts_with = "keys")]
    pub partitioner: Option<PartitionerName>,
    /// Bytes that close a batch [default: 16K]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes_i32)]
    pub batch_size: Option<i32>,
    /// Records that close a batch [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_records: Option<u32>,
    /// Time after its first record that closes a batch [default: 5ms]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub linger: Option<Duration>,
    /// Batches of several partitions in one request [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batches_per_request: Option<u32>,
    /// 0, 1 or all [default: all]
    #[arg(long, value_name = "ACKS", value_parser = units::acks, allow_hyphen_values = true)]
    pub acks: Option<i16>,
    /// Ids and sequences, so that the broker refuses repetitions [default: true with acks all, else false]
    #[arg(long, value_name = "BOOL")]
    pub idempotence: Option<bool>,
    /// Of batches [default: none]
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<CompressionName>,
    /// What values hold after their stamp: letters, random, zeros, or slices of a file [default: letters]
    #[arg(long, value_name = "KIND|FILE", value_parser = units::payload)]
    pub payload: Option<Payload>,
    /// An answer later than this ends the run [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = units::period)]
    pub request_timeout: Option<Duration>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum PartitionerName {
    Sticky,
    RoundRobin,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum CompressionName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::None => Self::None,
            CompressionName::Gzip => Self::Gzip,
            CompressionName::Snappy => Self::Snappy,
            CompressionName::Lz4 => Self::Lz4,
            CompressionName::Zstd => Self::Zstd,
        }
    }
}

fn skew(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=10.0).contains(number));
    number.ok_or_else(|| "expected an exponent from 0 to 10".to_owned())
}

impl ProduceOptions {
    /// What is given replaces what the plan says.
    pub fn apply(&self, plan: &mut Plan) -> Result<(), Error> {
        let Some(produce) = &mut plan.produce else { return Ok(()) };
        produce.pace = self.rate.unwrap_or(produce.pace);
        produce.producers = self.producers.unwrap_or(produce.producers);
        produce.connections = self.connections.or(produce.connections);
        produce.in_flight = self.in_flight.unwrap_or(produce.in_flight);
        if let Some(sizes) = &self.record_size {
            produce.sizes.clone_from(sizes);
        }
        if let Some(count) = self.keys {
            produce.keys = Some(Keys { count, skew: 0.0 });
        }
        match (&mut produce.keys, self.key_skew) {
            (Some(keys), Some(skew)) => keys.skew = skew,
            (None, Some(_)) => return Err(Error::Usage("--key-skew needs --keys N".to_owned())),
            (_, None) => {}
        }
        match self.partitioner {
            Some(PartitionerName::Sticky) => produce.partitioner = Partitioner::Sticky,
            Some(PartitionerName::RoundRobin) => produce.partitioner = Partitioner::RoundRobin,
            None => {}
        }
        if let Some(bytes) = self.batch_size {
            produce.batch_bytes = bytes.unsigned_abs();
        }
        produce.batch_records = self.batch_records.or(produce.batch_records);
        produce.linger = self.linger.unwrap_or(produce.linger);
        produce.batches_per_request = self.batches_per_request.unwrap_or(produce.batches_per_request);
        if let Some(acks) = self.acks {
            produce.acks = acks;
            produce.idempotence &= acks == -1;
        }
        produce.idempotence = self.idempotence.unwrap_or(produce.idempotence);
        produce.compression = self.compression.map_or(produce.compression, Compression::from);
        if let Some(payload) = &self.payload {
            produce.payload.clone_from(payload);
        }
        produce.request_timeout = self.request_timeout.unwrap_or(produce.request_timeout);
        Ok(())
    }
}
