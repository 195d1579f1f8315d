//! The physical limit, started as a process of its own.
