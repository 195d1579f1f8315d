//! Options that every run has: brokers, topics, how long, threads, what is measured of the broker, where results go.
