//! What a comparison has measured, as its file holds it: rows of sides of runs of figures, and the judgements of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::{Machine, Outcome};

/// Of the file; a reader refuses any other.
pub const SCHEMA: u32 = 1;

/// What one run has measured, by the keys of the row's figures. What was not measured is absent.
pub type Figures = BTreeMap<String, f64>;

/// A whole comparison on one machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub schema: u32,
    pub machine: Machine,
    /// Which cores the generator and the brokers have, as a sentence.
    pub cores: String,
    pub quick: bool,
    /// Memory that is touched before each run.
    pub warm_gib: f64,
    pub sweep: Option<Sweep>,
    pub rows: Vec<RowResult>,
}

/// The configurations of Kafka that were tried before anything was compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sweep {
    pub tried: Vec<(String, Figures)>,
    /// What rows that are judged by CPU time get.
    pub cheapest: String,
    /// What rows that are judged by latency get.
    pub quickest: String,
}

/// A row, whole or as far as it has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RowResult {
    pub name: String,
    pub title: String,
    pub commit: String,
    pub date: String,
    pub parameters: serde_json::Value,
    pub complete: bool,
    /// Why it is not complete, and will not become it by itself.
    pub failure: Option<String>,
    /// Why earlier attempts at it failed, with their time and commit; the last ones.
    #[serde(default)]
    pub failures: Vec<String>,
    /// What preparing it has shown.
    pub kept: Figures,
    pub sides: Vec<SideResult>,
    pub judgements: Vec<Judgement>,
}

/// What was measured of a side; `runs` are in the order of the pairs, `outcome` is of the last one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SideResult {
    pub name: String,
    /// What an acknowledgement means there.
    pub level: String,
    pub version: String,
    pub runs: Vec<Figures>,
    pub outcome: Option<Outcome>,
}

/// A figure of Duramen against another side, or against a bound. `held`: none if the interval does not show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub figure: String,
    pub against: String,
    pub ratio: Option<Interval95>,
    pub goal: Option<f64>,
    pub held: Option<bool>,
    pub text: String,
}

/// The 95 % interval of a mean over pairs, formed on logarithms; `middle` is the geometric mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval95 {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    pub pairs: u32,
}

impl Results {
    pub fn row(&self, name: &str) -> Option<&RowResult> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl RowResult {
    pub fn side(&self, name: &str) -> Option<&SideResult> {
        self.sides.iter().find(|side| side.name == name)
    }
}
