//! The machine: what it is, and how busy it is.

use crate::outcome::Machine;

pub fn machine() -> Machine {
    todo!()
}
