//! The comparison: rows of work, each done by several brokers in turn, and what their ratios show.
//!
//! Rows and sides are data; [`Results`] is what is kept and rendered.

pub mod cores;
pub mod judge;
pub mod ratio;
pub mod rounds;
pub mod rows;
pub mod sides;
pub mod store;
pub mod sweep;
pub mod warm;

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::outcome::{Machine, Outcome};
use crate::plan::Broker;
use crate::stop::Stop;

/// A row: a piece of work, who does it, and what is judged.
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    /// Whether it is part of the quick form.
    pub quick: bool,
    pub synced: bool,
    /// `None`: as many as the others.
    pub pairs: Option<u32>,
    pub sides: &'static [SideKind],
    pub figures: &'static [Figure],
    pub run: fn(&mut RowContext, &mut dyn Side) -> Result<Figures, Error>,
}

pub struct RowContext {}

pub struct Figure {
    pub key: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub goals: &'static [Goal],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    RatioToKafka(f64),
    RatioToLimit(f64),
    AtMost(f64),
    AtLeast(f64),
    /// The largest over the smallest of several rows.
    Flat {
        rows: &'static str,
        within: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideKind {
    Duramen,
    Kafka,
    KafkaDefault,
    Limit,
    External,
}

/// By [`Figure::key`]; what was not measured is absent.
pub type Figures = BTreeMap<String, f64>;

/// A broker that takes part.
pub trait Side {
    fn name(&self) -> &str;
    /// Its durability.
    fn level(&self) -> &str;
    fn version(&self) -> String;
    /// HOST:PORT.
    fn server(&self) -> String;
    fn broker(&self) -> Broker;
    fn topic_configs(&self) -> Vec<(String, String)>;
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub schema: u32,
    pub machine: Machine,
    /// Which are whose.
    pub cores: String,
    /// Memory that was touched before each run.
    pub warm_gib: f64,
    pub sweep: Option<Sweep>,
    pub rows: Vec<RowResult>,
}

/// The settings of Kafka's process that were tried.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sweep {
    pub tried: Vec<(String, Figures)>,
    pub cheapest: String,
    pub quickest: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RowResult {
    pub name: String,
    pub title: String,
    pub commit: String,
    pub date: String,
    pub parameters: serde_json::Value,
    pub complete: bool,
    pub sides: Vec<SideResult>,
    pub judgements: Vec<Judgement>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SideResult {
    pub name: String,
    pub level: String,
    pub version: String,
    pub runs: Vec<Figures>,
    /// Of the last run, for plots.
    pub outcome: Option<Outcome>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Judgement {
    pub figure: String,
    pub against: String,
    pub ratio: Option<Interval95>,
    pub goal: Option<f64>,
    /// `None`: not shown.
    pub held: Option<bool>,
    pub text: String,
}

/// A 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval95 {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    pub pairs: u32,
}

#[derive(clap::Args, Clone, Debug)]
pub struct CompareOptions {}

pub fn compare(_options: &CompareOptions, _stop: &Stop) -> Result<ExitCode, Error> {
    todo!()
}
