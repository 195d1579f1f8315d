//! The sides of a comparison: the brokers that stand beside each other, what an acknowledgement means there, and the
//! processes behind them. A process is killed and its data removed when it is no longer needed: nobody needs it.

pub mod duramen;
pub mod external;
pub mod kafka;
pub mod limit;
pub mod process;

use std::path::PathBuf;

use super::cores::Cores;
use super::rows::{By, Row};
use crate::error::Error;
use crate::plan::Broker;

pub use duramen::Duramen;
pub use external::External;
pub use kafka::{Kafka, Profile, Script};
pub use limit::{Limit, LimitKind};

/// The names of sides, by which they are found in results.
pub const DURAMEN: &str = "Duramen";
pub const KAFKA: &str = "Kafka";
pub const KAFKA_DEFAULT: &str = "Kafka, default";
pub const LIMIT: &str = "limit: ";

/// Whether a side of that name is a physical limit.
pub fn is_limit(name: &str) -> bool {
    name.starts_with(LIMIT)
}

/// Which sides a row has beside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideKind {
    Duramen,
    Kafka,
    /// Kafka without the syncs that the row asks for
    KafkaDefault,
    Limit,
    External,
}

/// A side as the runs of a row see it.
#[derive(Clone, Debug)]
pub struct Side {
    pub kind: SideKind,
    pub name: String,
    /// What an acknowledgement means.
    pub level: String,
    pub version: String,
    pub server: String,
    pub pid: Option<u32>,
    pub data_dir: Option<PathBuf>,
    /// The settings that give a topic this level.
    pub topic_configs: Vec<(String, String)>,
}

impl Side {
    /// For the plan of a run.
    pub fn broker(&self) -> Broker {
        Broker { pid: self.pid, data_dir: self.data_dir.clone(), ..Broker::default() }
    }

    /// Whether it keeps what it acknowledges, and knows topics.
    pub fn is_broker(&self) -> bool {
        self.kind != SideKind::Limit
    }
}

/// What sides are started from.
pub struct Environment {
    pub duramen: PathBuf,
    /// None where no row needs it.
    pub kafka: Option<Script>,
    /// Below it every side has a directory of its own.
    pub scratch: PathBuf,
    pub cores: Cores,
    /// How Kafka runs where CPU time is judged, and where latency is.
    pub cheapest: Profile,
    pub quickest: Profile,
    pub external: Vec<External>,
    pub quick: bool,
}

impl Environment {
    pub fn profile(&self, by: By) -> &Profile {
        match by {
            By::Cpu => &self.cheapest,
            By::Latency => &self.quickest,
        }
    }

    pub fn kafka(&self) -> Result<&Script, Error> {
        let missing = || Error::Process { what: KAFKA.into(), reason: "it was not prepared".into() };
        self.kafka.as_ref().ok_or_else(missing)
    }

    /// The sides of a row that starts them itself: what they are, without a process.
    pub fn sides_to_start(&self, row: &Row) -> Result<Vec<Side>, Error> {
        let side = |kind: &SideKind| {
            let is_duramen = *kind == SideKind::Duramen;
            let version = if is_duramen {
                duramen::version(&self.duramen)
            } else {
                format!("{}, {}", self.kafka()?.version(), self.profile(row.by).describe())
            };
            Ok(Side {
                kind: *kind,
                name: if is_duramen { DURAMEN } else { KAFKA }.into(),
                level: if is_duramen { duramen::level(row.synced) } else { kafka::level(row.synced) }.into(),
                version,
                server: String::new(),
                pid: None,
                data_dir: None,
                topic_configs: Vec::new(),
            })
        };
        row.sides.iter().map(side).collect()
    }
}

/// The brokers that run, and are used for the rows that follow if they may be.
#[derive(Default)]
pub struct Servers {
    duramen: Option<Duramen>,
    kafka: Option<Kafka>,
    limits: Vec<Limit>,
}

impl Servers {
    /// Starts what a row needs and does not run yet; `warm` gets a Kafka that has just been started.
    pub fn sides(
        &mut self,
        row: &Row,
        environment: &Environment,
        warm: &mut dyn FnMut(&Side) -> Result<(), Error>,
    ) -> Result<Vec<Side>, Error> {
        let mut sides = Vec::new();
        for kind in &row.sides {
            match kind {
                SideKind::Duramen => sides.push(self.duramen(environment)?.side(row.synced)),
                SideKind::Kafka | SideKind::KafkaDefault => {
                    let synced = row.synced && *kind == SideKind::Kafka;
                    let skipped = *kind == SideKind::KafkaDefault && (environment.quick || !row.synced);
                    if !skipped {
                        sides.push(self.kafka(environment, row.by, warm)?.side(*kind, synced));
                    }
                }
                SideKind::Limit => {
                    for limit in &row.limits {
                        let started = Limit::start(environment, limit)?;
                        sides.push(started.side());
                        self.limits.push(started);
                    }
                }
                SideKind::External => sides.extend(environment.external.iter().map(External::side)),
            }
        }
        Ok(sides)
    }

    fn duramen(&mut self, environment: &Environment) -> Result<&Duramen, Error> {
        match &mut self.duramen {
            Some(running) => Ok(running),
            missing => Ok(missing.insert(Duramen::start(environment, &[])?)),
        }
    }

    fn kafka(
        &mut self,
        environment: &Environment,
        by: By,
        warm: &mut dyn FnMut(&Side) -> Result<(), Error>,
    ) -> Result<&Kafka, Error> {
        match &mut self.kafka {
            Some(running) => Ok(running),
            missing => {
                let started = Kafka::start(environment, environment.profile(by))?;
                warm(&started.side(SideKind::Kafka, false))?;
                Ok(missing.insert(started))
            }
        }
    }

    /// The processes of the brokers, to tell what the idle ones cost.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        let duramen = self.duramen.iter().map(|broker| (DURAMEN, broker.pid()));
        duramen.chain(self.kafka.iter().map(|broker| (KAFKA, broker.pid()))).collect()
    }

    /// After a row: limits end; brokers too if the next row wants fresh ones.
    pub fn end_row(&mut self, keep_brokers: bool) {
        self.limits.clear();
        if !keep_brokers {
            self.duramen = None;
            self.kafka = None;
        }
    }
}
