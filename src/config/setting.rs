//! What is known of one setting: its name, type, default, bounds, and whether it acts here. Plain facts without
//! behaviour; `value` checks against them.

/// One setting of Kafka 4.3 or of Duramen.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// As text, in the form that DescribeConfigs answers; `None` is null.
    pub default: Option<&'static str>,
    pub check: Check,
    pub update: Update,
    pub effect: Effect,
    /// Taken, but left out of descriptions, as Kafka does with settings that are its own affair.
    pub internal: bool,
}

impl Setting {
    /// Sensitive values are stored but never described.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether a running broker takes a new value (KIP-226).
    pub fn is_dynamic(&self) -> bool {
        self.update != Update::ReadOnly
    }

    /// One sentence on what it does here.
    pub fn documentation(&self) -> &'static str {
        match self.effect {
            Effect::Acts(sentence) => sentence,
            Effect::Without(reason) => reason.documentation(),
        }
    }
}

/// The type of a setting's value, with the numbers that DescribeConfigs gives them (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl Kind {
    /// The name as Kafka writes it in its errors.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }
}

/// What a value must be beyond its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Any,
    AtLeast(i64),
    Range(i64, i64),
    /// A double from 0 to `max`.
    Fraction {
        max: f64,
    },
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// A list, each item of which is one of these.
    EachOf(&'static [&'static str]),
    /// A string with at least one character.
    NonEmpty,
    /// A list without empty items.
    NonEmptyItems,
    /// -1, or 1 to 9.
    GzipLevel,
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:` and an ISO 8601 duration.
    OffsetReset,
}

/// When a broker setting can change (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// At start only.
    ReadOnly,
    /// While running, for one broker.
    PerBroker,
    /// While running, for one broker or for all.
    ClusterWide,
}

/// Whether a setting does anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It acts; one sentence on how.
    Acts(&'static str),
    /// It is known, stored and described, and that is all.
    Without(Reason),
}

/// Why a setting of Kafka has nothing to act on here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Cleaner,
    NewGroupProtocol,
    OwnEngine,
    PassThrough,
    Plugins,
    Purgatory,
    Quorum,
    Quotas,
    Replication,
    Reporters,
    Security,
    ShareGroups,
    Threads,
    TieredStorage,
    Transactions,
}

impl Reason {
    /// The sentence that describes each setting of this class.
    pub fn documentation(self) -> &'static str {
        match self {
            Reason::Cleaner => "Without effect: log compaction is not offered yet.",
            Reason::NewGroupProtocol => "Without effect: the consumer and streams group protocols are not offered yet.",
            Reason::OwnEngine => "Without effect: sockets, files and requests are handled in another way here.",
            Reason::PassThrough => "Without effect: batches are stored as they came and never compressed again.",
            Reason::Plugins => "Without effect: Java classes cannot be loaded here.",
            Reason::Purgatory => "Without effect: waiting requests are kept without a purgatory.",
            Reason::Quorum => "Without effect: one host keeps its metadata without a quorum.",
            Reason::Quotas => "Without effect: quotas are not offered yet.",
            Reason::Replication => "Without effect: there is one replica of each partition.",
            Reason::Reporters => "Without effect: metrics have their own endpoint and no reporters.",
            Reason::Security => "Without effect: TLS, SASL and authorisation are not offered yet.",
            Reason::ShareGroups => "Without effect: share groups are not offered yet.",
            Reason::Threads => "Without effect: one thread runs on each core, whatever the load.",
            Reason::TieredStorage => "Without effect: tiered storage is not offered.",
            Reason::Transactions => "Without effect: transactions are not offered yet.",
        }
    }
}
