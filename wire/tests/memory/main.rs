//! What the codecs ask of memory: nothing in the steady state, and no more than a constant factor of what hostile bytes
//! weigh.

mod allocator;
mod hostile;
mod steady_state;
