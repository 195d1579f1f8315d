//! The broker's settings as typed values, computed once per change and then read without look-ups.

use super::layers::{Configs, Layers};
use super::listeners::Listeners;
use super::settings::Settings;
use super::topic::Durability;
use super::value::Value;

/// What the broker acts on. Units are in the names; times are milliseconds unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    pub node_id: i32,
    pub data_dir: String,
    pub listeners: Listeners,

    pub auto_create_topics_enable: bool,
    pub delete_topic_enable: bool,
    pub num_partitions: i32,
    pub default_replication_factor: i32,
    /// No more partitions than these are made on this host.
    pub partitions_max: i32,

    pub fetch_max_bytes: i32,
    pub socket_request_max_bytes: i32,
    /// `None` leaves it to the system.
    pub socket_send_buffer_bytes: Option<usize>,
    /// `None` leaves it to the system.
    pub socket_receive_buffer_bytes: Option<usize>,
    pub socket_listen_backlog_size: i32,
    /// Negative is no limit.
    pub connections_max_idle_ms: i64,
    pub max_connections: i32,
    pub max_connections_per_ip: i32,
    pub fetch_session_cache_slots_max: i32,

    pub group_min_session_timeout_ms: i32,
    pub group_max_session_timeout_ms: i32,
    pub group_initial_rebalance_delay_ms: i32,
    pub group_max_size: i32,
    pub offset_metadata_max_bytes: i32,
    pub offsets_retention_ms: i64,
    pub offsets_retention_check_interval_ms: i64,
    pub offsets_topic_num_partitions: i32,
    pub offsets_topic_segment_bytes: i32,

    pub producer_id_expiration_ms: i32,

    /// How often retention looks for segments to delete.
    pub log_retention_check_interval_ms: i64,
    /// The durability of topics that name none.
    pub durability: Durability,
    pub replicated_flush_bytes: i64,
    pub replicated_flush_ms: i64,

    /// `None`: one per core.
    pub shards: Option<u16>,
    /// `None`: all that this process may use.
    pub cores: Option<String>,
    /// Of all shards together; `None`: a share of what the host allows.
    pub memory_bytes: Option<u64>,
    /// Of each shard.
    pub journal_bytes: u64,
    pub checkpoint_interval_bytes: u64,
    pub shard_ring_slots: usize,
    /// The node id of shard 0 on listeners where each shard has its own.
    pub cores_node_id_first: i32,
    pub cores_nodes_max: i32,
    /// `HOST:PORT` of /metrics and /readyz.
    pub metrics_listener: Option<String>,
}

impl Broker {
    /// `node` and `cluster` are the changes made while running, for this broker and for all.
    pub fn new(settings: &Settings, node: &Configs, cluster: &Configs) -> Self {
        let layers = settings.layers(node, cluster);
        let int = |name| int(&layers, name);
        let size = |name| layers.number(name).unsigned_abs();
        Self {
            node_id: int("node.id"),
            data_dir: data_dir(&layers),
            listeners: settings.listeners().with_limits(&layers),
            auto_create_topics_enable: layers.flag("auto.create.topics.enable"),
            delete_topic_enable: layers.flag("delete.topic.enable"),
            num_partitions: int("num.partitions"),
            default_replication_factor: int("default.replication.factor"),
            partitions_max: int("duramen.partitions.max"),
            fetch_max_bytes: int("fetch.max.bytes"),
            socket_request_max_bytes: int("socket.request.max.bytes"),
            socket_send_buffer_bytes: usize::try_from(layers.number("socket.send.buffer.bytes")).ok(),
            socket_receive_buffer_bytes: usize::try_from(layers.number("socket.receive.buffer.bytes")).ok(),
            socket_listen_backlog_size: int("socket.listen.backlog.size"),
            connections_max_idle_ms: layers.number("connections.max.idle.ms"),
            max_connections: int("max.connections"),
            max_connections_per_ip: int("max.connections.per.ip"),
            fetch_session_cache_slots_max: int("max.incremental.fetch.session.cache.slots"),
            group_min_session_timeout_ms: int("group.min.session.timeout.ms"),
            group_max_session_timeout_ms: int("group.max.session.timeout.ms"),
            group_initial_rebalance_delay_ms: int("group.initial.rebalance.delay.ms"),
            group_max_size: int("group.max.size"),
            offset_metadata_max_bytes: int("offset.metadata.max.bytes"),
            offsets_retention_ms: layers.number("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: layers.number("offsets.retention.check.interval.ms"),
            offsets_topic_num_partitions: int("offsets.topic.num.partitions"),
            offsets_topic_segment_bytes: int("offsets.topic.segment.bytes"),
            producer_id_expiration_ms: int("producer.id.expiration.ms"),
            log_retention_check_interval_ms: layers.number("log.retention.check.interval.ms"),
            durability: Durability::resolve(layers.text("durability").as_deref()),
            replicated_flush_bytes: layers.number("duramen.replicated.flush.bytes"),
            replicated_flush_ms: layers.number("duramen.replicated.flush.ms"),
            shards: given(&layers, "duramen.shards").and_then(|count| u16::try_from(count).ok()),
            cores: layers.text("duramen.cores"),
            memory_bytes: given(&layers, "duramen.memory.bytes").map(i64::unsigned_abs),
            journal_bytes: size("duramen.journal.bytes"),
            checkpoint_interval_bytes: size("duramen.checkpoint.interval.bytes"),
            shard_ring_slots: usize::try_from(size("duramen.shard.ring.slots")).unwrap_or(usize::MAX),
            cores_node_id_first: int("duramen.cores.node.id.first"),
            cores_nodes_max: int("duramen.cores.nodes.max"),
            metrics_listener: layers.text("duramen.metrics.listener"),
        }
    }
}

/// The value of an INT setting, which its type bounds.
fn int(layers: &Layers<'_>, name: &str) -> i32 {
    i32::try_from(layers.number(name)).unwrap_or(i32::MAX)
}

fn given(layers: &Layers<'_>, name: &str) -> Option<i64> {
    match layers.value(name) {
        Some(Value::Number(number)) => Some(number),
        _ => None,
    }
}

fn data_dir(layers: &Layers<'_>) -> String {
    let dirs = layers.list("log.dirs");
    dirs.into_iter().chain(layers.list("log.dir")).find(|dir| !dir.is_empty()).unwrap_or_else(|| ".".to_string())
}
