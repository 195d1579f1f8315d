//! One run, resolved: no default is left to choose. It is serialized whole into results, so that a run can be repeated.

use std::path::PathBuf;
use std::time::Duration;

use duramen_wire::batch;
use serde::{Deserialize, Serialize};

use crate::batch::stamp::STAMP_LEN;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// As on the command line: `produce`, `consume`, `end-to-end`, `mixed`.
    pub command: String,
    /// Brokers to ask first, as HOST:PORT.
    pub servers: Vec<String>,
    pub topics: Topics,
    pub produce: Option<Produce>,
    pub consume: Option<Consume>,
    pub warm_up: Duration,
    /// How long to measure; `None`: until `records`, or until everything was read.
    pub duration: Option<Duration>,
    pub records: Option<u64>,
    /// `None`: by the CPUs that the generator may use.
    pub threads: Option<usize>,
    /// CPUs of the generator; none: those of the process.
    pub cores: Vec<usize>,
    /// Bytes of all buffers together.
    pub memory_max: u64,
    pub seed: u64,
    pub verify: bool,
    pub broker: Broker,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topics {
    Existing(Vec<String>),
    Own { count: u32, partitions: i32, replication_factor: i16, configs: Vec<(String, String)>, keep: bool },
}

/// What is measured of the broker's process, if it is on this host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Broker {
    pub pid: Option<u32>,
    /// The command that starts it.
    pub start: Option<String>,
    pub data_dir: Option<PathBuf>,
    /// HOST:PORT of its metrics, if it is a Duramen.
    pub metrics: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Produce {
    pub pace: Pace,
    pub producers: u32,
    /// Connections to each broker, shared by producers; `None`: each producer has its own.
    pub connections: Option<u32>,
    /// Requests under way on a connection.
    pub in_flight: u32,
    pub sizes: Sizes,
    pub payload: Payload,
    pub keys: Option<Keys>,
    pub partitioner: Partitioner,
    pub batch_bytes: u32,
    pub batch_records: Option<u32>,
    pub linger: Duration,
    pub batches_per_request: u32,
    /// As on the wire: -1 is all.
    pub acks: i16,
    pub idempotence: bool,
    pub compression: Compression,
    pub request_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Each record is due at its time, whatever the broker does.
    Open { records_per_second: f64 },
    /// The next request is sent when one is answered.
    Closed,
}

/// Bytes of a record's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sizes {
    Fixed(u32),
    Uniform {
        min: u32,
        max: u32,
    },
    Normal {
        mean: f64,
        deviation: f64,
    },
    /// Sizes with their weights.
    Weighted(Vec<(u32, f64)>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    Letters,
    Random,
    Zeros,
    /// Slices of a file, in turn.
    File(PathBuf),
    /// OpenMessaging Benchmark's: `pool` payloads, of each of which this share is random and the rest zeros.
    PartlyRandom {
        share: f64,
        pool: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    pub count: u64,
    /// Exponent of their zipf distribution; 0 is uniform.
    pub skew: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partitioner {
    /// A partition for each batch, in turn.
    Sticky,
    /// A partition for each record, in turn.
    RoundRobin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<Compression> for batch::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Snappy => Self::Snappy,
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd => Self::Zstd,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consume {
    /// Of each subscription.
    pub consumers: u32,
    /// Each reads everything.
    pub subscriptions: u32,
    pub from: Begin,
    /// How often a topic at rest is read.
    pub passes: u32,
    /// Records to fill a topic of one's own with first.
    pub fill: Option<u64>,
    /// Bytes to produce first, for consumers of their own to drain while the load runs.
    pub backlog_bytes: u64,
    pub min_bytes: i32,
    pub max_wait: Duration,
    pub max_bytes: i32,
    pub partition_bytes: i32,
    /// Incremental fetches (KIP-227).
    pub sessions: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    Beginning,
    End,
    /// So many records before the end of each partition.
    Last(u64),
}

impl Plan {
    /// Whether all values have room for a stamp.
    pub fn is_stamped(&self) -> bool {
        let smallest = self.produce.as_ref().map(|produce| match &produce.sizes {
            Sizes::Fixed(size) => *size,
            Sizes::Uniform { min, .. } => *min,
            Sizes::Normal { .. } => 0,
            Sizes::Weighted(sizes) => sizes.iter().map(|(size, _)| *size).min().unwrap_or(0),
        });
        smallest.is_some_and(|smallest| smallest as usize >= STAMP_LEN)
    }

    /// Whether it reads what is there, so and so often, and ends.
    pub fn reads_at_rest(&self) -> bool {
        self.produce.is_none() && self.duration.is_none() && self.records.is_none()
    }

    /// A run of a command with all its defaults: one topic of its own with one partition, verified. What is only read
    /// is read once, from its beginning, however long that takes.
    pub fn new(command: &str, server: &str) -> Plan {
        let (produces, consumes) = (command != "consume", command != "produce");
        let from = if produces { Begin::End } else { Begin::Beginning };
        Plan {
            command: command.to_owned(),
            servers: vec![server.to_owned()],
            topics: Topics::Own { count: 1, partitions: 1, replication_factor: 1, configs: Vec::new(), keep: false },
            produce: produces.then(Produce::default),
            consume: consumes.then(|| Consume { from, ..Consume::default() }),
            warm_up: if produces { Duration::from_secs(5) } else { Duration::ZERO },
            duration: produces.then_some(Duration::from_secs(30)),
            records: None,
            threads: None,
            cores: Vec::new(),
            memory_max: 1 << 30,
            seed: 1,
            verify: true,
            broker: Broker::default(),
        }
    }
}

/// Those of Kafka's Java producer, at 1,000 records a second of 100 B.
impl Default for Produce {
    fn default() -> Self {
        Produce {
            pace: Pace::Open { records_per_second: 1_000.0 },
            producers: 1,
            connections: None,
            in_flight: 5,
            sizes: Sizes::Fixed(100),
            payload: Payload::Letters,
            keys: None,
            partitioner: Partitioner::Sticky,
            batch_bytes: 16 << 10,
            batch_records: None,
            linger: Duration::from_millis(5),
            batches_per_request: 1,
            acks: -1,
            idempotence: true,
            compression: Compression::None,
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Those of Kafka's Java consumer, from the beginning, once.
impl Default for Consume {
    fn default() -> Self {
        Consume {
            consumers: 1,
            subscriptions: 1,
            from: Begin::Beginning,
            passes: 1,
            fill: None,
            backlog_bytes: 0,
            min_bytes: 1,
            max_wait: Duration::from_millis(500),
            max_bytes: 50 << 20,
            partition_bytes: 1 << 20,
            sessions: true,
        }
    }
}
