//! Sizes of values, drawn from the distribution that was asked for.
