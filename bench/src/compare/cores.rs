//! Who runs on which CPUs: the generator and the brokers apart where there are enough, and else together, which is said.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Error;

/// From so many CPUs on, the generator gets the upper half.
const APART_MIN: usize = 4;

/// The CPUs of both; empty lists mean that all are shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cores {
    pub generator: Vec<usize>,
    pub brokers: Vec<usize>,
}

impl Cores {
    /// What was asked for, or half of the CPUs that this process may use for each.
    pub fn choose(generator: Option<&str>, brokers: Option<&str>) -> Result<Cores, Error> {
        match (generator, brokers) {
            (Some(generator), Some(brokers)) => Ok(Cores { generator: list(generator)?, brokers: list(brokers)? }),
            (None, None) => Ok(Self::divide(&allowed()?)),
            _ => Err(Error::Usage("--generator-cores and --broker-cores go together: name both".into())),
        }
    }

    fn divide(allowed: &[usize]) -> Cores {
        if allowed.len() < APART_MIN {
            return Cores::default();
        }
        let (brokers, generator) = allowed.split_at(allowed.len() / 2);
        Cores { generator: generator.to_vec(), brokers: brokers.to_vec() }
    }

    pub fn are_shared(&self) -> bool {
        self.brokers.is_empty()
    }

    /// For the head of a report.
    pub fn describe(&self) -> String {
        if self.are_shared() {
            return "generator and brokers share all CPUs: a throughput says little about a broker".into();
        }
        format!("generator on CPUs {}, brokers on CPUs {}", text(&self.generator), text(&self.brokers))
    }

    /// How many CPUs a broker may use.
    pub fn of_a_broker(&self) -> usize {
        if self.are_shared() { std::thread::available_parallelism().map_or(1, usize::from) } else { self.brokers.len() }
    }

    /// Runs what starts a broker: its processes inherit the CPUs of this thread.
    pub fn as_broker<T>(&self, start: impl FnOnce() -> T) -> Result<T, Error> {
        Self::on(&self.brokers, start)
    }

    /// Runs what starts a generator of its own process.
    pub fn as_generator<T>(&self, start: impl FnOnce() -> T) -> Result<T, Error> {
        Self::on(&self.generator, start)
    }

    fn on<T>(cpus: &[usize], start: impl FnOnce() -> T) -> Result<T, Error> {
        if cpus.is_empty() {
            return Ok(start());
        }
        let io = |source: rustix::io::Errno| Error::Io { what: "choose CPUs".into(), source: source.into() };
        let before = sched_getaffinity(None).map_err(io)?;
        let mut chosen = CpuSet::new();
        cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| chosen.set(*cpu));
        sched_setaffinity(None, &chosen).map_err(io)?;
        let started = start();
        sched_setaffinity(None, &before).map_err(io)?;
        Ok(started)
    }
}

/// The CPUs that this process may use.
fn allowed() -> Result<Vec<usize>, Error> {
    let io = |source: rustix::io::Errno| Error::Io { what: "read the CPUs".into(), source: source.into() };
    let set = sched_getaffinity(None).map_err(io)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// A list such as `0,2-5`.
fn list(text: &str) -> Result<Vec<usize>, Error> {
    let wrong = || Error::Usage(format!("{text:?} is not a list of CPUs such as 0,2-5"));
    let number = |text: &str| text.parse::<usize>().ok().filter(|cpu| *cpu < CpuSet::MAX_CPU).ok_or_else(wrong);
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = number(first)?..=number(last)?;
        if range.is_empty() {
            return Err(wrong());
        }
        cpus.extend(range);
    }
    Ok(cpus)
}

/// CPUs as `--cores` takes them.
pub fn text(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(list("0,2-4").unwrap(), [0, 2, 3, 4]);
        for wrong in ["", "a", "3-1", "1,", "0-99999999"] {
            assert!(list(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_small_machine_is_shared() {
        assert!(Cores::divide(&[0, 1]).are_shared());
        let apart = Cores::divide(&[0, 1, 2, 3, 4]);
        assert_eq!((apart.brokers, apart.generator), (vec![0, 1], vec![2, 3, 4]));
    }

    #[test]
    fn one_list_alone_is_refused() {
        assert!(matches!(Cores::choose(Some("0"), None), Err(Error::Usage(_))));
    }

    #[test]
    fn the_cpus_are_given_back() {
        let before = allowed().unwrap();
        let cores = Cores { generator: Vec::new(), brokers: vec![before[0]] };
        assert_eq!(cores.as_broker(allowed).unwrap().unwrap(), [before[0]]);
        assert_eq!(allowed().unwrap(), before);
    }
}
