//! Reading: hot, cached and cold.
