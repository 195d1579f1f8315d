//! Named listeners: each answers with its own addresses.

use std::path::Path;

use kafka_protocol::messages::MetadataResponse;

use crate::bare::client::batch;
use crate::bare::{Broker, Client};

fn addresses(metadata: &MetadataResponse) -> Vec<(i32, u16)> {
    let address = |broker: &kafka_protocol::messages::metadata_response::MetadataResponseBroker| {
        assert_eq!(broker.host.as_str(), "127.0.0.1");
        (broker.node_id.0, u16::try_from(broker.port).unwrap())
    };
    metadata.brokers.iter().map(address).collect()
}

/// A broker with two listeners of these names.
fn with_listeners(data: &Path, [one, two]: [&str; 2], arguments: &[&str]) -> Broker {
    let listeners = format!("--set=listeners={one}://127.0.0.1:0,{two}://127.0.0.1:0");
    let protocols = format!("--set=listener.security.protocol.map={one}:PLAINTEXT,{two}:PLAINTEXT");
    let mut all = vec!["--data-dir", data.to_str().unwrap(), &listeners, &protocols];
    all.extend(arguments);
    Broker::serve(data, &all)
}

#[test]
fn each_listener_answers_with_its_own_address() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = with_listeners(&data, ["INSIDE", "OUTSIDE"], &[]);
    let names: Vec<_> = broker.addresses.iter().map(|address| address.listener.as_str()).collect();
    assert_eq!(names, ["INSIDE", "OUTSIDE"]);
    assert_ne!(broker.addresses[0].port, broker.addresses[1].port);
    for address in &broker.addresses {
        let metadata = Client::connect(address.port).metadata();
        assert_eq!(addresses(&metadata), [(1, address.port)]);
        assert_eq!(metadata.controller_id.0, 1);
    }
    broker.stop();
}

#[test]
fn a_client_of_the_cores_listener_reaches_the_owning_shards() {
    const SHARDS: usize = 3;
    const PARTITIONS: i32 = 9;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = with_listeners(&data, ["PLAINTEXT", "CORES"], &["--shards=3", "--set=duramen.cores.listeners=CORES"]);
    let nodes: Vec<_> = broker.addresses[1..].iter().map(|address| (address.node, address.port)).collect();
    assert_eq!(nodes.iter().map(|(node, _)| *node).collect::<Vec<_>>(), [1000, 1001, 1002]);
    assert_eq!(broker.client().create_topics(&["spread"], PARTITIONS), [0]);

    // On the host's listener there is one node, which leads everything.
    let metadata = broker.client().metadata();
    assert_eq!(addresses(&metadata), [(1, broker.port())]);
    assert!(metadata.topics[0].partitions.iter().all(|partition| partition.leader_id.0 == 1));

    let metadata = Client::connect(nodes[0].1).metadata();
    assert_eq!(addresses(&metadata), nodes);
    let mut led = [0; SHARDS];
    for partition in &metadata.topics[0].partitions {
        let leader = partition.leader_id.0;
        let (_, port) = nodes.iter().find(|(node, _)| *node == leader).expect("the leader is one of the nodes");
        led[usize::try_from(leader - 1000).unwrap()] += 1;
        let mut client = Client::connect(*port);
        assert_eq!(client.produce("spread", partition.partition_index, batch([&b"here"[..]])), (0, 0));
        assert_eq!(client.fetch("spread", partition.partition_index, 0).0, 0);
        // What was written by one listener is read by the other.
        assert_eq!(broker.client().end_offset("spread", partition.partition_index), 1);
    }
    assert_eq!(led, [3; SHARDS], "partitions are spread over the shards");
    broker.stop();
}
