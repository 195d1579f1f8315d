//! Broker settings of tiered storage (KIP-405).

use super::prelude::*;

settings! { SETTINGS:
    "follower.fetch.last.tiered.offset.enable", Boolean, Some("false"), Any, ClusterWide, without(TieredStorage);
    "log.local.retention.bytes", Long, Some("-2"), at_least(-2), ClusterWide, without(TieredStorage);
    "log.local.retention.ms", Long, Some("-2"), at_least(-2), ClusterWide, without(TieredStorage);
    "remote.fetch.max.wait.ms", Int, Some("500"), at_least(1), ClusterWide, without(TieredStorage);
    "remote.list.offsets.request.timeout.ms", Long, Some("30000"), at_least(1), ClusterWide, without(TieredStorage);
    "remote.log.index.file.cache.total.size.bytes", Long, Some("1073741824"), at_least(1), ClusterWide,
        without(TieredStorage);
    "remote.log.index.file.cache.ttl.ms", Long, Some("900000"), at_least(-1), ReadOnly,
        without(TieredStorage), internal;
    "remote.log.manager.copier.thread.pool.size", Int, Some("10"), at_least(1), ClusterWide, without(TieredStorage);
    "remote.log.manager.copy.max.bytes.per.second", Long, Some("9223372036854775807"), at_least(1), ClusterWide,
        without(TieredStorage);
    "remote.log.manager.copy.quota.window.num", Int, Some("11"), at_least(1), ReadOnly, without(TieredStorage);
    "remote.log.manager.copy.quota.window.size.seconds", Int, Some("1"), at_least(1), ReadOnly,
        without(TieredStorage);
    "remote.log.manager.expiration.thread.pool.size", Int, Some("10"), at_least(1), ClusterWide,
        without(TieredStorage);
    "remote.log.manager.fetch.max.bytes.per.second", Long, Some("9223372036854775807"), at_least(1), ClusterWide,
        without(TieredStorage);
    "remote.log.manager.fetch.quota.window.num", Int, Some("11"), at_least(1), ReadOnly, without(TieredStorage);
    "remote.log.manager.fetch.quota.window.size.seconds", Int, Some("1"), at_least(1), ReadOnly,
        without(TieredStorage);
    "remote.log.manager.follower.thread.pool.size", Int, Some("2"), at_least(1), ClusterWide, without(TieredStorage);
    "remote.log.manager.task.interval.ms", Long, Some("30000"), at_least(1), ReadOnly, without(TieredStorage);
    "remote.log.manager.task.retry.backoff.max.ms", Long, Some("30000"), at_least(1), ReadOnly,
        without(TieredStorage), internal;
    "remote.log.manager.task.retry.backoff.ms", Long, Some("500"), at_least(1), ReadOnly,
        without(TieredStorage), internal;
    "remote.log.manager.task.retry.jitter", Double, Some("0.2"), Fraction { max: 0.5 }, ReadOnly,
        without(TieredStorage), internal;
    "remote.log.manager.thread.pool.size", Int, Some("2"), at_least(1), ReadOnly, without(TieredStorage);
    "remote.log.metadata.custom.metadata.max.bytes", Int, Some("128"), at_least(0), ReadOnly, without(TieredStorage);
    "remote.log.metadata.manager.class.name", String,
        Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        NonEmpty, ReadOnly,
        without(TieredStorage);
    "remote.log.metadata.manager.class.path", String, None, Any, ReadOnly, without(TieredStorage);
    "remote.log.metadata.manager.impl.prefix", String, Some("rlmm.config."), NonEmpty, ReadOnly,
        without(TieredStorage);
    "remote.log.metadata.manager.listener.name", String, None, NonEmpty, ReadOnly, without(TieredStorage);
    "remote.log.reader.max.pending.tasks", Int, Some("100"), at_least(1), ReadOnly, without(TieredStorage);
    "remote.log.reader.threads", Int, Some("10"), at_least(1), ClusterWide, without(Threads);
    "remote.log.storage.manager.class.name", String, None, NonEmpty, ReadOnly, without(TieredStorage);
    "remote.log.storage.manager.class.path", String, None, Any, ReadOnly, without(TieredStorage);
    "remote.log.storage.manager.impl.prefix", String, Some("rsm.config."), NonEmpty, ReadOnly, without(TieredStorage);
    "remote.log.storage.system.enable", Boolean, Some("false"), Any, ReadOnly, without(TieredStorage);
}
