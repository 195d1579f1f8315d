//! One connection: what is to be written, what is under way, and answers that arrive in pieces.
