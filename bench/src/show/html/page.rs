//! The page of one run.

use crate::Error;
use crate::outcome::Outcome;

pub fn page(_outcome: &Outcome) -> Result<String, Error> {
    todo!()
}
