//! Which broker settings give a topic, group or broker setting its default, in the order in which they are asked.

/// A broker setting that stands in for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    pub conversion: Conversion,
}

/// How a synonym's value becomes the value that it stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    Same,
    /// Milliseconds, of which any negative number is -1, as of the coarser units.
    Ms,
    MinutesToMs,
    HoursToMs,
}

const fn same(name: &'static str) -> Synonym {
    Synonym { name, conversion: Conversion::Same }
}

const fn ms(name: &'static str) -> Synonym {
    Synonym { name, conversion: Conversion::Ms }
}

const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, conversion: Conversion::MinutesToMs }
}

const fn hours(name: &'static str) -> Synonym {
    Synonym { name, conversion: Conversion::HoursToMs }
}

const RETENTION: &[Synonym] = &[ms("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")];
const ROLL: &[Synonym] = &[same("log.roll.ms"), hours("log.roll.hours")];
const ROLL_JITTER: &[Synonym] = &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")];
const FLUSH: &[Synonym] = &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")];

/// The broker settings behind a topic setting; none where a topic setting has no broker-wide default.
pub fn topic_chain(name: &str) -> &'static [Synonym] {
    match name {
        "cleanup.policy" => const { &[same("log.cleanup.policy")] },
        "compression.gzip.level" => const { &[same("compression.gzip.level")] },
        "compression.lz4.level" => const { &[same("compression.lz4.level")] },
        "compression.type" => const { &[same("compression.type")] },
        "compression.zstd.level" => const { &[same("compression.zstd.level")] },
        "delete.retention.ms" => const { &[same("log.cleaner.delete.retention.ms")] },
        "durability" => const { &[same("durability")] },
        "file.delete.delay.ms" => const { &[same("log.segment.delete.delay.ms")] },
        "flush.messages" => const { &[same("log.flush.interval.messages")] },
        "flush.ms" => FLUSH,
        "index.interval.bytes" => const { &[same("log.index.interval.bytes")] },
        "local.retention.bytes" => const { &[same("log.local.retention.bytes")] },
        "local.retention.ms" => const { &[same("log.local.retention.ms")] },
        "max.compaction.lag.ms" => const { &[same("log.cleaner.max.compaction.lag.ms")] },
        "max.message.bytes" => const { &[same("message.max.bytes")] },
        "message.timestamp.after.max.ms" => const { &[same("log.message.timestamp.after.max.ms")] },
        "message.timestamp.before.max.ms" => const { &[same("log.message.timestamp.before.max.ms")] },
        "message.timestamp.type" => const { &[same("log.message.timestamp.type")] },
        "min.cleanable.dirty.ratio" => const { &[same("log.cleaner.min.cleanable.ratio")] },
        "min.compaction.lag.ms" => const { &[same("log.cleaner.min.compaction.lag.ms")] },
        "min.insync.replicas" => const { &[same("min.insync.replicas")] },
        "preallocate" => const { &[same("log.preallocate")] },
        "retention.bytes" => const { &[same("log.retention.bytes")] },
        "retention.ms" => RETENTION,
        "segment.bytes" => const { &[same("log.segment.bytes")] },
        "segment.index.bytes" => const { &[same("log.index.size.max.bytes")] },
        "segment.jitter.ms" => ROLL_JITTER,
        "segment.ms" => ROLL,
        "unclean.leader.election.enable" => const { &[same("unclean.leader.election.enable")] },
        _ => &[],
    }
}

/// The broker settings that a broker setting's value is looked for in, itself included; empty where it is the only
/// one.
pub fn broker_chain(name: &str) -> &'static [Synonym] {
    match name {
        "log.retention.ms" | "log.retention.minutes" | "log.retention.hours" => RETENTION,
        "log.roll.ms" | "log.roll.hours" => ROLL,
        "log.roll.jitter.ms" | "log.roll.jitter.hours" => ROLL_JITTER,
        "log.flush.interval.ms" => FLUSH,
        _ => &[],
    }
}

/// The broker setting behind a group setting.
pub fn group_synonym(name: &str) -> Option<&'static str> {
    match name {
        "consumer.assignment.interval.ms" => Some("group.consumer.assignment.interval.ms"),
        "consumer.heartbeat.interval.ms" => Some("group.consumer.heartbeat.interval.ms"),
        "consumer.session.timeout.ms" => Some("group.consumer.session.timeout.ms"),
        "share.assignment.interval.ms" => Some("group.share.assignment.interval.ms"),
        "share.delivery.count.limit" => Some("group.share.delivery.count.limit"),
        "share.heartbeat.interval.ms" => Some("group.share.heartbeat.interval.ms"),
        "share.partition.max.record.locks" => Some("group.share.partition.max.record.locks"),
        "share.record.lock.duration.ms" => Some("group.share.record.lock.duration.ms"),
        "share.session.timeout.ms" => Some("group.share.session.timeout.ms"),
        "streams.assignment.interval.ms" => Some("group.streams.assignment.interval.ms"),
        "streams.heartbeat.interval.ms" => Some("group.streams.heartbeat.interval.ms"),
        "streams.initial.rebalance.delay.ms" => Some("group.streams.initial.rebalance.delay.ms"),
        "streams.num.standby.replicas" => Some("group.streams.num.standby.replicas"),
        "streams.session.timeout.ms" => Some("group.streams.session.timeout.ms"),
        _ => None,
    }
}
