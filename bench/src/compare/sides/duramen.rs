//! Duramen, started from a binary.
