//! Whether everything acknowledged is there, once, in order, unchanged.
//!
//! While the load runs each thread takes down what is acknowledged ([`ledger`]). After it everything that the partitions
//! have gained is read back ([`readback`]) and held against that ([`check`]); [`verdict`] says what it means.

pub mod check;
pub mod ledger;
pub mod readback;
pub mod verdict;

pub use check::Found;
pub use ledger::{ACKNOWLEDGED_MAX, Ledger, Received};
pub use readback::read_back;
