//! Who was the limit: the broker, the generator, the machine, or nobody. Pure.

use crate::outcome::{Cost, LatencySet, Limit, ThreadShare};
use crate::plan::Plan;

/// By measured second the shares of each thread.
pub fn judge(
    _seconds: &[Vec<ThreadShare>],
    _plan: &Plan,
    _latency: &LatencySet,
    _rate_kept: Option<bool>,
    _cost: Option<&Cost>,
) -> Limit {
    todo!()
}
