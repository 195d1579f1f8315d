//! Intervals of all threads, merged by second.
