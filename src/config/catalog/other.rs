//! Broker settings that belong to no other theme: transactions, quotas, metrics, plugins.

use super::prelude::*;

settings! { SETTINGS:
    "add.partitions.to.txn.retry.backoff.max.ms", Int, Some("100"), at_least(0), ReadOnly, without(Transactions);
    "add.partitions.to.txn.retry.backoff.ms", Int, Some("20"), at_least(1), ReadOnly, without(Transactions);
    "alter.config.policy.class.name", Class, None, Any, ReadOnly, without(Plugins);
    "alter.log.dirs.replication.quota.window.num", Int, Some("11"), at_least(1), ReadOnly, without(Quotas);
    "alter.log.dirs.replication.quota.window.size.seconds", Int, Some("1"), at_least(1), ReadOnly, without(Quotas);
    "client.quota.callback.class", Class, None, Any, ReadOnly, without(Quotas);
    "config.providers", List, Some(""), Any, ClusterWide, without(Plugins);
    "kafka.metrics.polling.interval.secs", Int, Some("10"), at_least(1), ReadOnly, without(Reporters);
    "kafka.metrics.reporters", List, Some(""), Any, ReadOnly, without(Reporters);
    "metric.reporters", List, Some("org.apache.kafka.common.metrics.JmxReporter"), Any, ClusterWide,
        without(Reporters);
    "metrics.num.samples", Int, Some("2"), at_least(1), ReadOnly, without(Reporters);
    "metrics.recording.level", String, Some("INFO"), Any, ReadOnly, without(Reporters);
    "metrics.sample.window.ms", Long, Some("30000"), at_least(1), ReadOnly, without(Reporters);
    "quota.window.num", Int, Some("11"), at_least(1), ReadOnly, without(Quotas);
    "quota.window.size.seconds", Int, Some("1"), at_least(1), ReadOnly, without(Quotas);
    "server.max.startup.time.ms", Long, Some("9223372036854775807"), at_least(0), ReadOnly,
        without(OwnEngine), internal;
    "telemetry.max.bytes", Int, Some("1048576"), at_least(1), ReadOnly, without(Reporters);
    "transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Some("10000"), at_least(1), ReadOnly,
        without(Transactions);
    "transaction.max.timeout.ms", Int, Some("900000"), at_least(1), ReadOnly, without(Transactions);
    "transaction.partition.verification.enable", Boolean, Some("true"), Any, ClusterWide, without(Transactions);
    "transaction.remove.expired.transaction.cleanup.interval.ms", Int, Some("3600000"), at_least(1), ReadOnly,
        without(Transactions);
    "transaction.state.log.load.buffer.size", Int, Some("5242880"), at_least(1), ReadOnly, without(Transactions);
    "transaction.state.log.min.isr", Int, Some("2"), at_least(1), ReadOnly, without(Transactions);
    "transaction.state.log.num.partitions", Int, Some("50"), at_least(1), ReadOnly, without(Transactions);
    "transaction.state.log.replication.factor", Short, Some("3"), at_least(1), ReadOnly, without(Transactions);
    "transaction.state.log.segment.bytes", Int, Some("104857600"), at_least(1), ReadOnly, without(Transactions);
    "transaction.two.phase.commit.enable", Boolean, Some("false"), Any, ReadOnly, without(Transactions);
    "transactional.id.expiration.ms", Int, Some("604800000"), at_least(1), ReadOnly, without(Transactions);
}
