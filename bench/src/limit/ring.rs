//! One thread over io_uring: multishot receives, direct writes, sends.
