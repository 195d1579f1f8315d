//! Whether the generator's figures agree with those of librdkafka's own.

use std::process::ExitCode;

use crate::Error;
use crate::stop::Stop;

#[derive(clap::Args, Clone, Debug)]
pub struct AgreeOptions {}

pub fn agree(_options: &AgreeOptions, _stop: &Stop) -> Result<ExitCode, Error> {
    todo!()
}
