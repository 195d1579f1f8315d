//! The disk below a directory, and the flushes it was asked for.
