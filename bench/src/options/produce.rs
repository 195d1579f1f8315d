//! Options of what is produced.
