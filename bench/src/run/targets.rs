//! The partitions of a run: topics found or made, leaders, ends, producer ids, limits of the process.
