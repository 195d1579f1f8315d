//! What the tests of the measuring stick share.

#![allow(dead_code, reason = "each test crate uses a part of it")]

pub mod fake;
pub mod requests;
