//! What a coordinator is configured with: Kafka's group settings, and the bounds of its collections.

/// Settings of a coordinator; the defaults are Kafka's where Kafka has the setting.
#[derive(Clone, Debug)]
pub struct Config {
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.max.size`: members of one group.
    pub members_per_group_max: usize,
    /// `offset.metadata.max.bytes`; counted as Kafka counts it, in UTF-16 units.
    pub offset_metadata_units_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// How long a member that has just joined may stay without its JoinGroup being answered. Kafka: five minutes,
    /// not configurable.
    pub new_member_join_timeout_ms: i64,
    /// Groups of one coordinator. Beyond it, a new group is refused.
    pub groups_max: usize,
    /// Member ids of one group that were handed out by MEMBER_ID_REQUIRED and have not come back.
    pub pending_members_per_group_max: usize,
    /// Bytes of protocol names and metadata, or of assignments, that one request may bring. A group with more cannot
    /// be written as one record of the offsets topic anyway.
    pub member_metadata_bytes_max: usize,
    /// Partitions with a committed offset in one group.
    pub offsets_per_group_max: usize,
    /// Appends in flight. Beyond it, requests that may lead to an append are answered COORDINATOR_NOT_AVAILABLE.
    pub appends_in_flight_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            initial_rebalance_delay_ms: 3_000,
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            members_per_group_max: 10_000,
            offset_metadata_units_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            new_member_join_timeout_ms: 300_000,
            groups_max: 100_000,
            pending_members_per_group_max: 10_000,
            member_metadata_bytes_max: 1 << 20,
            offsets_per_group_max: 1_000_000,
            appends_in_flight_max: 10_000,
        }
    }
}

/// Timers that one Tick may fire; what is left is due at once.
pub(super) const TIMERS_PER_TICK_MAX: usize = 1_024;

/// Records of one append that nobody waits for (expired offsets, deleted topics).
pub(super) const RECORDS_PER_APPEND_MAX: usize = 1_000;

/// Groups that one timer looks through for expired offsets.
pub(super) const GROUPS_PER_EXPIRY_MAX: usize = 1_000;
