//! A broker that the run starts itself, awaits, measures and stops.
