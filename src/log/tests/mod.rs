//! The log as a whole, on the simulated disk: against a model, under faults, from seeds.

mod model;
mod world;
