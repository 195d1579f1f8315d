//! Produce: a request around batches that lie elsewhere, and error and base offset of each partition from the answer.
