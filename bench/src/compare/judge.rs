//! Judgements of a row: each figure against each goal.
