//! Partitions, producers, keys and cores: whether the cost of a record stays the same.
