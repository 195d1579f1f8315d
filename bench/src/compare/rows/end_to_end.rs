//! From due to consumed at a fixed rate.
