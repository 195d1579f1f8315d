//! Broker settings of group coordinators and of the offsets topic.

use super::prelude::*;

settings! { SETTINGS:
    "group.consumer.assignment.interval.ms", Int, Some("1000"), at_least(0), ClusterWide, without(NewGroupProtocol);
    "group.consumer.assignors", List, Some("uniform,range"), Any, ReadOnly, without(NewGroupProtocol);
    "group.consumer.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.consumer.max.assignment.interval.ms", Int, Some("15000"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.consumer.max.heartbeat.interval.ms", Int, Some("15000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.consumer.max.session.timeout.ms", Int, Some("60000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.consumer.max.size", Int, Some("2147483647"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.consumer.migration.policy", String, Some("bidirectional"),
        OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), ReadOnly,
        without(NewGroupProtocol);
    "group.consumer.min.assignment.interval.ms", Int, Some("0"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.consumer.min.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.consumer.min.session.timeout.ms", Int, Some("45000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.consumer.regex.refresh.interval.ms", Int, Some("600000"), at_least(10_000), ReadOnly,
        without(NewGroupProtocol), internal;
    "group.consumer.session.timeout.ms", Int, Some("45000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.coordinator.append.linger.ms", Int, Some("-1"), at_least(-1), ReadOnly, without(Threads);
    "group.coordinator.background.threads", Int, Some("2"), at_least(1), ReadOnly, without(Threads);
    "group.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), at_least(524_288), ClusterWide,
        without(Threads);
    "group.coordinator.rebalance.protocols", List, Some("classic,consumer,streams"),
        EachOf(&["consumer", "classic", "share", "streams"]), ReadOnly,
        without(Threads);
    "group.coordinator.threads", Int, Some("4"), at_least(1), ReadOnly, without(Threads);
    "group.initial.rebalance.delay.ms", Int, Some("3000"), Any, ReadOnly,
        acts("How long an empty group waits for more members before its first rebalance.");
    "group.max.session.timeout.ms", Int, Some("1800000"), Any, ReadOnly,
        acts("The longest session timeout that a member may ask for.");
    "group.max.size", Int, Some("2147483647"), at_least(1), ReadOnly, acts("The most members in one group.");
    "group.min.session.timeout.ms", Int, Some("6000"), Any, ReadOnly,
        acts("The shortest session timeout that a member may ask for.");
    "group.share.assignment.interval.ms", Int, Some("1000"), at_least(0), ClusterWide, without(ShareGroups);
    "group.share.assignors", List, Some("simple"), Any, ReadOnly, without(ShareGroups);
    "group.share.delivery.count.limit", Int, Some("5"), range(2, 10), ReadOnly, without(ShareGroups);
    "group.share.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.share.initialize.retry.interval.ms", Int, Some("30000"), at_least(1), ReadOnly,
        without(ShareGroups), internal;
    "group.share.max.assignment.interval.ms", Int, Some("15000"), at_least(0), ReadOnly, without(ShareGroups);
    "group.share.max.delivery.count.limit", Int, Some("10"), range(5, 25), ReadOnly, without(ShareGroups);
    "group.share.max.heartbeat.interval.ms", Int, Some("15000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.share.max.partition.max.record.locks", Int, Some("4000"), range(2000, 10_000), ReadOnly,
        without(ShareGroups);
    "group.share.max.record.lock.duration.ms", Int, Some("60000"), range(30_000, 3_600_000), ReadOnly,
        without(ShareGroups);
    "group.share.max.session.timeout.ms", Int, Some("60000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.share.max.share.sessions", Int, Some("2000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.share.max.size", Int, Some("200"), range(1, 1000), ReadOnly, without(ShareGroups);
    "group.share.min.assignment.interval.ms", Int, Some("0"), at_least(0), ReadOnly, without(ShareGroups);
    "group.share.min.delivery.count.limit", Int, Some("2"), range(2, 5), ReadOnly, without(ShareGroups);
    "group.share.min.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.share.min.partition.max.record.locks", Int, Some("100"), range(100, 2000), ReadOnly, without(ShareGroups);
    "group.share.min.record.lock.duration.ms", Int, Some("15000"), range(1000, 30_000), ReadOnly,
        without(ShareGroups);
    "group.share.min.session.timeout.ms", Int, Some("45000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.share.partition.max.record.locks", Int, Some("2000"), range(100, 10_000), ReadOnly, without(ShareGroups);
    "group.share.persister.class.name", String, Some("org.apache.kafka.server.share.persister.DefaultStatePersister"),
        Any, ReadOnly,
        without(ShareGroups), internal;
    "group.share.record.lock.duration.ms", Int, Some("30000"), range(1000, 3_600_000), ReadOnly, without(ShareGroups);
    "group.share.session.timeout.ms", Int, Some("45000"), at_least(1), ReadOnly, without(ShareGroups);
    "group.streams.assignment.interval.ms", Int, Some("1000"), at_least(0), ClusterWide, without(NewGroupProtocol);
    "group.streams.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.streams.initial.rebalance.delay.ms", Int, Some("3000"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.streams.max.assignment.interval.ms", Int, Some("15000"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.streams.max.heartbeat.interval.ms", Int, Some("15000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.streams.max.session.timeout.ms", Int, Some("60000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.streams.max.size", Int, Some("2147483647"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.streams.max.standby.replicas", Int, Some("2"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.streams.min.assignment.interval.ms", Int, Some("0"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.streams.min.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.streams.min.session.timeout.ms", Int, Some("45000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "group.streams.num.standby.replicas", Int, Some("0"), at_least(0), ReadOnly, without(NewGroupProtocol);
    "group.streams.session.timeout.ms", Int, Some("45000"), at_least(1), ReadOnly, without(NewGroupProtocol);
    "offset.metadata.max.bytes", Int, Some("4096"), Any, ReadOnly,
        acts("The longest metadata string of a committed offset.");
    "offsets.commit.timeout.ms", Int, Some("5000"), at_least(1), ReadOnly, without(OwnEngine);
    "offsets.load.buffer.size", Int, Some("5242880"), at_least(1), ReadOnly, without(OwnEngine);
    "offsets.retention.check.interval.ms", Long, Some("600000"), at_least(1), ReadOnly,
        acts("How often expired offsets are looked for.");
    "offsets.retention.minutes", Int, Some("10080"), at_least(1), ReadOnly,
        acts("How long offsets are kept once their group is empty.");
    "offsets.topic.compression.codec", Int, Some("0"), Any, ReadOnly, without(OwnEngine);
    "offsets.topic.num.partitions", Int, Some("50"), at_least(1), ReadOnly,
        acts("Partitions of __consumer_offsets, when it is made.");
    "offsets.topic.replication.factor", Short, Some("3"), at_least(1), ReadOnly, without(Replication);
    "offsets.topic.segment.bytes", Int, Some("104857600"), at_least(1), ReadOnly,
        acts("The segment size of __consumer_offsets, when it is made.");
    "share.coordinator.append.linger.ms", Int, Some("-1"), at_least(-1), ReadOnly, without(ShareGroups);
    "share.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), at_least(524_288), ClusterWide,
        without(ShareGroups);
    "share.coordinator.cold.partition.snapshot.interval.ms", Int, Some("300000"), at_least(1), ReadOnly,
        without(ShareGroups), internal;
    "share.coordinator.load.buffer.size", Int, Some("5242880"), at_least(1), ReadOnly, without(ShareGroups);
    "share.coordinator.snapshot.update.records.per.snapshot", Int, Some("500"), range(0, 500), ReadOnly,
        without(ShareGroups);
    "share.coordinator.state.topic.compression.codec", Int, Some("0"), Any, ReadOnly, without(ShareGroups);
    "share.coordinator.state.topic.min.isr", Short, Some("2"), at_least(1), ReadOnly, without(ShareGroups);
    "share.coordinator.state.topic.num.partitions", Int, Some("50"), at_least(1), ReadOnly, without(ShareGroups);
    "share.coordinator.state.topic.prune.interval.ms", Int, Some("300000"), at_least(1), ReadOnly,
        without(ShareGroups), internal;
    "share.coordinator.state.topic.replication.factor", Short, Some("3"), at_least(1), ReadOnly, without(ShareGroups);
    "share.coordinator.state.topic.segment.bytes", Int, Some("104857600"), at_least(1), ReadOnly,
        without(ShareGroups);
    "share.coordinator.threads", Int, Some("1"), at_least(1), ReadOnly, without(ShareGroups);
    "share.coordinator.write.timeout.ms", Int, Some("5000"), at_least(1), ReadOnly, without(ShareGroups);
    "share.fetch.purgatory.purge.interval.requests", Int, Some("1000"), Any, ReadOnly, without(ShareGroups);
}
