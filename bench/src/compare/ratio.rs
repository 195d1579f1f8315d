//! Ratios over pairs, their 95 % intervals, and what they say of a goal.
