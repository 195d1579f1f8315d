//! Broker settings of the log: the defaults of topic settings, and the cleaner.

use super::prelude::*;

settings! { SETTINGS:
    "compression.gzip.level", Int, Some("-1"), GzipLevel, ClusterWide, without(PassThrough);
    "compression.lz4.level", Int, Some("9"), range(1, 17), ClusterWide, without(PassThrough);
    "compression.type", String, Some("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide,
        acts("How batches are stored; only as they came, producer, is offered yet.");
    "compression.zstd.level", Int, Some("3"), range(-131_072, 22), ClusterWide, without(PassThrough);
    "cordoned.log.dirs", List, Some(""), Any, PerBroker, without(OwnEngine);
    "log.cleaner.backoff.ms", Long, Some("15000"), at_least(0), ClusterWide, without(Cleaner);
    "log.cleaner.dedupe.buffer.size", Long, Some("134217728"), Any, ClusterWide, without(Cleaner);
    "log.cleaner.delete.retention.ms", Long, Some("86400000"), at_least(0), ClusterWide, without(Cleaner);
    "log.cleaner.enable", Boolean, Some("true"), Any, ReadOnly, without(Cleaner);
    "log.cleaner.io.buffer.load.factor", Double, Some("0.9"), Any, ClusterWide, without(Cleaner);
    "log.cleaner.io.buffer.size", Int, Some("524288"), at_least(0), ClusterWide, without(Cleaner);
    "log.cleaner.io.max.bytes.per.second", Double, Some("1.7976931348623157E308"), Any, ClusterWide, without(Cleaner);
    "log.cleaner.max.compaction.lag.ms", Long, Some("9223372036854775807"), at_least(1), ClusterWide,
        without(Cleaner);
    "log.cleaner.min.cleanable.ratio", Double, Some("0.5"), Fraction { max: 1.0 }, ClusterWide, without(Cleaner);
    "log.cleaner.min.compaction.lag.ms", Long, Some("0"), at_least(0), ClusterWide, without(Cleaner);
    "log.cleaner.threads", Int, Some("1"), at_least(0), ClusterWide, without(Threads);
    "log.cleanup.policy", List, Some("delete"), EachOf(&["compact", "delete"]), ClusterWide,
        acts("What happens to old records: delete, compact, or both. The cleaner comes later.");
    "log.dir", List, Some("./duramen-data"), Any, ReadOnly, acts("The data directory, where log.dirs is not set.");
    "log.dir.failure.timeout.ms", Long, Some("30000"), at_least(1), ReadOnly, without(OwnEngine);
    "log.dirs", List, None, Any, ReadOnly, acts("The data directory; several are not offered.");
    "log.flush.interval.messages", Long, Some("9223372036854775807"), at_least(1), ClusterWide,
        acts("Records in a partition after which they are synced.");
    "log.flush.interval.ms", Long, None, Any, ClusterWide, acts("How long a record may wait for its sync.");
    "log.flush.offset.checkpoint.interval.ms", Int, Some("60000"), at_least(0), ReadOnly, without(OwnEngine);
    "log.flush.scheduler.interval.ms", Long, Some("9223372036854775807"), Any, ReadOnly,
        acts("The default of log.flush.interval.ms.");
    "log.flush.start.offset.checkpoint.interval.ms", Int, Some("60000"), at_least(0), ReadOnly, without(OwnEngine);
    "log.index.interval.bytes", Int, Some("4096"), at_least(0), ClusterWide,
        acts("Bytes of a segment between two index entries.");
    "log.index.size.max.bytes", Int, Some("10485760"), at_least(4), ClusterWide, without(OwnEngine);
    "log.initial.task.delay.ms", Long, Some("30000"), at_least(0), ReadOnly, without(OwnEngine), internal;
    "log.message.timestamp.after.max.ms", Long, Some("3600000"), at_least(0), ClusterWide,
        acts("How far a record's time may lie ahead of the broker's clock.");
    "log.message.timestamp.before.max.ms", Long, Some("9223372036854775807"), at_least(0), ClusterWide,
        acts("How far a record's time may lie behind the broker's clock.");
    "log.message.timestamp.type", String, Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide,
        acts("Whose clock stamps records; only the producer's, CreateTime, is offered yet.");
    "log.preallocate", Boolean, Some("false"), Any, ClusterWide, without(OwnEngine);
    "log.retention.bytes", Long, Some("-1"), Any, ClusterWide,
        acts("The size of a partition beyond which its oldest segments are deleted; -1 is no limit.");
    "log.retention.check.interval.ms", Long, Some("300000"), at_least(1), ReadOnly,
        acts("How often retention looks for segments to delete.");
    "log.retention.hours", Int, Some("168"), Any, ReadOnly, acts("The default of log.retention.minutes, in hours.");
    "log.retention.minutes", Int, None, Any, ReadOnly, acts("The default of log.retention.ms, in minutes.");
    "log.retention.ms", Long, None, Any, ClusterWide, acts("How long records are kept; -1 is for ever.");
    "log.roll.hours", Int, Some("168"), at_least(1), ReadOnly, acts("The default of log.roll.ms, in hours.");
    "log.roll.jitter.hours", Int, Some("0"), at_least(0), ReadOnly,
        acts("The default of log.roll.jitter.ms, in hours.");
    "log.roll.jitter.ms", Long, None, Any, ClusterWide,
        acts("The most that is taken off log.roll.ms at random, so that not all roll at once.");
    "log.roll.ms", Long, None, Any, ClusterWide, acts("The age at which a segment is sealed, though not full.");
    "log.segment.bytes", Int, Some("1073741824"), at_least(1_048_576), ClusterWide,
        acts("The size at which a segment is sealed.");
    "log.segment.delete.delay.ms", Long, Some("60000"), at_least(0), ClusterWide, without(OwnEngine);
    "message.max.bytes", Int, Some("1048588"), at_least(0), ClusterWide,
        acts("The largest record batch that is taken.");
    "min.insync.replicas", Int, Some("1"), at_least(1), ClusterWide, without(Replication);
    "producer.id.expiration.check.interval.ms", Int, Some("600000"), at_least(1), ReadOnly,
        without(OwnEngine), internal;
    "producer.id.expiration.ms", Int, Some("86400000"), at_least(1), ClusterWide,
        acts("How long the state of an idle idempotent producer is kept.");
    "producer.purgatory.purge.interval.requests", Int, Some("1000"), Any, ReadOnly, without(Purgatory);
    "unclean.leader.election.enable", Boolean, Some("false"), Any, ClusterWide, without(Replication);
    "unclean.leader.election.interval.ms", Long, Some("300000"), at_least(1), ReadOnly,
        without(Replication), internal;
}
