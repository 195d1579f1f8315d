//! The start: refused with one clear error and nothing touched, or served as configured; and the end.

mod bare;
#[path = "startup/files.rs"]
mod files;
#[path = "startup/filter.rs"]
mod filter;
#[path = "startup/hosts.rs"]
mod hosts;
#[path = "startup/listeners.rs"]
mod listeners;
mod process;
#[path = "startup/refusals.rs"]
mod refusals;
#[path = "startup/stops.rs"]
mod stops;
