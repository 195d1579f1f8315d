//! Physical limits: processes that take the same bytes over the same connections, and sync as often, and do nothing else.

pub mod answers;
pub mod blocking;
pub mod disk;
pub mod relay;
pub mod ring;

use crate::Error;

#[derive(clap::Args, Clone, Debug)]
pub struct LimitOptions {}

/// Serves until its stdin is closed.
pub fn limit(_options: &LimitOptions) -> Result<(), Error> {
    todo!()
}
