//! Settings from a file and from the command line, and what is wrong with some.

use super::super::broker::Broker;
use super::super::listeners::Protocol;
use super::*;

/// The settings that Kafka 4.3's own KRaft example file names.
const STOCK: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
    SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/var/lib/events
num.partitions=3
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
#log.flush.interval.messages=10000
log.retention.hours=48
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

fn read(file: &str) -> Result<Settings, Error> {
    Settings::from_sources(Some(file), &[])
}

fn broker(file: &str) -> Broker {
    let (settings, none) = (read(file).expect("valid"), Configs::new());
    Broker::new(&settings, &none, &none)
}

fn refusal(file: &str) -> String {
    read(file).expect_err(file).to_string()
}

#[test]
fn nothing_given_is_enough() {
    let (settings, none) = (Settings::from_sources(None, &[]).expect("valid"), Configs::new());
    let broker = Broker::new(&settings, &none, &none);
    assert_eq!(broker.node_id, 1);
    assert_eq!(broker.data_dir, "./duramen-data");
    assert_eq!(broker.listeners.all.len(), 1);
    assert_eq!((broker.listeners.all[0].host.as_str(), broker.listeners.all[0].port), ("localhost", 9092));
    assert_eq!(broker.group_initial_rebalance_delay_ms, 3000);
    assert_eq!(broker.socket_request_max_bytes, 104_857_600);
    assert!(settings.notices().is_empty());
}

#[test]
fn a_stock_file_starts_without_its_controller_listener() {
    let settings = read(STOCK).expect("stock");
    let none = Configs::new();
    let broker = Broker::new(&settings, &none, &none);
    assert_eq!(broker.data_dir, "/var/lib/events");
    assert_eq!(broker.num_partitions, 3);
    assert_eq!(broker.listeners.dropped, ["CONTROLLER"]);
    let [listener] = broker.listeners.all.as_slice() else { panic!("one listener: {:?}", broker.listeners) };
    assert_eq!((listener.name.as_str(), listener.host.as_str(), listener.port), ("PLAINTEXT", "", 9092));
    assert_eq!(listener.protocol, Protocol::Plaintext);
    assert_eq!(broker.listeners.advertised["PLAINTEXT"].host, "localhost");
    assert_eq!(settings.start()["broker.id"], "1");
    assert!(settings.notices()[0].contains("CONTROLLER"));
    assert!(settings.notices().last().expect("notices").contains("num.network.threads"));
}

#[test]
fn an_unknown_name_names_its_line_and_the_nearest() {
    assert_eq!(
        refusal("# one\nlog.retension.ms=5\n"),
        "settings file, line 2: no setting is called 'log.retension.ms'; did you mean 'log.retention.ms'?"
    );
    assert!(refusal("retention.ms=5").ends_with("did you mean 'log.retention.ms'?"));
    assert!(refusal("zzz=1").ends_with("no setting is called 'zzz'"));
}

#[test]
fn a_malformed_value_says_what_is_valid() {
    assert_eq!(
        refusal("num.partitions=many"),
        "settings file, line 1: Invalid value many for configuration num.partitions: Not a number of type INT"
    );
    assert!(refusal("num.partitions=0").ends_with("Value must be at least 1"));
}

#[test]
fn pairs_win_over_the_file_and_must_have_a_value() {
    let sets = ["num.partitions=7".to_string()];
    let settings = Settings::from_sources(Some("num.partitions=3"), &sets).expect("valid");
    assert_eq!(settings.start()["num.partitions"], "7");
    let error = Settings::from_sources(None, &["num.partitions".to_string()]).expect_err("no value");
    assert_eq!(error.to_string(), "--set num.partitions: it must read KEY=VALUE");
}

#[test]
fn what_would_break_a_promise_is_refused() {
    for file in [
        "log.message.timestamp.type=LogAppendTime",
        "compression.type=zstd",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "create.topic.policy.class.name=Policy",
        "config.providers=file",
        "remote.log.storage.system.enable=true",
        "process.roles=controller",
        "listeners=SSL://:9092",
        "listeners=SASL_PLAINTEXT://:9092",
        "listener.security.protocol.map=OUT:SSL\nlisteners=OUT://:9092",
        "log.dirs=/a,/b",
    ] {
        assert!(refusal(file).contains("offered"), "{file}: {}", refusal(file));
    }
}

#[test]
fn listeners_are_checked() {
    for (file, expected) in [
        ("listeners=PLAINTEXT:9092", "NAME://HOST:PORT"),
        ("listeners=PLAINTEXT://localhost", "HOST:PORT"),
        ("listeners=PLAINTEXT://localhost:99999", "HOST:PORT"),
        ("listeners=PLAINTEXT://::1:9092", "HOST:PORT"),
        ("listeners=PLAINTEXT://a:1,PLAINTEXT://a:2", "name of its own"),
        ("listeners=OUTSIDE://a:1", "add OUTSIDE:PLAINTEXT to listener.security.protocol.map"),
        ("listeners=", "at least one listener"),
        ("listeners=CONTROLLER://:1\ncontroller.listener.names=CONTROLLER", "at least one listener"),
        ("advertised.listeners=INSIDE://a:1", "no listener has this name"),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:1", "wildcard"),
        ("duramen.cores.listeners=CORES", "no listener has this name"),
    ] {
        assert!(refusal(file).contains(expected), "{file}: {}", refusal(file));
    }
}

#[test]
fn several_listeners_keep_their_own_limits_and_addresses() {
    let broker = broker(
        "listeners=INSIDE://[::1]:19092,outside://0.0.0.0:29092\n\
         listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT\n\
         advertised.listeners=OUTSIDE://events.example:29092\n\
         listener.name.inside.max.connections=5\nduramen.cores.listeners=inside\n",
    );
    let [inside, outside] = broker.listeners.all.as_slice() else { panic!("two listeners") };
    assert_eq!((inside.host.as_str(), inside.connections_max, inside.per_shard), ("::1", Some(5), true));
    assert_eq!((outside.name.as_str(), outside.connections_max, outside.per_shard), ("OUTSIDE", None, false));
    assert_eq!(broker.listeners.advertised["OUTSIDE"].host, "events.example");
}

#[test]
fn what_is_advertised_is_recorded() {
    let mut settings = Settings::from_sources(None, &[]).expect("valid");
    settings.advertise(&[Advertised { name: "PLAINTEXT".into(), host: "::1".into(), port: 9092 }]);
    assert_eq!(settings.start()["advertised.listeners"], "PLAINTEXT://[::1]:9092");
    assert_eq!(settings.listeners().advertised["PLAINTEXT"].port, 9092);
}

#[test]
fn changes_while_running_stand_above_the_start() {
    let settings = read("max.connections=1000\nlog.retention.minutes=10").expect("valid");
    let changed = |name: &str, value: &str| (name.to_string(), value.to_string());
    let cluster =
        Configs::from([changed("max.connections", "2000"), changed("listener.name.plaintext.max.connections", "7")]);
    let node = Configs::from([("max.connections".to_string(), "nonsense".to_string())]);
    let broker = Broker::new(&settings, &node, &cluster);
    assert_eq!(broker.max_connections, 2000, "an invalid stored value is passed over");
    assert_eq!(broker.listeners.all[0].connections_max, Some(7));
}
