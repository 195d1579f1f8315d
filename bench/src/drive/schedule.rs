//! When records are due: a number that grows with time, never a queue.
