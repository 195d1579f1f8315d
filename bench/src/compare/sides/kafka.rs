//! Apache Kafka, fetched and started by the script that is part of this program.
