//! Records handed on from memory to waiting fetches.
