//! The log as a whole, on the simulated disk: against a model, under faults, from seeds.

mod checkpoints;
mod faults;
mod hot;
mod lookups;
mod model;
mod moving;
mod world;
