//! The disk read past the page cache, as fast as it goes.
