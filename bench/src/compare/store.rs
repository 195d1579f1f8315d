//! The results file: kept rows, written anew after every run.
