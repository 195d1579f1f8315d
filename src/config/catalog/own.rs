//! Duramen's own settings, of the broker and of a topic.

use super::prelude::*;

settings! { BROKER:
    "durability", String, Some("default"), OneOf(&["default", "fsync", "replicated"]), ClusterWide,
        acts("When acks=1 and acks=all are answered: fsync, synced; replicated, with the kernel; default, by replicas.");
    "duramen.checkpoint.interval.bytes", Long, Some("67108864"), at_least(1_048_576), ReadOnly,
        acts("Bytes that a shard writes between two checkpoints; they bound what a recovery reads.");
    "duramen.cores", String, None, NonEmpty, ReadOnly,
        acts("The cores to run on, such as 0-3,6; by default all that this process may use.");
    "duramen.cores.listeners", List, Some(""), NonEmptyItems, ReadOnly,
        acts("Listeners on which each shard has a node id and a port of its own, counted up from the listener's.");
    "duramen.cores.node.id.first", Int, Some("1000"), at_least(0), ReadOnly,
        acts("The node id of shard 0 on the listeners of duramen.cores.listeners; the others count up from it.");
    "duramen.cores.nodes.max", Int, Some("64"), range(1, 1024), ReadOnly,
        acts("The most node ids that this host may take for its shards.");
    "duramen.journal.bytes", Long, Some("67108864"), at_least(1_048_576), ReadOnly,
        acts("The size of each shard's journal.");
    "duramen.memory.bytes", Long, None, at_least(33_554_432), ReadOnly,
        acts("The memory that all shards together stay in; by default a share of what the host allows.");
    "duramen.metrics.listener", String, None, NonEmpty, ReadOnly,
        acts("HOST:PORT that answers /metrics and /readyz.");
    "duramen.partitions.max", Int, Some("100000"), at_least(1), ReadOnly,
        acts("The most partitions of this host; no more are made beyond it.");
    "duramen.replicated.flush.bytes", Long, Some("16777216"), at_least(1), ReadOnly,
        acts("With durability=replicated: bytes of a partition that may wait for their sync.");
    "duramen.replicated.flush.ms", Long, Some("1000"), at_least(1), ReadOnly,
        acts("With durability=replicated: milliseconds that a record may wait for its sync.");
    "duramen.shard.ring.slots", Int, Some("1024"), range(16, 65_536), ReadOnly,
        acts("Messages that wait in the ring from one shard to another before the sender waits.");
    "duramen.shards", Int, None, range(1, 1024), ReadOnly,
        acts("The number of shards; by default one per core.");
}

settings! { TOPIC:
    "durability", String, Some("default"), OneOf(&["default", "fsync", "replicated"]), ClusterWide,
        acts("When acks=1 and acks=all are answered: fsync, synced; replicated, with the kernel; default, by replicas.");
}
