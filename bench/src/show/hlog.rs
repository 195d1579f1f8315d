//! HdrHistogram's log format: one line a second and tag, values in nanoseconds.

use crate::drive::Tally;
use crate::outcome::Second;
use crate::plan::Plan;
use crate::run::Watch;

pub struct Hlog {}

impl Watch for Hlog {
    fn begins(&mut self, _plan: &Plan, _wall_ms: i64) {
        todo!()
    }

    fn second(&mut self, _second: &Second, _tally: &Tally) {
        todo!()
    }
}
