//! Zeros to write to files.

use std::io;
use std::sync::OnceLock;

use crate::runtime::map::Map;

/// Bytes of zeros that one operation writes.
pub(in crate::runtime) const ZERO_STEP: usize = 1 << 20;

/// Bytes of zeros that are kept: a huge page.
const ZEROS_LEN: usize = 2 << 20;

/// At least [`ZERO_STEP`] zeros that live for ever. They are pages of their own: the kernel's one zero page would have to
/// be looked up 256 times for each step.
pub(in crate::runtime) fn zeros() -> io::Result<&'static Map> {
    static ZEROS: OnceLock<Map> = OnceLock::new();
    match ZEROS.get() {
        Some(zeros) => Ok(zeros),
        None => {
            let zeros = Map::huge(ZEROS_LEN)?;
            Ok(ZEROS.get_or_init(|| zeros))
        }
    }
}
