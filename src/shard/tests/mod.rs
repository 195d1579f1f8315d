//! The shard's part of the produce path on the simulated disk: requests as clients encode them, through `Appends` and the
//! log, across crashes from a seed.

mod client;
mod produce_path;
mod reading;
mod world;
