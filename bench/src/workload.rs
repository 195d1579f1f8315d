//! Workload files of the OpenMessaging Benchmark, and what can be told of its driver files, as plans.
