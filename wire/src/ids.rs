//! Newtypes for the integers that must not be swapped. They are plain values with the widths that the protocol gives.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

number!(
    /// A record's position in its partition: dense, from 0.
    Offset(i64)
);
number!(
    /// How often a partition has changed its leader; stamped on each batch (KIP-101).
    LeaderEpoch(i32)
);
number!(
    /// A partition's number within its topic, from 0.
    PartitionIndex(i32)
);
number!(
    /// An idempotent producer (KIP-98); never used twice.
    ProducerId(i64)
);
number!(
    /// Fences older instances of the same producer (KIP-98).
    ProducerEpoch(i16)
);
number!(
    /// One pinned thread of the broker, numbered from 0.
    ShardId(u16)
);

impl Offset {
    /// The offset `count` records further on.
    pub fn plus(self, count: i64) -> Self {
        Self(self.0 + count)
    }
}

/// A topic's identity (KIP-516): a topic that was deleted and made again has a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub uuid::Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// One partition of one incarnation of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartitionId {
    pub topic: TopicId,
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartitionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.topic, self.partition)
    }
}
