//! The command line as clap types, and how it becomes a [`Plan`].
//!
//! Every option is optional, so that it can be laid over a plan: that of the defaults, or that of a workload file.

pub mod common;
pub mod consume;
pub mod produce;
pub mod units;

use std::path::PathBuf;

use clap::Args;

use crate::Error;
use crate::batch::stamp::STAMP_LEN;
use crate::plan::{Begin, Plan, Sizes, Topics};
use crate::workload;
use common::{Common, Output};
use consume::{Backlog, ConsumeOptions, Reading};
use produce::{IDEMPOTENT_IN_FLIGHT_MAX, ProduceOptions};

const SERVER: &str = "localhost:9092";

#[derive(Args, Clone, Debug, Default)]
pub struct ProduceRun {
    #[command(flatten)]
    produce: ProduceOptions,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug, Default)]
pub struct ConsumeRun {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    consume: ConsumeOptions,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug, Default)]
pub struct EndToEndRun {
    #[command(flatten)]
    produce: ProduceOptions,
    #[command(flatten)]
    consume: ConsumeOptions,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug, Default)]
pub struct MixedRun {
    #[command(flatten)]
    backlog: Backlog,
    #[command(flatten)]
    run: EndToEndRun,
}

#[derive(Args, Clone, Debug)]
pub struct WorkloadRun {
    /// A workload of the OpenMessaging Benchmark (YAML)
    file: PathBuf,
    /// A driver file of it, for the settings of clients and topics
    #[arg(long, value_name = "FILE")]
    driver: Option<PathBuf>,
    #[command(flatten)]
    run: MixedRun,
}

/// A plan, what is to be said of it before it runs, and where its result goes.
pub struct Wanted {
    pub plan: Plan,
    pub notes: Vec<String>,
    pub output: Output,
}

impl ProduceRun {
    pub fn wanted(self) -> Result<Wanted, Error> {
        let mut plan = Plan::new("produce", SERVER);
        self.produce.apply(&mut plan)?;
        finish(plan, self.common)
    }
}

impl ConsumeRun {
    pub fn wanted(self) -> Result<Wanted, Error> {
        let mut plan = Plan::new("consume", SERVER);
        self.reading.apply(&mut plan);
        self.consume.apply(&mut plan);
        finish(plan, self.common)
    }
}

impl EndToEndRun {
    pub fn wanted(self) -> Result<Wanted, Error> {
        self.over(Plan::new("end-to-end", SERVER))
    }

    fn over(self, mut plan: Plan) -> Result<Wanted, Error> {
        self.produce.apply(&mut plan)?;
        self.consume.apply(&mut plan);
        finish(plan, self.common)
    }
}

impl MixedRun {
    pub fn wanted(self) -> Result<Wanted, Error> {
        self.over(Plan::new("mixed", SERVER))
    }

    fn over(self, mut plan: Plan) -> Result<Wanted, Error> {
        self.backlog.apply(&mut plan);
        self.run.over(plan)
    }
}

impl WorkloadRun {
    pub fn wanted(self) -> Result<Wanted, Error> {
        let mut plan = Plan::new("mixed", SERVER);
        let notes = workload::read(&mut plan, &self.file, self.driver.as_deref())?;
        let wanted = self.run.over(plan)?;
        Ok(Wanted { notes, ..wanted })
    }
}

fn finish(mut plan: Plan, common: Common) -> Result<Wanted, Error> {
    common.apply(&mut plan);
    check(&plan).map_err(Error::Usage)?;
    Ok(Wanted { plan, notes: Vec::new(), output: common.output })
}

/// What no single option can see.
fn check(plan: &Plan) -> Result<(), String> {
    if let Some(produce) = &plan.produce {
        if produce.idempotence && produce.acks != -1 {
            return Err("--idempotence true needs --acks all".to_owned());
        }
        if produce.idempotence && produce.in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
            return Err(format!(
                "with idempotence at most {IDEMPOTENT_IN_FLIGHT_MAX} requests may be under way: lower --in-flight, or \
                 --idempotence false"
            ));
        }
        if plan.consume.is_some() && shortest(&produce.sizes) < STAMP_LEN as u32 {
            return Err(format!("{} needs values of at least {STAMP_LEN} bytes, for its stamps", plan.command));
        }
    }
    let Some(consume) = &plan.consume else { return Ok(()) };
    if plan.produce.is_some() {
        return Ok(());
    }
    if matches!(plan.topics, Topics::Own { .. }) && consume.fill.is_none() {
        return Err("consume needs --topic NAME, or --fill RECORDS to make one".to_owned());
    }
    if consume.from == Begin::End && plan.duration.is_none() {
        return Err("--from end needs --duration: nothing lies behind the end".to_owned());
    }
    Ok(())
}

/// Normal sizes are drawn between the stamp's and what a batch can take, so that they are long enough.
fn shortest(sizes: &Sizes) -> u32 {
    match sizes {
        Sizes::Fixed(size) => *size,
        Sizes::Uniform { min, .. } => *min,
        Sizes::Normal { .. } => STAMP_LEN as u32,
        Sizes::Weighted(sizes) => sizes.iter().map(|&(size, _)| size).min().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
