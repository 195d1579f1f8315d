//! A status line on a terminal while a run goes on.

use crate::drive::Tally;
use crate::outcome::Second;
use crate::plan::Plan;
use crate::run::Watch;

pub struct Terminal {}

impl Watch for Terminal {
    fn begins(&mut self, _plan: &Plan, _wall_ms: i64) {
        todo!()
    }

    fn second(&mut self, _second: &Second, _tally: &Tally) {
        todo!()
    }
}
