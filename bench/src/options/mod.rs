//! The command line as clap types, and how it becomes a [`crate::plan::Plan`].

pub mod common;
pub mod consume;
pub mod produce;
pub mod units;
