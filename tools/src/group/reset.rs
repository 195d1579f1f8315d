//! `group reset`: new offsets for a group, shown first and set only with `--execute`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};

use kafka_protocol::ResponseError;
use serde::Serialize;

use super::Reset;
use super::describe::Members;
use super::offsets::{Place, commit, fetch};
use crate::client::{Cluster, Isolation};
use crate::output::{Table, json_line};
use crate::{Error, Exit, Outcome};

#[derive(Serialize)]
struct Change<'a> {
    topic: &'a str,
    partition: i32,
    /// What the group has now, if anything.
    from: Option<i64>,
    to: i64,
    executed: bool,
}

pub(super) fn reset(command: Reset) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    let targets = targets(&mut cluster, &command)?;
    let members = Members::of(&mut cluster, &command.group);
    match members {
        Ok(members) if members.count() > 0 => return Err(members.in_use(&command.group)),
        // A group that does not exist yet can be given offsets, and so begins to exist.
        Ok(_) | Err(Error::NoGroup { .. }) => {}
        Err(error) => return Err(error),
    }
    let current = fetch(&mut cluster, &command.group)?;
    if command.execute {
        commit(&mut cluster, &command.group, &targets).map_err(|error| match error {
            Error::Refused { code: ResponseError::UnknownMemberId, .. } => {
                Error::GroupInUse { group: command.group.clone(), members: 1, state: "just joined".to_owned() }
            }
            other => other,
        })?;
    }
    print(&command, &targets, &current)?;
    Ok(Exit::Success)
}

/// The new offset of each partition that was named.
fn targets(cluster: &mut Cluster, command: &Reset) -> Result<BTreeMap<Place, i64>, Error> {
    let mut targets = BTreeMap::new();
    for target in &command.topic {
        let topic = cluster.topic(&target.topic)?;
        let partitions = topic.select(target.partition)?;
        let bounds = cluster.bounds(&topic, &partitions, Isolation::Uncommitted)?;
        let offsets = cluster.resolve(&topic, command.to, &bounds)?;
        targets.extend(offsets.into_iter().map(|(partition, offset)| ((topic.name.clone(), partition), offset)));
    }
    Ok(targets)
}

fn print(command: &Reset, targets: &BTreeMap<Place, i64>, current: &BTreeMap<Place, i64>) -> Result<(), Error> {
    let mut out = BufWriter::new(stdout().lock());
    let changes = targets.iter().map(|(place, &to)| Change {
        topic: &place.0,
        partition: place.1,
        from: current.get(place).copied(),
        to,
        executed: command.execute,
    });
    if command.json {
        for change in changes {
            json_line(&mut out, &change)?;
        }
    } else {
        let mut table = Table::new(&["TOPIC", "PARTITION", "FROM", "TO"]);
        for change in changes {
            let from = change.from.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
            table.row(vec![change.topic.to_owned(), change.partition.to_string(), from, change.to.to_string()]);
        }
        table.print(&mut out)?;
    }
    out.flush()?;
    if !command.execute {
        eprintln!("nothing was changed; add --execute to do it");
    }
    Ok(())
}
