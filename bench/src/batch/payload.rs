//! What values hold after their stamp.
