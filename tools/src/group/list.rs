//! `group list` and `group delete`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{DeleteGroupsRequest, GroupId, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;

use super::describe::Members;
use super::{Delete, List};
use crate::client::{Cluster, check};
use crate::error::nearest;
use crate::output::{Table, json_line};
use crate::{Error, Exit, Outcome};

/// A group as its coordinator lists it.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    pub(super) group: String,
    /// Empty from a broker older than Kafka 2.6.
    state: String,
    /// `classic`, `consumer` or another; empty from a broker older than Kafka 3.8.
    r#type: String,
    /// `consumer` for groups that read topics.
    protocol: String,
}

pub(super) fn list(command: List) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    let groups = all(&mut cluster)?;
    let mut out = BufWriter::new(stdout().lock());
    if command.json {
        for group in groups.values() {
            json_line(&mut out, group)?;
        }
    } else {
        let mut table = Table::new(&["GROUP", "STATE", "TYPE", "PROTOCOL"]);
        for group in groups.into_values() {
            table.row(vec![group.group, group.state, group.r#type, group.protocol]);
        }
        table.print(&mut out)?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// The groups of all brokers by name; each knows those that it coordinates.
pub(super) fn all(cluster: &mut Cluster) -> Result<BTreeMap<String, Listed>, Error> {
    let brokers: Vec<i32> = cluster.brokers().keys().copied().collect();
    let mut groups = BTreeMap::new();
    for id in brokers {
        let response = cluster.broker(id)?.call(&ListGroupsRequest::default())?;
        check(response.error_code, None, || format!("list the groups of broker {id}"))?;
        for group in response.groups {
            let listed = Listed {
                group: group.group_id.0.to_string(),
                state: group.group_state.to_string(),
                r#type: group.group_type.to_string(),
                protocol: group.protocol_type.to_string(),
            };
            groups.insert(listed.group.clone(), listed);
        }
    }
    Ok(groups)
}

/// The error for a group that is not there, with the nearest one that is.
pub(super) fn no_group(cluster: &mut Cluster, group: &str) -> Error {
    let known = all(cluster).unwrap_or_default();
    Error::NoGroup { group: group.to_owned(), nearest: nearest(group, known.keys().map(String::as_str)) }
}

/// Deletes one after the other; the first that cannot be deleted ends it.
pub(super) fn delete(command: Delete) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    for group in &command.groups {
        let id = GroupId(StrBytes::from_string(group.clone()));
        let request = DeleteGroupsRequest::default().with_groups_names(vec![id]);
        for result in cluster.coordinator(group)?.call(&request)?.results {
            match ResponseError::try_from_code(result.error_code) {
                None => {}
                Some(ResponseError::GroupIdNotFound) => return Err(no_group(&mut cluster, group)),
                Some(ResponseError::NonEmptyGroup) => {
                    return Err(Members::of(&mut cluster, group)?.in_use(group));
                }
                Some(code) => {
                    return Err(Error::Refused { what: format!("delete group {group}"), code, message: None });
                }
            }
        }
        writeln!(stdout(), "deleted {group}")?;
    }
    Ok(Exit::Success)
}
