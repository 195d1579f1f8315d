//! The order of runs (A B B A), rehearsals, and going on where a comparison ended.
