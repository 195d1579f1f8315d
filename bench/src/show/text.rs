//! The summary of a run, and of a row of the comparison, as text.

use crate::compare::RowResult;
use crate::outcome::Outcome;

pub fn text(_outcome: &Outcome) -> String {
    todo!()
}

pub fn row_text(_row: &RowResult) -> String {
    todo!()
}
