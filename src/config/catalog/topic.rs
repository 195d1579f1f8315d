//! Settings of one topic. Their broker-wide defaults are in `synonyms`.

use super::prelude::*;

settings! { SETTINGS:
    "cleanup.policy", List, Some("delete"), EachOf(&["compact", "delete"]), ClusterWide,
        acts("What happens to old records: delete, compact, or both. The cleaner comes later.");
    "compression.gzip.level", Int, Some("-1"), GzipLevel, ClusterWide, without(PassThrough);
    "compression.lz4.level", Int, Some("9"), range(1, 17), ClusterWide, without(PassThrough);
    "compression.type", String, Some("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide,
        acts("How batches are stored; only as they came, producer, is offered yet.");
    "compression.zstd.level", Int, Some("3"), range(-131_072, 22), ClusterWide, without(PassThrough);
    "delete.retention.ms", Long, Some("86400000"), at_least(0), ClusterWide, without(Cleaner);
    "file.delete.delay.ms", Long, Some("60000"), at_least(0), ClusterWide, without(OwnEngine);
    "flush.messages", Long, Some("9223372036854775807"), at_least(1), ClusterWide,
        acts("Records in a partition after which they are synced.");
    "flush.ms", Long, Some("9223372036854775807"), at_least(0), ClusterWide,
        acts("How long a record may wait for its sync.");
    "follower.replication.throttled.replicas", List, Some(""), ThrottledReplicas, ClusterWide, without(Quotas);
    "index.interval.bytes", Int, Some("4096"), at_least(0), ClusterWide,
        acts("Bytes of a segment between two index entries.");
    "internal.segment.bytes", Int, None, Any, ClusterWide,
        acts("Stands in for segment.bytes without its lower bound."), internal;
    "leader.replication.throttled.replicas", List, Some(""), ThrottledReplicas, ClusterWide, without(Quotas);
    "local.retention.bytes", Long, Some("-2"), at_least(-2), ClusterWide, without(TieredStorage);
    "local.retention.ms", Long, Some("-2"), at_least(-2), ClusterWide, without(TieredStorage);
    "max.compaction.lag.ms", Long, Some("9223372036854775807"), at_least(1), ClusterWide, without(Cleaner);
    "max.message.bytes", Int, Some("1048588"), at_least(0), ClusterWide,
        acts("The largest record batch that is taken.");
    "message.timestamp.after.max.ms", Long, Some("3600000"), at_least(0), ClusterWide,
        acts("How far a record's time may lie ahead of the broker's clock.");
    "message.timestamp.before.max.ms", Long, Some("9223372036854775807"), at_least(0), ClusterWide,
        acts("How far a record's time may lie behind the broker's clock.");
    "message.timestamp.type", String, Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide,
        acts("Whose clock stamps records; only the producer's, CreateTime, is offered yet.");
    "min.cleanable.dirty.ratio", Double, Some("0.5"), Fraction { max: 1.0 }, ClusterWide, without(Cleaner);
    "min.compaction.lag.ms", Long, Some("0"), at_least(0), ClusterWide, without(Cleaner);
    "min.insync.replicas", Int, Some("1"), at_least(1), ClusterWide, without(Replication);
    "preallocate", Boolean, Some("false"), Any, ClusterWide, without(OwnEngine);
    "remote.log.copy.disable", Boolean, Some("false"), Any, ClusterWide, without(TieredStorage);
    "remote.log.delete.on.disable", Boolean, Some("false"), Any, ClusterWide, without(TieredStorage);
    "remote.storage.enable", Boolean, Some("false"), Any, ClusterWide, without(TieredStorage);
    "retention.bytes", Long, Some("-1"), Any, ClusterWide,
        acts("The size of a partition beyond which its oldest segments are deleted; -1 is no limit.");
    "retention.ms", Long, Some("604800000"), at_least(-1), ClusterWide,
        acts("How long records are kept; -1 is for ever.");
    "segment.bytes", Int, Some("1073741824"), at_least(1_048_576), ClusterWide,
        acts("The size at which a segment is sealed.");
    "segment.index.bytes", Int, Some("10485760"), at_least(4), ClusterWide, without(OwnEngine);
    "segment.jitter.ms", Long, Some("0"), at_least(0), ClusterWide,
        acts("The most that is taken off segment.ms at random, so that not all roll at once.");
    "segment.ms", Long, Some("604800000"), at_least(1), ClusterWide,
        acts("The age at which a segment is sealed, though not full.");
    "unclean.leader.election.enable", Boolean, Some("false"), Any, ClusterWide, without(Replication);
}
