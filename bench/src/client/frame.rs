//! Frames: lengths, correlation ids, and answers that arrive in pieces.
