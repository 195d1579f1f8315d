//! What Kafka's clients rely on beyond the bytes of the protocol, asked of a live broker over a plain connection. The
//! numbers in the modules' first lines are the points of `docs/COMPATIBILITY.md`.
//!
//! The answers asserted are those of Apache Kafka 4.3.1. `SEMANTICS_BROKER=HOST:PORT cargo test --test semantics` asks
//! another broker, such as one that `tests/peers/kafka start DIR group.initial.rebalance.delay.ms=0` runs; tests that
//! start or kill a broker of their own, or that pin a difference on purpose, are then left out.

mod broker;
#[path = "../process/mod.rs"]
mod process;
mod requests;
mod wire;

mod configs;
mod differences;
mod documents;
mod epochs;
mod fetch_sessions;
mod fetching;
mod group_offsets;
mod groups;
mod half_closed;
mod idempotence;
mod limits;
mod list_offsets;
mod loading_groups;
mod metadata;
mod moved_groups;
mod producing;
mod records;
mod topic_offsets;
mod topics;
mod transactions;
mod validate_only;
mod versions;
