//! `duramen bench`: a measuring stick for any broker that speaks the Kafka protocol, and the comparison with Apache Kafka.
//!
//! A run is a [`plan::Plan`] in and an [`outcome::Outcome`] out ([`run::run`]). What is here knows brokers by the Kafka
//! protocol only, and takes nothing from the broker's own crates but `wire/`.

pub mod admin;
pub mod agree;
pub mod allocate;
pub mod batch;
pub mod children;
pub mod client;
pub mod clock;
pub mod command;
pub mod compare;
pub mod cost;
pub mod cpu;
pub mod drive;
pub mod error;
pub mod floor;
pub mod latency;
pub mod limit;
pub mod load;
pub mod options;
pub mod outcome;
pub mod plan;
pub mod run;
pub mod show;
pub mod stop;
pub mod verify;
pub mod workload;

pub use error::Error;
