//! Sizes, times, rates and lists as people write them.
