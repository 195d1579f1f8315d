//! One run: prepare, drive, collect by second, stop, verify.

pub mod collect;
pub mod started;
pub mod targets;

use crate::Error;
use crate::drive::Tally;
use crate::outcome::{Outcome, Second};
use crate::plan::Plan;
use crate::stop::Stop;

/// Is told of a run while it goes on.
pub trait Watch {
    /// The epoch, in milliseconds since 1970.
    fn begins(&mut self, plan: &Plan, wall_ms: i64);
    /// The sum over threads.
    fn second(&mut self, second: &Second, tally: &Tally);
}

/// Watches nothing.
pub struct Quietly;

impl Watch for Quietly {
    fn begins(&mut self, _plan: &Plan, _wall_ms: i64) {}

    fn second(&mut self, _second: &Second, _tally: &Tally) {}
}

/// An error only if nothing was measured.
pub fn run(_plan: &Plan, _watch: &mut dyn Watch, _stop: &Stop) -> Result<Outcome, Error> {
    todo!()
}
