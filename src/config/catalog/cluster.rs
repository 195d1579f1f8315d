//! Broker settings of the node, the metadata quorum and replication.

use super::prelude::*;

settings! { SETTINGS:
    "auto.leader.rebalance.enable", Boolean, Some("true"), Any, ReadOnly, without(Replication);
    "broker.heartbeat.interval.ms", Int, Some("2000"), Any, ReadOnly, without(Quorum);
    "broker.id", Int, Some("-1"), Any, ReadOnly, acts("The older name of node.id.");
    "broker.rack", String, None, Any, ReadOnly, without(Replication);
    "broker.session.timeout.ms", Int, Some("9000"), Any, ReadOnly, without(Quorum);
    "controlled.shutdown.enable", Boolean, Some("true"), Any, ReadOnly, without(Replication);
    "controller.listener.names", List, None, Any, ReadOnly,
        acts("Listeners of Kafka's controllers: they are left out here.");
    "controller.performance.always.log.threshold.ms", Long, Some("2000"), at_least(0), ReadOnly,
        without(Quorum), internal;
    "controller.performance.sample.period.ms", Long, Some("60000"), at_least(100), ReadOnly,
        without(Quorum), internal;
    "controller.quorum.append.linger.ms", Int, Some("25"), at_least(0), ReadOnly, without(Quorum);
    "controller.quorum.auto.join.enable", Boolean, Some("false"), Any, ReadOnly, without(Quorum);
    "controller.quorum.bootstrap.servers", List, Some(""), NonEmptyItems, ReadOnly, without(Quorum);
    "controller.quorum.election.backoff.max.ms", Int, Some("1000"), at_least(0), ReadOnly, without(Quorum);
    "controller.quorum.election.timeout.ms", Int, Some("1000"), at_least(0), ReadOnly, without(Quorum);
    "controller.quorum.fetch.max.bytes", Int, Some("1048576"), at_least(1), ReadOnly, without(Quorum);
    "controller.quorum.fetch.snapshot.max.bytes", Int, Some("1048576"), at_least(1), ReadOnly, without(Quorum);
    "controller.quorum.fetch.timeout.ms", Int, Some("2000"), at_least(0), ReadOnly, without(Quorum);
    "controller.quorum.request.timeout.ms", Int, Some("2000"), at_least(0), ReadOnly, without(Quorum);
    "controller.quorum.retry.backoff.ms", Int, Some("20"), at_least(0), ReadOnly, without(Quorum);
    "controller.quorum.voters", List, Some(""), NonEmptyItems, ReadOnly, without(Quorum);
    "controller.quota.window.num", Int, Some("11"), at_least(1), ReadOnly, without(Quotas);
    "controller.quota.window.size.seconds", Int, Some("1"), at_least(1), ReadOnly, without(Quotas);
    "controller.socket.timeout.ms", Int, Some("30000"), Any, ReadOnly, without(Quorum);
    "default.replication.factor", Int, Some("1"), Any, ReadOnly,
        acts("Replicas of a topic that names no number; one node can hold one.");
    "early.start.listeners", List, None, Any, ReadOnly, without(Quorum);
    "follower.replication.throttled.rate", Long, Some("9223372036854775807"), at_least(0), ClusterWide,
        without(Quotas);
    "initial.broker.registration.timeout.ms", Int, Some("60000"), Any, ReadOnly, without(Quorum);
    "inter.broker.listener.name", String, None, Any, ReadOnly, without(Replication);
    "internal.metadata.delete.delay.millis", Long, Some("60000"), Any, ReadOnly, without(Quorum), internal;
    "internal.metadata.log.segment.bytes", Int, None, Any, ReadOnly, without(Quorum), internal;
    "internal.metadata.max.batch.size.in.bytes", Int, Some("8388608"), Any, ReadOnly, without(Quorum), internal;
    "leader.imbalance.check.interval.seconds", Long, Some("300"), at_least(1), ReadOnly, without(Replication);
    "leader.replication.throttled.rate", Long, Some("9223372036854775807"), at_least(0), ClusterWide, without(Quotas);
    "metadata.log.dir", String, None, Any, ReadOnly, without(Quorum);
    "metadata.log.max.record.bytes.between.snapshots", Long, Some("20971520"), at_least(1), ReadOnly, without(Quorum);
    "metadata.log.max.snapshot.interval.ms", Long, Some("3600000"), at_least(0), ReadOnly, without(Quorum);
    "metadata.log.segment.bytes", Int, Some("1073741824"), at_least(8_388_608), ReadOnly, without(Quorum);
    "metadata.log.segment.ms", Long, Some("604800000"), Any, ReadOnly, without(Quorum);
    "metadata.max.idle.interval.ms", Int, Some("500"), at_least(0), ReadOnly, without(Quorum);
    "metadata.max.retention.bytes", Long, Some("104857600"), Any, ReadOnly, without(Quorum);
    "metadata.max.retention.ms", Long, Some("604800000"), Any, ReadOnly, without(Quorum);
    "node.id", Int, Some("1"), at_least(0), ReadOnly, acts("This node's number in the Kafka protocol.");
    "num.replica.alter.log.dirs.threads", Int, None, Any, ReadOnly, without(Threads);
    "num.replica.fetchers", Int, Some("1"), at_least(1), ClusterWide, without(Replication);
    "process.roles", List, None, EachOf(&["broker", "controller"]), ReadOnly,
        acts("Kafka's roles of this process; it must include broker.");
    "replica.alter.log.dirs.io.max.bytes.per.second", Long, Some("9223372036854775807"), at_least(0), ClusterWide,
        without(Quotas);
    "replica.fetch.backoff.ms", Int, Some("1000"), at_least(0), ReadOnly, without(Replication);
    "replica.fetch.max.bytes", Int, Some("1048576"), at_least(0), ReadOnly, without(Replication);
    "replica.fetch.min.bytes", Int, Some("1"), Any, ReadOnly, without(Replication);
    "replica.fetch.response.max.bytes", Int, Some("10485760"), at_least(0), ReadOnly, without(Replication);
    "replica.fetch.wait.max.ms", Int, Some("500"), Any, ReadOnly, without(Replication);
    "replica.high.watermark.checkpoint.interval.ms", Long, Some("5000"), Any, ReadOnly, without(Replication);
    "replica.lag.time.max.ms", Long, Some("30000"), Any, ReadOnly, without(Replication);
    "replica.selector.class", String, None, Any, ReadOnly, without(Replication);
    "replica.socket.receive.buffer.bytes", Int, Some("65536"), Any, ReadOnly, without(Replication);
    "replica.socket.timeout.ms", Int, Some("30000"), Any, ReadOnly, without(Replication);
    "replication.quota.window.num", Int, Some("11"), at_least(1), ReadOnly, without(Quotas);
    "replication.quota.window.size.seconds", Int, Some("1"), at_least(1), ReadOnly, without(Quotas);
    "unstable.api.versions.enable", Boolean, Some("false"), Any, ReadOnly, without(Quorum), internal;
    "unstable.feature.versions.enable", Boolean, Some("false"), Any, ReadOnly, without(Quorum), internal;
}
