//! Settings act, given at the start or changed while the broker runs.

mod bare;
#[path = "settings/change.rs"]
mod change;
mod process;
#[path = "settings/running.rs"]
mod running;
#[path = "settings/start.rs"]
mod start;
