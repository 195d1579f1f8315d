//! The entries, by what they are about.

pub mod cpu;
pub mod kernel;
pub mod memory;
pub mod network;
pub mod service;
pub mod storage;

use super::entry::Entry;

/// All entries, what must be so first.
pub fn all() -> Vec<&'static Entry> {
    let parts = [kernel::ENTRIES, storage::ENTRIES, cpu::ENTRIES, memory::ENTRIES, network::ENTRIES, service::ENTRIES];
    let all = || parts.iter().flat_map(|entries| entries.iter());
    let must = all().filter(|entry| entry.need == super::entry::Need::Must);
    must.chain(all().filter(|entry| entry.need == super::entry::Need::Should)).collect()
}

#[cfg(test)]
mod tests;
