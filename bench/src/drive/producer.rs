//! A producer: due records become batches, batches requests, and answers acknowledgements.
