//! Whether everything acknowledged is there, once, in order, unchanged.

pub mod ledger;
pub mod readback;

pub use ledger::{Ledger, Received};
pub use readback::read_back;
