//! Produce in a closed loop: CPU for each record, and throughput.
