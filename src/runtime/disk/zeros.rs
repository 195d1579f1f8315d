//! Zeros to write to files.

use std::io;
use std::sync::OnceLock;

use crate::runtime::map::Map;

/// Bytes of zeros that one operation writes.
pub(in crate::runtime) const ZERO_STEP: usize = 1 << 20;

/// [`ZERO_STEP`] zeros that live for ever. They cost no memory: every page is the kernel's zero page.
pub(in crate::runtime) fn zeros() -> io::Result<&'static Map> {
    static ZEROS: OnceLock<Map> = OnceLock::new();
    match ZEROS.get() {
        Some(zeros) => Ok(zeros),
        None => {
            let zeros = Map::zeros(ZERO_STEP)?;
            Ok(ZEROS.get_or_init(|| zeros))
        }
    }
}
