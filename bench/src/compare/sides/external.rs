//! Brokers that run already.
