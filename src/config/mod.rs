//! All settings: what is known of each, what a start was given, what was changed since, and the typed view that the
//! rest of the broker reads.
//!
//! Everything here is pure: text comes in, values and refusals go out. It reads no file, no clock and no network, and
//! resolves no name. A value is checked where it enters; a stored one that is no longer valid is passed over, never a
//! panic.

mod alter;
mod broker;
mod catalog;
mod describe;
mod error;
mod layers;
mod listeners;
mod properties;
mod setting;
mod settings;
mod topic;
mod value;

pub use alter::{Operation, OperationKind, Resource, alter_fully, alter_incrementally};
pub use broker::Broker;
pub use catalog::{Catalog, broker as broker_catalog, client_metrics as client_metrics_catalog};
pub use catalog::{group as group_catalog, topic as topic_catalog};
pub use describe::{Entry, EntrySynonym, describe_broker, describe_cluster, describe_named, describe_topic};
pub use error::{Error, Place, Refusal};
pub use layers::{Configs, Layers, Source};
pub use listeners::{Advertised, Listener, Listeners, Protocol, is_wildcard, split_host_port};
pub use setting::{Check, Effect, Kind, Reason, Setting, Update};
pub use settings::Settings;
pub use topic::{CleanupPolicy, Durability, Topic, compaction_warning, validate_topic};
pub use value::Value;
