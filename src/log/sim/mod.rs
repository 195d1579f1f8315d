//! A simulated host for tests: an executor and a disk whose every choice comes from one seed.
//!
//! [`Sim`] runs tasks in an order of its choosing over virtual time; [`SimDisk`] completes what it is asked in an order
//! of its choosing, fails where it is told to, and after a crash shows what a real disk might: everything that was
//! synced, and of the rest whatever the seed says, dropped, torn or out of order. The same seed gives the same trace.
//!
//! It is here to be harsher than any real disk within the contract of [`super::disk`], and must never be harsher than
//! that contract. What breaks the contract from above (a block that changes while it is being written, two writes of one
//! block at a time) panics. Nothing outside tests uses it: it is compiled for this crate's own tests and with the feature
//! `sim`.

pub mod conformance;
mod content;
mod disk;
mod effect;
mod executor;
mod fault;
mod names;
mod random;
mod storage;
pub mod transfer;

pub use disk::{SimDisk, SimFile, SimMapping};
pub use executor::Sim;
pub use fault::{Fault, Kind};
pub use random::Random;

#[cfg(test)]
mod tests;
