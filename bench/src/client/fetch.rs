//! Fetch: requests with a session (KIP-227), and the batches of an answer where they lie.
