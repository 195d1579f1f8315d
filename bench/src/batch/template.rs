//! A batch made once, of which any front of n records is a batch after a few fields are patched.
