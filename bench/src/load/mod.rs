//! A load generator over librdkafka, for any broker that speaks the Kafka protocol. Each command prints one line of
//! JSON: what was asked, what was acknowledged or read, and what the generator itself cost.

mod client;
mod consume;
mod idle;
mod latency;
mod produce;
mod tally;
mod topic;

pub use client::Common;
pub use consume::Consume;
pub use idle::Idle;
pub use produce::Produce;
pub use topic::Topic;
