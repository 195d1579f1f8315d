//! Points 28, 29 and 31: which topics Metadata tells of, and makes.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, ResponseHeader};
use kafka_protocol::protocol::Decodable;
use uuid::Uuid;

use crate::broker::{Broker, is_other, shared};
use crate::requests::*;
use crate::wire::Client;

const METADATA: i16 = 3;

fn naming(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
    MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(false)
}

fn names(response: &MetadataResponse) -> Vec<String> {
    response.topics.iter().map(|topic| topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default()).collect()
}

#[test]
fn null_means_all_topics() {
    let broker = shared();
    let mut client = broker.connect();
    let topics = [topic(&mut client), topic(&mut client)];
    for version in 1..=13 {
        let told = names(&client.call(version, &MetadataRequest::default().with_topics(None)));
        assert!(topics.iter().all(|topic| told.contains(topic)), "version {version}");
    }
}

#[test]
fn an_empty_list_means_none_but_all_in_version_0() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for version in 1..=13 {
        let response = client.call(version, &MetadataRequest::default().with_topics(Some(Vec::new())));
        assert!(response.topics.is_empty(), "version {version}");
        assert!(!response.brokers.is_empty());
    }
    client.send_body(METADATA, 0, 1, &0_i32.to_be_bytes());
    let mut answer = client.frame().unwrap();
    ResponseHeader::decode(&mut answer, 0).unwrap();
    assert!(names(&MetadataResponse::decode(&mut answer, 0).unwrap()).contains(&topic));
}

#[test]
fn auto_creation_is_honoured() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("auto");
    let unknown = client.call(4, &naming(&[&name]));
    assert_eq!(error(unknown.topics[0].error_code), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(error(describe(&mut client, &name).error_code), Some(ResponseError::UnknownTopicOrPartition));
    client.call(4, &naming(&[&name]).with_allow_auto_topic_creation(true));
    assert!(becomes_known(&mut client, &name));
}

#[test]
fn before_version_4_topics_are_made_on_first_use() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("auto");
    client.call(3, &naming(&[&name]).with_allow_auto_topic_creation(true));
    assert!(becomes_known(&mut client, &name));
}

fn becomes_known(client: &mut Client, name: &str) -> bool {
    eventually(|| describe(client, name).error_code == 0)
}

#[test]
fn auto_create_topics_enable_false_makes_none() {
    if is_other() {
        return;
    }
    let broker = Broker::start(&["auto.create.topics.enable=false"]);
    let mut client = broker.connect();
    let response = client.call(4, &naming(&["wanted"]).with_allow_auto_topic_creation(true));
    assert_eq!(error(response.topics[0].error_code), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(error(describe(&mut client, "wanted").error_code), Some(ResponseError::UnknownTopicOrPartition));
}

#[test]
fn topic_names_have_rules() {
    let broker = shared();
    let mut client = broker.connect();
    let long = "n".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "t\u{f6}pic", &long] {
        let told = client.call(4, &naming(&[name]).with_allow_auto_topic_creation(true));
        assert_eq!(error(told.topics[0].error_code), Some(ResponseError::InvalidTopicException), "{name:?}");
        let made = client.call(7, &create_request(vec![creatable(name, 1, &[])]));
        assert_eq!(error(made.topics[0].error_code), Some(ResponseError::InvalidTopicException), "{name:?}");
    }
    for name in [fresh("A.z_0-9"), format!("{:n<249}", fresh("long"))] {
        let made = client.call(7, &create_request(vec![creatable(&name, 1, &[])]));
        assert_eq!(error(made.topics[0].error_code), None, "{name:?}");
    }
}

#[test]
fn the_controller_is_a_listed_broker_and_leads() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let response = client.call(12, &naming(&[&topic]));
    let nodes = response.brokers.iter().map(|broker| broker.node_id).collect::<Vec<_>>();
    assert!(nodes.contains(&response.controller_id));
    let partition = &response.topics[0].partitions[0];
    assert!(nodes.contains(&partition.leader_id));
    assert_eq!(
        (&partition.replica_nodes, &partition.isr_nodes),
        (&vec![partition.leader_id], &vec![partition.leader_id])
    );
    assert!(partition.offline_replicas.is_empty());
}

#[test]
fn the_cluster_id_persists() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&[]);
    let before = broker.connect().call(12, &naming(&[])).cluster_id;
    broker.kill_and_restart();
    let after = broker.connect().call(12, &naming(&[])).cluster_id;
    assert!(before.is_some_and(|id| id.len() == 22 && Some(id) == after));
}

#[test]
fn a_topic_made_again_has_a_new_id() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let first = topic_id(&mut client, &topic);
    append(&mut client, &topic, batch(1));
    crate::topics::delete(&mut client, &topic);
    assert!(eventually(|| describe(&mut client, &topic).error_code != 0));
    client.call(7, &create_request(vec![creatable(&topic, 1, &[])]));
    assert!(becomes_known(&mut client, &topic));
    assert_ne!(topic_id(&mut client, &topic), first);
    assert!(eventually(|| describe(&mut client, &topic).partitions[0].error_code == 0));
    assert_eq!(append(&mut client, &topic, batch(1)), 0, "nothing is left of the first one");
}

#[test]
fn metadata_12_finds_a_topic_by_its_id() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let id = topic_id(&mut client, &topic);
    let by_id = |id| {
        let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false)
    };
    let found = client.call(12, &by_id(id)).topics.remove(0);
    assert_eq!((error(found.error_code), found.name), (None, Some(topic_name(&topic))));
    let unknown = Uuid::from_u128(0xdead);
    let missing = client.call(12, &by_id(unknown)).topics.remove(0);
    assert_eq!((error(missing.error_code), missing.topic_id), (Some(ResponseError::UnknownTopicId), unknown));
}

#[test]
fn internal_topics_are_listed_as_internal() {
    let broker = shared();
    let mut client = broker.connect();
    let own = topic(&mut client);
    client.call(4, &naming(&["__consumer_offsets"]).with_allow_auto_topic_creation(true));
    assert!(becomes_known(&mut client, "__consumer_offsets"));
    let all = client.call(12, &MetadataRequest::default().with_topics(None)).topics;
    let internal = |name: &str| {
        let topic = all.iter().find(|topic| topic.name.as_ref().is_some_and(|it| it.as_str() == name)).unwrap();
        topic.is_internal
    };
    assert!(internal("__consumer_offsets"));
    assert!(!internal(&own));
}

#[test]
fn clients_cannot_produce_to_internal_topics() {
    let broker = shared();
    let mut client = broker.connect();
    client.call(4, &naming(&["__consumer_offsets"]).with_allow_auto_topic_creation(true));
    assert!(becomes_known(&mut client, "__consumer_offsets"));
    let refused = refusal(&mut client, "__consumer_offsets", batch(1));
    assert_eq!(refused, Some(ResponseError::InvalidTopicException));
}
