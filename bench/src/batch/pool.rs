//! Buffers of batches, all made before the load starts, and the bound on their memory.
