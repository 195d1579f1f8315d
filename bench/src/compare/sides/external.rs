//! Brokers that somebody else has started (`--broker NAME=HOST:PORT`). They are neither stopped nor started, their topics
//! get no settings, and their CPU time is known only if `--broker-pid` names their process on this machine.

use super::{Side, SideKind};
use crate::error::Error;

/// A broker by a name of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    pub name: String,
    pub server: String,
    pub pid: Option<u32>,
}

impl External {
    /// From `NAME=HOST:PORT` and `NAME=PID`, each name once.
    pub fn all(brokers: &[String], pids: &[String]) -> Result<Vec<External>, Error> {
        let mut found: Vec<External> = Vec::new();
        for broker in brokers {
            let (name, server) = named(broker, "--broker NAME=HOST:PORT")?;
            if found.iter().any(|other| other.name == name) || reserved(name) {
                return Err(Error::Usage(format!("--broker {broker}: there is a side called {name} already")));
            }
            found.push(External { name: name.into(), server: server.into(), pid: None });
        }
        for pid in pids {
            let (name, number) = named(pid, "--broker-pid NAME=PID")?;
            let number = number.parse().map_err(|_| Error::Usage(format!("--broker-pid {pid}: not a process id")))?;
            let known = found.iter_mut().find(|external| external.name == name);
            let unknown = || Error::Usage(format!("--broker-pid {pid}: no --broker {name}=HOST:PORT is given"));
            known.ok_or_else(unknown)?.pid = Some(number);
        }
        Ok(found)
    }

    pub fn side(&self) -> Side {
        Side {
            kind: SideKind::External,
            name: self.name.clone(),
            level: "as configured".into(),
            version: format!("the broker at {}", self.server),
            server: self.server.clone(),
            pid: self.pid,
            data_dir: None,
            topic_configs: Vec::new(),
        }
    }
}

fn reserved(name: &str) -> bool {
    [super::DURAMEN, super::KAFKA, super::KAFKA_DEFAULT].contains(&name) || super::is_limit(name)
}

fn named<'t>(text: &'t str, form: &str) -> Result<(&'t str, &'t str), Error> {
    let parts = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    parts.ok_or_else(|| Error::Usage(format!("{text:?} is not of the form {form}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn brokers_get_their_processes_by_name() {
        let found = External::all(&texts(&["a=host:1", "b=host:2"]), &texts(&["b=77"])).unwrap();
        assert_eq!(found.iter().map(|external| external.pid).collect::<Vec<_>>(), [None, Some(77)]);
        assert_eq!(found[1].server, "host:2");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (brokers, pids) in
            [(&["a"][..], &[][..]), (&["a=x:1", "a=y:1"], &[]), (&["Kafka=x:1"], &[]), (&["a=x:1"], &["b=1"])]
        {
            assert!(External::all(&texts(brokers), &texts(pids)).is_err(), "{brokers:?} {pids:?}");
        }
        assert!(External::all(&texts(&["a=x:1"]), &texts(&["a=x"])).is_err());
    }
}
