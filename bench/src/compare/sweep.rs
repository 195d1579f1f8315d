//! Settings of Kafka's process, tried in turn, so that it is compared at its best.
