//! The end by a signal, the start after it, and a stock configuration.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::bare::broker::program;
use crate::bare::client::{batch, fetch_request};
use crate::bare::{Broker, Client, await_that};

/// A port that was free a moment ago, below those that the system gives to anybody who asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 10_000;
    let mut ports = (0..10_000).map(|_| {
        let nth = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(20_000 + (first + nth) % 10_000).unwrap()
    });
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one of many is free")
}

#[test]
fn sigterm_ends_with_0_and_the_next_start_is_clean() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = Broker::start(&data, &[]);
    println!("{}", broker.banner.last().unwrap());
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["kept"], 3), [0]);
    for partition in 0..3 {
        assert_eq!(client.produce("kept", partition, batch([&b"one"[..], b"two"])), (0, 0));
    }
    broker.stop();
    client.closed();
    let broker = Broker::start(&data, &[]);
    assert!(!broker.banner.iter().any(|line| line.contains("did not end cleanly")), "{:?}", broker.banner);
    let mut client = broker.client();
    for partition in 0..3 {
        assert_eq!(client.end_offset("kept", partition), 2);
        assert!(client.fetch("kept", partition, 0).1.windows(3).any(|bytes| bytes == b"two"));
    }
    broker.stop();
}

/// As with `duramen serve | head -0`: the report of the start has no reader.
#[test]
fn who_does_not_read_its_report_is_served_all_the_same() {
    let root = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let data = root.path().join("data");
    let mut command = program();
    command.args(["serve", "--listen", &listen, "--data-dir", data.to_str().unwrap()]);
    let mut broker = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(broker.stdout.take());
    await_that("it listens", || TcpStream::connect(&listen).is_ok());
    let port = listen.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(Client::connect(port).metadata().brokers.len(), 1);
    let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", broker.id())]).status();
    assert!(asked.unwrap().success());
    assert_eq!(broker.wait().unwrap().code(), Some(0), "it was told to stop and did");
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let root = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&root.path().join("data"), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["empty"], 1), [0]);
    // A long poll that has longer to wait than the drain takes is under way.
    let waiting = fetch_request("empty", 0, 0, 1024).with_max_wait_ms(600_000);
    client.ask(&waiting, 12);
    // Its request was read: the broker answers in order, and reads on meanwhile.
    await_that("the request is read", || broker.client().metadata().topics.len() == 1);
    broker.signal("TERM");
    await_that("the first signal is heard", || broker.log().contains("stopping"));
    broker.signal("TERM");
    assert_eq!(broker.ended().code(), Some(128 + 15), "{}", broker.log());
    assert!(broker.log().contains("ending at once"));
}

#[test]
fn a_start_right_after_a_kill_binds_at_once() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut clients = Vec::new();
    for _ in 0..10 {
        let broker = Broker::start(&data, &["--listen", &listen]);
        assert_eq!(broker.port(), port);
        clients.extend((0..8).map(|_| Client::connect(port)));
        clients.last_mut().unwrap().metadata();
        broker.kill();
    }
    let broker = Broker::start(&data, &["--listen", &listen]);
    assert!(broker.banner.iter().any(|line| line.contains("did not end cleanly")), "{:?}", broker.banner);
    broker.stop();
}

#[test]
fn a_stock_configuration_of_kafka_starts() {
    let root = tempfile::tempdir().unwrap();
    let (port, controller) = (free_port(), free_port());
    let data = root.path().join("kraft-combined-logs");
    let file = root.path().join("server.properties");
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=7\n\
         controller.quorum.bootstrap.servers=localhost:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
         SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
         num.network.threads=3\n\
         num.io.threads=8\n\
         socket.send.buffer.bytes=102400\n\
         socket.receive.buffer.bytes=102400\n\
         socket.request.max.bytes=104857600\n\
         log.dirs={}\n\
         num.partitions=1\n\
         num.recovery.threads.per.data.dir=1\n\
         offsets.topic.replication.factor=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         log.retention.hours=168\n\
         log.segment.bytes=1073741824\n\
         log.retention.check.interval.ms=300000\n",
        data.display()
    );
    fs::write(&file, text).unwrap();
    let broker = Broker::serve(&data, &["--config", file.to_str().unwrap()]);
    assert!(data.join("duramen.properties").exists());
    let brokers = broker.client().metadata().brokers;
    assert_eq!(brokers.len(), 1);
    assert_eq!((brokers[0].node_id.0, brokers[0].host.as_str(), brokers[0].port), (7, "localhost", i32::from(port)));
    broker.stop();
}
