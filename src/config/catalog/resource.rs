//! Settings of a group and of a client metrics subscription (KIP-848, KIP-932, KIP-1071, KIP-714).

use super::prelude::*;

settings! { GROUP:
    "consumer.assignment.interval.ms", Int, Some("1000"), at_least(0), ClusterWide, without(NewGroupProtocol);
    "consumer.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ClusterWide, without(NewGroupProtocol);
    "consumer.session.timeout.ms", Int, Some("45000"), at_least(1), ClusterWide, without(NewGroupProtocol);
    "share.assignment.interval.ms", Int, Some("1000"), at_least(0), ClusterWide, without(ShareGroups);
    "share.auto.offset.reset", String, Some("latest"), OffsetReset, ClusterWide, without(ShareGroups);
    "share.delivery.count.limit", Int, Some("5"), at_least(2), ClusterWide, without(ShareGroups);
    "share.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ClusterWide, without(ShareGroups);
    "share.isolation.level", String, Some("read_uncommitted"),
        OneOf(&["read_committed", "read_uncommitted"]), ClusterWide,
        without(ShareGroups);
    "share.partition.max.record.locks", Int, Some("2000"), at_least(100), ClusterWide, without(ShareGroups);
    "share.record.lock.duration.ms", Int, Some("30000"), at_least(1000), ClusterWide, without(ShareGroups);
    "share.renew.acknowledge.enable", Boolean, Some("true"), Any, ClusterWide, without(ShareGroups);
    "share.session.timeout.ms", Int, Some("45000"), at_least(1), ClusterWide, without(ShareGroups);
    "streams.assignment.interval.ms", Int, Some("1000"), at_least(0), ClusterWide, without(NewGroupProtocol);
    "streams.heartbeat.interval.ms", Int, Some("5000"), at_least(1), ClusterWide, without(NewGroupProtocol);
    "streams.initial.rebalance.delay.ms", Int, Some("3000"), at_least(0), ClusterWide, without(NewGroupProtocol);
    "streams.num.standby.replicas", Int, Some("0"), at_least(0), ClusterWide, without(NewGroupProtocol);
    "streams.session.timeout.ms", Int, Some("45000"), at_least(1), ClusterWide, without(NewGroupProtocol);
}

settings! { CLIENT_METRICS:
    "interval.ms", Int, Some("300000"), range(100, 3_600_000), ClusterWide, without(Reporters);
    "match", List, Some(""), Any, ClusterWide, without(Reporters);
    "metrics", List, Some(""), Any, ClusterWide, without(Reporters);
}
