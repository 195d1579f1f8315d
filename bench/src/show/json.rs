//! Results as JSON, on stdout or in a file.
