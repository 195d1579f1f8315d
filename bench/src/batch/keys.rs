//! Keys, how they are drawn, and which partition each belongs to (murmur2, as Java has it).
