//! How the broker is laid out on this host: shards, cores and memory, from the settings and from what the host allows.

use std::path::PathBuf;

use duramen_wire::ids::ShardId;

use crate::config;
use crate::log::Options as LogOptions;
use crate::runtime::net::SocketOptions;
use crate::runtime::{RECEIVE_BUFFER_LEN, host};

/// The part of the host's memory that is the budget if none is named.
const MEMORY_SHARE: u64 = 16;
/// A shard works with at least this much.
const SHARD_MEMORY_MIN: u64 = 32 << 20;
/// The part of a shard's memory for receive buffers.
const RECEIVE_SHARE: u64 = 8;
/// The part of a shard's memory for requests that are gathered.
const GATHER_SHARE: u64 = 8;
/// The part of a shard's memory for what has come of requests that wait to be gathered.
const FRONTS_SHARE: u64 = 8;
/// The part of a shard's memory for requests that are decoded whole, and how much it is at least.
const DECODE_SHARE: u64 = 8;
const DECODE_BYTES_MIN: usize = 30 << 20;
/// The part of that which one partition may have unwritten while it is safe in journal or ring, and its bounds.
const FLUSH_SHARE: u64 = 64;
const FLUSH_BYTES_MIN: u64 = 256 << 10;
const FLUSH_BYTES_MAX: u64 = 1 << 20;
/// The part of a shard's memory for the log: tail buffers, journal frames, cold reads.
const LOG_SHARE: u64 = 2;
/// Descriptors that are left for connections and the rest, of those that the process may have.
const DESCRIPTORS_FOR_FILES: u64 = 2;

/// The layout.
#[derive(Clone, Debug)]
pub struct Plan {
    pub config: config::Broker,
    pub data_dir: PathBuf,
    pub shards: u16,
    /// The core of each shard; more shards than cores share them.
    pub cores: Vec<usize>,
    /// Bytes for all shards.
    pub memory: u64,
    pub receive_buffers_max: usize,
    pub gather_bytes_max: usize,
    pub fronts_bytes_max: usize,
    pub decode_bytes_max: usize,
    pub log: LogOptions,
}

impl Plan {
    /// # Errors
    /// The host cannot run the broker, or the settings ask for what it does not have.
    pub fn new(config: config::Broker, facts: &host::Facts) -> Result<Self, super::Error> {
        let wanted = config.cores.as_deref().map(host::parse_core_list).transpose()?;
        let cores = host::choose_cpus(&facts.cpus, wanted.as_deref(), config.shards.map(usize::from))?;
        let shards = u16::try_from(cores.len()).unwrap_or(u16::MAX);
        let memory =
            config.memory_bytes.unwrap_or((facts.memory / MEMORY_SHARE).max(2 * SHARD_MEMORY_MIN * u64::from(shards)));
        let per_shard = memory / u64::from(shards);
        if per_shard < SHARD_MEMORY_MIN {
            return Err(super::Error::Start(format!(
                "{memory} bytes of memory for {shards} shards are too few: each works with at least {SHARD_MEMORY_MIN}. \
                 Give more with --memory, or run fewer with --shards"
            )));
        }
        let bytes = |share: u64| usize::try_from(per_shard / share).unwrap_or(usize::MAX);
        let files = usize::try_from(facts.open_files / DESCRIPTORS_FOR_FILES / u64::from(shards)).unwrap_or(64).max(16);
        Ok(Self {
            data_dir: PathBuf::from(&config.data_dir),
            shards,
            cores,
            memory,
            receive_buffers_max: (bytes(RECEIVE_SHARE) / RECEIVE_BUFFER_LEN).next_power_of_two().clamp(64, 4096),
            // One larger request is let through while there is no other.
            gather_bytes_max: bytes(GATHER_SHARE),
            fronts_bytes_max: bytes(FRONTS_SHARE),
            decode_bytes_max: bytes(DECODE_SHARE).max(DECODE_BYTES_MIN),
            log: LogOptions {
                // Frames of an earlier life, or made up by a client, must not pass for those of this one.
                nonce: rand::random(),
                memory_budget: bytes(LOG_SHARE),
                flush_bytes: (per_shard / LOG_SHARE / FLUSH_SHARE).clamp(FLUSH_BYTES_MIN, FLUSH_BYTES_MAX),
                journal_len: config.journal_bytes.next_multiple_of(1 << 20),
                checkpoint_every: config.checkpoint_interval_bytes,
                open_files_max: files,
                unsynced_bytes_max: u64::try_from(config.replicated_flush_bytes).unwrap_or(0),
                unsynced_ms_max: config.replicated_flush_ms,
                retention_check_ms: config.log_retention_check_interval_ms,
                ..LogOptions::default()
            },
            config,
        })
    }

    /// What the settings say of listeners' sockets.
    pub fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            backlog: self.config.socket_listen_backlog_size,
            send_buffer: self.config.socket_send_buffer_bytes,
            receive_buffer: self.config.socket_receive_buffer_bytes,
        }
    }

    /// The core that a shard is pinned to.
    pub fn cpu_of(&self, shard: ShardId) -> Option<usize> {
        self.cores.get(usize::from(shard.0)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Configs, Settings};

    fn plan(file: &str) -> Plan {
        let settings = Settings::from_sources(Some(file), &[]).expect("valid");
        let none = Configs::new();
        let facts = host::probe(std::path::Path::new(".")).expect("a host that runs tests runs the broker").facts;
        Plan::new(config::Broker::new(&settings, &none, &none), &facts).expect("the host has what is asked for")
    }

    #[test]
    fn sockets_are_as_the_settings_say() {
        let options = plan("").socket_options();
        assert_eq!((options.backlog, options.send_buffer, options.receive_buffer), (1024, None, None));
        let settings =
            "socket.listen.backlog.size=7\nsocket.send.buffer.bytes=65536\nsocket.receive.buffer.bytes=4096\n";
        let options = plan(settings).socket_options();
        assert_eq!((options.backlog, options.send_buffer, options.receive_buffer), (7, Some(65_536), Some(4096)));
    }
}
