//! Ten minutes with retention and a backlog: whether latency and memory stay the same.
