//! `group describe`: members with what they are assigned, offsets with how far they are behind.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};

use bytes::{Buf, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, consumer_group_describe_response,
    describe_groups_response,
};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;

use super::Describe;
use super::list::no_group;
use super::offsets::{Place, fetch};
use crate::client::{Cluster, Isolation, check};
use crate::output::{Table, json_line};
use crate::{Error, Exit, Outcome};

/// A group and who is in it, under the classic protocol or that of KIP-848.
#[derive(Debug, Serialize)]
pub(super) struct Members {
    state: String,
    /// How partitions are shared out, as the group names it.
    assignor: String,
    members: Vec<Member>,
}

#[derive(Debug, Serialize)]
struct Member {
    id: String,
    /// The name of a static member.
    instance: Option<String>,
    client: String,
    host: String,
    #[serde(skip)]
    assignment: Vec<Place>,
}

#[derive(Serialize)]
struct Described<'a> {
    group: &'a str,
    #[serde(flatten)]
    members: &'a Members,
    offsets: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    topic: &'a str,
    partition: i32,
    committed: Option<i64>,
    /// Absent where the topic is gone or has no leader.
    end: Option<i64>,
    lag: Option<i64>,
    member: Option<&'a str>,
    client: Option<&'a str>,
    host: Option<&'a str>,
}

impl Members {
    /// Asks the coordinator in the protocol of the group.
    pub(super) fn of(cluster: &mut Cluster, group: &str) -> Result<Members, Error> {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(name(group))]);
        let response = cluster.coordinator(group)?.call(&request)?;
        let described = response.groups.into_iter().next().unwrap_or_default();
        // Brokers tell a missing group by a code, or, before Kafka 4.0, by the state Dead. So they do for a group of
        // the newer protocol.
        let code = ResponseError::try_from_code(described.error_code);
        let dead = code.is_none() && described.group_state.as_str() == "Dead";
        if dead || matches!(code, Some(ResponseError::GroupIdNotFound)) {
            return Members::of_newer(cluster, group);
        }
        check(described.error_code, described.error_message.as_ref(), || format!("describe group {group}"))?;
        Ok(Members {
            state: described.group_state.to_string(),
            assignor: described.protocol_data.to_string(),
            members: described.members.into_iter().map(Member::from).collect(),
        })
    }

    fn of_newer(cluster: &mut Cluster, group: &str) -> Result<Members, Error> {
        let coordinator = cluster.coordinator(group)?;
        if coordinator.version::<ConsumerGroupDescribeRequest>().is_err() {
            return Err(no_group(cluster, group));
        }
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(name(group))]);
        let response = coordinator.call(&request)?;
        let described = response.groups.into_iter().next().unwrap_or_default();
        if ResponseError::try_from_code(described.error_code) == Some(ResponseError::GroupIdNotFound) {
            return Err(no_group(cluster, group));
        }
        check(described.error_code, described.error_message.as_ref(), || format!("describe group {group}"))?;
        Ok(Members {
            state: described.group_state.to_string(),
            assignor: described.assignor_name.to_string(),
            members: described.members.into_iter().map(Member::from).collect(),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// The error for a change that only an empty group allows.
    pub(super) fn in_use(&self, group: &str) -> Error {
        Error::GroupInUse { group: group.to_owned(), members: self.members.len(), state: self.state.clone() }
    }
}

impl From<describe_groups_response::DescribedGroupMember> for Member {
    fn from(member: describe_groups_response::DescribedGroupMember) -> Member {
        Member {
            id: member.member_id.to_string(),
            instance: member.group_instance_id.map(|id| id.to_string()),
            client: member.client_id.to_string(),
            host: member.client_host.to_string(),
            assignment: decode_assignment(member.member_assignment).unwrap_or_default(),
        }
    }
}

impl From<consumer_group_describe_response::Member> for Member {
    fn from(member: consumer_group_describe_response::Member) -> Member {
        let topics = member.assignment.topic_partitions.into_iter();
        let places = topics.flat_map(|topic| {
            let name = topic.topic_name.0.to_string();
            topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
        });
        Member {
            id: member.member_id.to_string(),
            instance: member.instance_id.map(|id| id.to_string()),
            client: member.client_id.to_string(),
            host: member.client_host.to_string(),
            assignment: places.collect(),
        }
    }
}

/// What the group's leader wrote for a member, if it is Kafka's consumer protocol: a version, then topics with their
/// partitions. Read by hand, because any client may have written it and the codec believes the counts in it.
fn decode_assignment(mut bytes: Bytes) -> Option<Vec<Place>> {
    bytes.try_get_i16().ok()?;
    let topics = bytes.try_get_i32().ok()?;
    let mut places = Vec::new();
    for _ in 0..topics {
        let length = usize::from(bytes.try_get_u16().ok()?);
        let name = String::from_utf8(bytes.get(..length)?.to_vec()).ok()?;
        bytes.advance(length);
        for _ in 0..bytes.try_get_i32().ok()? {
            places.push((name.clone(), bytes.try_get_i32().ok()?));
        }
    }
    Some(places)
}

pub(super) fn describe(command: Describe) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    let members = Members::of(&mut cluster, &command.group)?;
    let committed = fetch(&mut cluster, &command.group)?;
    let owners: BTreeMap<&Place, &Member> =
        members.members.iter().flat_map(|member| member.assignment.iter().map(move |place| (place, member))).collect();
    let places: std::collections::BTreeSet<&Place> = owners.keys().copied().chain(committed.keys()).collect();
    let ends = ends(&mut cluster, places.iter().copied());
    let rows = places.into_iter().map(|place| {
        let (committed, end) = (committed.get(place).copied(), ends.get(place).copied());
        let owner = owners.get(place);
        Row {
            topic: &place.0,
            partition: place.1,
            committed,
            end,
            lag: committed.zip(end).map(|(committed, end)| end.saturating_sub(committed).max(0)),
            member: owner.map(|member| member.id.as_str()),
            client: owner.map(|member| member.client.as_str()),
            host: owner.map(|member| member.host.as_str()),
        }
    });
    let described = Described { group: &command.group, members: &members, offsets: rows.collect() };
    let mut out = BufWriter::new(stdout().lock());
    if command.json {
        json_line(&mut out, &described)?
    } else {
        print(&mut out, &described)?
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// The ends of these partitions, as far as they can be had.
fn ends<'a>(cluster: &mut Cluster, places: impl Iterator<Item = &'a Place>) -> BTreeMap<Place, i64> {
    let mut partitions: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        partitions.entry(topic).or_default().push(*partition);
    }
    let mut ends = BTreeMap::new();
    for (name, mut partitions) in partitions {
        let Ok(topic) = cluster.topic(name) else { continue };
        partitions.retain(|&wanted| topic.partitions.iter().any(|p| p.partition == wanted && p.leader.is_some()));
        let bounds = cluster.bounds(&topic, &partitions, Isolation::Uncommitted).unwrap_or_default();
        ends.extend(bounds.into_iter().map(|(partition, bounds)| ((name.to_owned(), partition), bounds.end)));
    }
    ends
}

fn print(out: &mut impl Write, described: &Described) -> std::io::Result<()> {
    let members = described.members;
    let count = members.members.len();
    let assignor = if members.assignor.is_empty() { String::new() } else { format!(", {}", members.assignor) };
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "{}: {}{assignor}, {count} member{plural}", described.group, members.state)?;
    let text = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let word = |word: Option<&str>| word.unwrap_or("-").to_owned();
    let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "CLIENT", "HOST"]);
    for row in &described.offsets {
        table.row(vec![
            row.topic.to_owned(),
            row.partition.to_string(),
            text(row.committed),
            text(row.end),
            text(row.lag),
            word(row.member),
            word(row.client),
            word(row.host),
        ]);
    }
    table.print(out)?;
    for member in members.members.iter().filter(|member| member.assignment.is_empty()) {
        writeln!(out, "{} ({}) has no partitions", member.id, member.host)?;
    }
    Ok(())
}

fn name(group: &str) -> StrBytes {
    StrBytes::from_string(group.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
    use kafka_protocol::messages::{ConsumerProtocolAssignment, TopicName};
    use kafka_protocol::protocol::Encodable;
    use proptest::prelude::*;

    #[test]
    fn an_assignment_is_read_as_a_consumer_writes_it() {
        let topic = TopicPartition::default().with_topic(TopicName(name("t"))).with_partitions(vec![0, 2]);
        let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![topic]);
        let mut bytes = bytes::BytesMut::from(&0i16.to_be_bytes()[..]);
        assignment.encode(&mut bytes, 0).unwrap();
        let expected = vec![("t".to_owned(), 0), ("t".to_owned(), 2)];
        assert_eq!(decode_assignment(bytes.freeze()), Some(expected));
    }

    proptest! {
        #[test]
        fn an_assignment_that_is_cut_short_is_refused(cut in 0usize..22) {
            let bytes = b"\0\0\0\0\0\x01\0\x04name\0\0\0\x01\0\0\0\x07";
            prop_assert!(decode_assignment(Bytes::from_static(bytes)).is_some());
            prop_assert_eq!(decode_assignment(Bytes::copy_from_slice(&bytes[..cut.min(bytes.len() - 1)])), None);
        }

        #[test]
        fn bytes_of_another_protocol_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let places = decode_assignment(Bytes::from(bytes)).unwrap_or_default();
            prop_assert!(places.len() <= 10, "a place takes at least four bytes");
        }
    }
}
