//! One record a request at a fixed rate: latency, and CPU for each request.
