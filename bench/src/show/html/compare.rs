//! The page of a comparison.

use crate::Error;
use crate::compare::Results;

pub fn comparison_page(_results: &Results) -> Result<String, Error> {
    todo!()
}
