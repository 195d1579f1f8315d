//! The APIs that Duramen offers, with the version ranges of Kafka 4.3.

use std::fmt;
use std::ops::RangeInclusive;

macro_rules! apis {
    ($($name:ident = $key:literal, $min:literal..=$max:literal, $flexible:expr;)*) => {
        /// An API that is offered, by its number in the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($name = $key,)*
        }

        impl ApiKey {
            /// Every API, in the order of the keys.
            pub const ALL: &[ApiKey] = &[$(ApiKey::$name,)*];

            /// Kafka's name of it.
            pub fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// The versions to advertise. Produce 0 to 2 are among them for librdkafka's sake (KAFKA-18659), though
            /// their record formats are refused.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $min..=$max,)*
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482); never, where it is `None`.
            pub fn flexible_since(self) -> Option<i16> {
                match self {
                    $(ApiKey::$name => $flexible,)*
                }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = Unknown;

            fn try_from(key: i16) -> Result<Self, Unknown> {
                match key {
                    $($key => Ok(ApiKey::$name),)*
                    _ => Err(Unknown(key)),
                }
            }
        }
    };
}

apis! {
    Produce = 0, 0..=13, Some(9);
    Fetch = 1, 4..=18, Some(12);
    ListOffsets = 2, 1..=11, Some(6);
    Metadata = 3, 0..=13, Some(9);
    OffsetCommit = 8, 2..=10, Some(8);
    OffsetFetch = 9, 1..=10, Some(6);
    FindCoordinator = 10, 0..=6, Some(3);
    JoinGroup = 11, 0..=9, Some(6);
    Heartbeat = 12, 0..=4, Some(4);
    LeaveGroup = 13, 0..=5, Some(4);
    SyncGroup = 14, 0..=5, Some(4);
    DescribeGroups = 15, 0..=6, Some(5);
    ListGroups = 16, 0..=5, Some(3);
    ApiVersions = 18, 0..=4, Some(3);
    CreateTopics = 19, 2..=7, Some(5);
    DeleteTopics = 20, 1..=6, Some(4);
    DeleteRecords = 21, 0..=2, Some(2);
    InitProducerId = 22, 0..=5, Some(2);
    OffsetForLeaderEpoch = 23, 2..=4, Some(4);
    DescribeAcls = 29, 1..=3, Some(2);
    DescribeConfigs = 32, 1..=4, Some(4);
    AlterConfigs = 33, 0..=2, Some(2);
    DescribeLogDirs = 35, 1..=5, Some(2);
    CreatePartitions = 37, 0..=3, Some(2);
    DeleteGroups = 42, 0..=2, Some(2);
    IncrementalAlterConfigs = 44, 0..=1, Some(1);
    ListPartitionReassignments = 46, 0..=0, Some(0);
    OffsetDelete = 47, 0..=0, None;
    DescribeQuorum = 55, 0..=2, Some(0);
    DescribeCluster = 60, 0..=2, Some(0);
    ListConfigResources = 74, 0..=1, Some(0);
    DescribeTopicPartitions = 75, 0..=0, Some(0);
}

/// A key that is not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("API key {0} is not offered")]
pub struct Unknown(pub i16);

impl ApiKey {
    pub fn is_supported(self, version: i16) -> bool {
        self.versions().contains(&version)
    }

    /// Whether the version's bodies use compact lengths and tagged fields.
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_since().is_some_and(|since| version >= since)
    }

    /// 2 (with tagged fields) or 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// 1 (with tagged fields) or 0. ApiVersions stays at 0, since its client knows no versions yet (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && self != Self::ApiVersions { 1 } else { 0 }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_versions_are_the_crates() {
        for &api in ApiKey::ALL {
            let theirs = kafka_protocol::messages::ApiKey::try_from(api as i16).unwrap();
            assert_eq!(ApiKey::try_from(api as i16), Ok(api));
            assert_eq!(format!("{theirs:?}"), api.name());
            let theirs_max = theirs.valid_versions().max;
            for version in theirs.valid_versions().min..=theirs_max {
                let ours = (api.request_header_version(version), api.response_header_version(version));
                let theirs = (theirs.request_header_version(version), theirs.response_header_version(version));
                assert_eq!(ours, theirs, "{api} {version}");
            }
        }
        assert!(ApiKey::ALL.is_sorted());
    }

    #[test]
    fn what_is_not_offered_is_unknown() {
        assert_eq!(ApiKey::try_from(4), Err(Unknown(4)));
        assert_eq!(ApiKey::try_from(-1), Err(Unknown(-1)));
        assert!(ApiKey::Fetch.is_supported(18) && !ApiKey::Fetch.is_supported(19) && !ApiKey::Fetch.is_supported(3));
        assert!(!ApiKey::OffsetDelete.is_flexible(i16::MAX));
    }
}
