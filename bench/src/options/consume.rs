//! Options of what is consumed.
