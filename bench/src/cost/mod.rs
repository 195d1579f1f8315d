//! What a load costs: the broker's process, the machine, the disk, as the kernel counts them.

pub mod device;
pub mod machine;
pub mod process;

pub use machine::machine;
pub use process::{cpu_seconds, read_bytes, resident_bytes, since_start};

use crate::Error;
use crate::outcome::{Cost, Second};
use crate::plan::Broker;

/// What was read at the start.
pub struct Meter {}

impl Meter {
    pub fn start(_broker: &Broker) -> Result<Meter, Error> {
        todo!()
    }

    /// Fills in what is known of a second.
    pub fn sample(&mut self, _second: &mut Second) {
        todo!()
    }

    pub fn stop(self) -> Cost {
        todo!()
    }
}
