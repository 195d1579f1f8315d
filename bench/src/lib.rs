//! Measurements: the physical limits, and the comparison with Apache Kafka.
