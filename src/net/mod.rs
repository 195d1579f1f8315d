//! Connections: from bytes to requests and from answers to bytes, with back-pressure in both directions.

pub mod complaints;
pub mod connection;
pub mod endpoints;
pub mod follow;
pub mod gather;
pub mod input;
mod output;
