//! The rows, by kind of work.

pub mod consume;
pub mod end_to_end;
pub mod long;
pub mod produce;
pub mod scale;
pub mod small;
pub mod start;
