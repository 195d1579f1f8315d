//! The rows, by kind of work: what is run against a side, what is read off it, and what is asked of Duramen. A row's run is
//! one piece of work against one side that runs; only the rows of `start` start their sides themselves.

pub mod cold;
pub mod consume;
pub mod context;
pub mod end_to_end;
pub mod figures;
pub mod long;
pub mod produce;
pub mod scale;
pub mod small;
pub mod start;

use super::results::Figures;
use super::sides::{LimitKind, Side, SideKind};
use crate::error::Error;

pub use context::RowContext;

/// One run of a row against a side.
pub type Work = Box<dyn Fn(&mut RowContext, &Side) -> Result<Figures, Error>>;
/// What all runs of a row against a side share.
pub type Setup = Box<dyn Fn(&mut RowContext, &Side) -> Result<(), Error>>;

/// By what a row is judged: which of its configurations Kafka gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Cpu,
    Latency,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// It explains the others.
    Neither,
}

/// A figure of a row, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Figure {
    pub key: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub goals: Vec<Goal>,
}

/// What is asked of Duramen's figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    RatioToKafka(f64),
    RatioToLimit(f64),
    AtMost(f64),
    AtLeast(f64),
    /// The largest of these rows' figures by the smallest.
    Flat {
        rows: Vec<String>,
        within: f64,
    },
}

impl Figure {
    pub fn cost(key: &'static str, title: &'static str, unit: &'static str, goals: Vec<Goal>) -> Figure {
        Figure { key, title, unit, better: Better::Lower, goals }
    }

    pub fn rate(key: &'static str, title: &'static str, unit: &'static str, goals: Vec<Goal>) -> Figure {
        Figure { key, title, unit, better: Better::Higher, goals }
    }

    pub fn shown(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
        Figure { key, title, unit, better: Better::Neither, goals: Vec::new() }
    }
}

/// A row of the comparison.
pub struct Row {
    pub name: String,
    pub title: String,
    /// Whether it is part of the quick form.
    pub quick: bool,
    pub synced: bool,
    /// None: as many as the other rows have.
    pub pairs: Option<u32>,
    pub by: By,
    pub sides: Vec<SideKind>,
    pub limits: Vec<LimitKind>,
    pub figures: Vec<Figure>,
    /// Its runs fill memory, so memory is warmed before each even in the quick form.
    pub fills_memory: bool,
    /// A full comparison's first round does not count.
    pub rehearses: bool,
    /// Its runs start their sides themselves.
    pub starts_sides: bool,
    pub setup: Option<Setup>,
    pub run: Work,
}

/// The sides of most rows.
const BROKERS: [SideKind; 3] = [SideKind::Duramen, SideKind::Kafka, SideKind::External];

impl Row {
    /// A row that does nothing yet: its builder fills in the rest.
    pub fn new(name: &str, title: &str) -> Row {
        Row {
            name: name.to_owned(),
            title: title.to_owned(),
            quick: true,
            synced: false,
            pairs: None,
            by: By::Cpu,
            sides: BROKERS.to_vec(),
            limits: Vec::new(),
            figures: Vec::new(),
            fills_memory: false,
            rehearses: true,
            starts_sides: false,
            setup: None,
            run: Box::new(|_, _| Ok(Figures::new())),
        }
    }

    /// With the physical limit beside the brokers, in each of these ways.
    fn with_limits(mut self, limits: &[LimitKind]) -> Row {
        self.sides.push(SideKind::Limit);
        self.limits = limits.to_vec();
        self
    }

    /// Synced, with Kafka's default beside the level that is compared.
    fn synced(mut self) -> Row {
        self.synced = true;
        self.sides.insert(2, SideKind::KafkaDefault);
        self
    }
}

/// All rows, in the order in which they are measured.
pub fn all() -> Vec<Row> {
    [
        produce::rows(),
        small::rows(),
        end_to_end::rows(),
        consume::rows(),
        cold::rows(),
        scale::rows(),
        long::rows(),
        start::start_rows(),
        start::restart_rows(),
        consume::idle_rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_goals_have_what_they_compare_with() {
        let rows = all();
        let names: BTreeSet<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            for goal in row.figures.iter().flat_map(|figure| &figure.goals) {
                match goal {
                    Goal::RatioToKafka(_) => assert!(row.sides.contains(&SideKind::Kafka), "{}", row.name),
                    Goal::RatioToLimit(_) => assert!(!row.limits.is_empty(), "{}", row.name),
                    Goal::Flat { rows, .. } => {
                        assert!(rows.iter().all(|other| names.contains(other.as_str())), "{}", row.name);
                    }
                    Goal::AtMost(_) | Goal::AtLeast(_) => {}
                }
            }
        }
    }

    #[test]
    fn a_row_with_limits_has_them_as_sides() {
        for row in all() {
            assert_eq!(row.limits.is_empty(), !row.sides.contains(&SideKind::Limit), "{}", row.name);
            assert!(!row.figures.is_empty(), "{}", row.name);
        }
    }
}
