//! Broker settings of listeners, connections, requests and what they may do.

use super::prelude::*;

settings! { SETTINGS:
    "advertised.listeners", List, None, Any, ReadOnly, acts("The addresses that clients are told, one per listener.");
    "auto.create.topics.enable", Boolean, Some("true"), Any, ReadOnly,
        acts("Whether a topic is made when a client first asks for it.");
    "background.threads", Int, Some("10"), at_least(1), ClusterWide, without(Threads);
    "connections.max.idle.ms", Long, Some("600000"), Any, ReadOnly,
        acts("A connection without a request for this long is closed.");
    "create.topic.policy.class.name", Class, None, Any, ReadOnly, without(Plugins);
    "delete.records.purgatory.purge.interval.requests", Int, Some("1"), Any, ReadOnly, without(Purgatory);
    "delete.topic.enable", Boolean, Some("true"), Any, ReadOnly, acts("Whether topics can be deleted.");
    "fetch.max.bytes", Int, Some("57671680"), at_least(1024), ReadOnly, acts("The most bytes in one fetch response.");
    "fetch.purgatory.purge.interval.requests", Int, Some("1000"), Any, ReadOnly, without(Purgatory);
    "listener.security.protocol.map", String,
        Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Any, ReadOnly,
        acts("The protocol of each listener; only PLAINTEXT is offered yet.");
    "listeners", List, Some("PLAINTEXT://localhost:9092"), Any, ReadOnly,
        acts("Where the broker listens: NAME://HOST:PORT, one per name.");
    "max.connection.creation.rate", Int, Some("2147483647"), at_least(0), ClusterWide, without(OwnEngine);
    "max.connections", Int, Some("2147483647"), at_least(0), ClusterWide,
        acts("The most connections of this broker.");
    "max.connections.per.ip", Int, Some("2147483647"), at_least(0), ClusterWide,
        acts("The most connections from one address.");
    "max.connections.per.ip.overrides", String, Some(""), Any, ClusterWide, without(OwnEngine);
    "max.incremental.fetch.session.cache.slots", Int, Some("1000"), at_least(0), ReadOnly,
        acts("The most fetch sessions that are remembered.");
    "max.request.partition.size.limit", Int, Some("2000"), at_least(1), ReadOnly, without(ShareGroups);
    "num.io.threads", Int, Some("8"), at_least(1), ClusterWide, without(Threads);
    "num.network.threads", Int, Some("3"), at_least(1), ClusterWide, without(Threads);
    "num.partitions", Int, Some("1"), at_least(1), ReadOnly, acts("Partitions of a topic that names no number.");
    "num.recovery.threads.per.data.dir", Int, Some("2"), at_least(1), ClusterWide, without(Threads);
    "queued.max.request.bytes", Long, Some("-1"), Any, ReadOnly, without(OwnEngine);
    "queued.max.requests", Int, Some("500"), at_least(1), ReadOnly, without(OwnEngine);
    "request.timeout.ms", Int, Some("30000"), Any, ReadOnly, without(OwnEngine);
    "socket.connection.setup.timeout.max.ms", Long, Some("30000"), Any, ReadOnly, without(OwnEngine);
    "socket.connection.setup.timeout.ms", Long, Some("10000"), Any, ReadOnly, without(OwnEngine);
    "socket.listen.backlog.size", Int, Some("1024"), at_least(1), ReadOnly,
        acts("Connections that wait to be accepted, per listener and shard.");
    "socket.receive.buffer.bytes", Int, Some("-1"), Any, ReadOnly,
        acts("The receive buffer of a client's socket; -1 leaves it to the system.");
    "socket.request.max.bytes", Int, Some("104857600"), at_least(1), ReadOnly,
        acts("A larger request closes its connection.");
    "socket.send.buffer.bytes", Int, Some("-1"), Any, ReadOnly,
        acts("The send buffer of a client's socket; -1 leaves it to the system.");
}
