//! `duramen bench` against the broker itself: what it says when all is well, when the broker stops or dies, and when it is
//! used wrongly.

mod process;
mod support;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use duramen_bench::admin::Cluster;
use duramen_bench::outcome::{Outcome, Verdict};
use tempfile::TempDir;

use process::{PATIENCE, end_of, program};
use support::{Broker, free_port, until};

const SECOND: f64 = 1e9;
/// What is measured here must not share the machine with the other tests of this file.
static MACHINE: Mutex<()> = Mutex::new(());

/// A run of the program, and where its result will be.
struct Run {
    command: Command,
    result: PathBuf,
    _scratch: TempDir,
}

impl Run {
    /// `line` follows `duramen bench`; the broker is named here.
    fn new(server: &str, line: &str) -> Run {
        let scratch = TempDir::with_prefix("duramen-bench-").expect("a temporary directory");
        let result = scratch.path().join("result.json");
        let mut command = program();
        command.arg("bench").args(line.split_whitespace()).args(["--bootstrap-server", server, "--quiet", "--json"]);
        command.arg(&result).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run { command, result, _scratch: scratch }
    }

    fn spawn(&mut self) -> Child {
        self.command.spawn().expect("the program can be run")
    }

    /// Runs it to its end; the exit code, and what it wrote to stderr.
    fn end(&mut self) -> (i32, String) {
        ended(self.spawn())
    }

    fn outcome(&self) -> Outcome {
        let text = fs::read_to_string(&self.result).expect("the result was written");
        serde_json::from_str(&text).expect("the result is an outcome")
    }
}

fn ended(mut child: Child) -> (i32, String) {
    end_of(&mut child, PATIENCE).expect("the run ends");
    let Output { status, stderr, .. } = child.wait_with_output().expect("it has ended");
    (status.code().expect("it was not killed"), String::from_utf8_lossy(&stderr).into_owned())
}

fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has ended its broker too.
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cluster(broker: &Broker) -> Cluster {
    Cluster::connect(&[broker.address()]).expect("the broker answers")
}

/// Waits until a topic of one partition holds so many records.
fn await_records(cluster: &mut Cluster, topic: &str, records: i64) {
    let has = |cluster: &mut Cluster| cluster.ends(topic).expect("the broker answers")[&0] >= records;
    until(PATIENCE, || has(cluster).then_some(())).expect("records come");
}

/// Records are due at 1,000 a second for 10 seconds, and the broker stands still for about one of them. Then arithmetic
/// says how many records waited how long.
#[test]
fn a_broker_that_stands_still_gives_the_predicted_histogram() {
    let _alone = alone();
    let mut broker = Broker::start(1, &[]);
    let mut cluster = cluster(&broker);
    cluster.create_topic("t", 1, 1, &[]).expect("the topic is made");
    let line = "produce --rate 1000 --duration 10s --warm-up 0s --batch-size 1M --batch-records 1000 --topic t";
    let mut run = Run::new(&broker.address(), line);
    let child = run.spawn();
    await_records(&mut cluster, "t", 4_000);
    let stopped = Instant::now();
    broker.signal("STOP");
    // Not a wait for anything: this is the stop that is to be measured.
    std::thread::sleep(Duration::from_secs(1));
    broker.signal("CONT");
    let stood = stopped.elapsed().as_secs_f64();
    let (code, told) = ended(child);
    let outcome = run.outcome();
    assert_eq!((code, outcome.verification.verdict), (0, Verdict::Verified), "{told}");
    let scheduled = outcome.latency.scheduled.as_ref().expect("records were due");
    assert_eq!(scheduled.samples, 10_000);
    let near = |told: u64, seconds: f64| (told as f64 / SECOND - seconds).abs() <= 0.1 * seconds;
    assert!(near(scheduled.p99_ns.unwrap(), stood - 0.1), "it stood {stood} s: {scheduled:?}");
    assert!(near(scheduled.p95_ns.unwrap(), stood - 0.5), "it stood {stood} s: {scheduled:?}");
    assert!(near(scheduled.max_ns, stood), "it stood {stood} s: {scheduled:?}");
    let sent = outcome.latency.sent.as_ref().expect("records were sent");
    assert!(sent.p99_ns.unwrap() as f64 / SECOND < 0.1 * stood, "{sent:?}");
    broker.stop();
}

#[test]
fn from_end_to_end_everything_arrives() {
    let _alone = alone();
    let mut broker = Broker::start(2, &[]);
    let line = "end-to-end --rate 2000 --duration 3s --warm-up 1s --partitions 4 --producers 3 --subscriptions 2";
    let mut run = Run::new(&broker.address(), &format!("{line} --consumers 2 --pid {}", broker.pid()));
    let (code, told) = run.end();
    let outcome = run.outcome();
    assert_eq!((code, outcome.verification.verdict), (0, Verdict::Verified), "{told}");
    assert_eq!(outcome.verification.acknowledged, 8_000);
    assert_eq!(outcome.latency.end_to_end.as_ref().expect("records arrived").samples, 12_000);
    let cost = outcome.cost.as_ref().expect("a process was named");
    assert!(cost.user_seconds + cost.system_seconds > 0.0 && cost.peak_bytes.is_some(), "{cost:?}");
    assert!(outcome.series.iter().filter(|second| second.rss_bytes.is_some()).count() >= 4);
    // Its topic is gone.
    assert!(!broker.run("topic list").contains("duramen-bench"));
    broker.stop();
}

#[test]
fn a_topic_is_filled_and_read_again_and_again() {
    let _alone = alone();
    let mut broker = Broker::start(1, &[]);
    let mut run = Run::new(&broker.address(), "consume --fill 20000 --passes 3 --partitions 2 --consumers 2");
    let (code, told) = run.end();
    let outcome = run.outcome();
    assert_eq!((code, outcome.verification.verdict), (0, Verdict::Verified), "{told}");
    assert_eq!(outcome.verification.acknowledged, 20_000);
    let consumed = outcome.consumed.expect("it consumed");
    assert!(consumed.records == 60_000 && consumed.records_per_second > 0.0 && outcome.seconds > 0.0, "{consumed:?}");
    broker.stop();
}

#[test]
fn a_backlog_is_drained_beside_the_load() {
    let _alone = alone();
    let mut broker = Broker::start(2, &[]);
    let line = "mixed --rate 1000 --duration 3s --warm-up 0s --backlog 1M --partitions 2";
    let mut run = Run::new(&broker.address(), line);
    let (code, told) = run.end();
    let outcome = run.outcome();
    assert_eq!((code, outcome.verification.verdict), (0, Verdict::Verified), "{told}");
    assert_eq!(outcome.latency.end_to_end.as_ref().expect("records arrived").samples, 3_000);
    let (backlog, arrived) = (outcome.verification.acknowledged - 3_000, outcome.consumed.unwrap().records);
    assert!(backlog >= 10_000 && arrived >= backlog + 2_900, "{arrived} of {backlog} and 3000");
    broker.stop();
}

#[test]
fn a_thousand_producers_and_a_thousand_consumers_live_in_one_process() {
    let _alone = alone();
    let mut broker = Broker::start(2, &["num.partitions=1"]);
    let line = "end-to-end --rate 1000 --duration 5s --warm-up 0s --producers 1000 --partitions 100 \
                --consumers 100 --subscriptions 10";
    let mut run = Run::new(&broker.address(), line);
    let (code, told) = run.end();
    let outcome = run.outcome();
    // An unoptimized generator may be late with all of that; it must not lose anything.
    assert!([0, 4].contains(&code), "{code}: {told}");
    assert_eq!(outcome.verification.verdict, Verdict::Verified, "{told}");
    assert_eq!(outcome.verification.acknowledged, 5_000);
    assert_eq!(outcome.latency.end_to_end.expect("records arrived").samples, 50_000);
    broker.stop();
}

#[test]
fn a_broker_that_dies_leaves_what_was_measured_until_then() {
    let _alone = alone();
    let mut broker = Broker::start(1, &[]);
    let mut cluster = cluster(&broker);
    cluster.create_topic("t", 1, 1, &[]).expect("the topic is made");
    let line = "produce --rate 1000 --duration 60s --warm-up 0s --topic t";
    let mut run = Run::new(&broker.address(), line);
    let child = run.spawn();
    await_records(&mut cluster, "t", 1_500);
    broker.kill();
    let (code, told) = ended(child);
    let outcome = run.outcome();
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("closed the connection"), "{told}");
    assert!(outcome.incomplete.expect("it is incomplete").contains("closed the connection"));
    assert!(outcome.produced.expect("it produced").records >= 1_000);
    let verification = outcome.verification;
    assert_eq!(verification.verdict, Verdict::Not, "{verification:?}");
    assert!(verification.acknowledged >= 1_500 && verification.reason.expect("there is one").contains("read back"));
}

#[test]
fn a_broker_is_started_measured_and_stopped() {
    let _alone = alone();
    let scratch = TempDir::with_prefix("duramen-bench-").expect("a temporary directory");
    let address = format!("127.0.0.1:{}", free_port());
    let data = scratch.path().join("data");
    let start = format!(
        "{} serve --data-dir {} --listen {address} --memory 256M",
        env!("CARGO_BIN_EXE_duramen"),
        data.display()
    );
    let mut run = Run::new(&address, "produce --rate 1000 --duration 2s --warm-up 0s");
    run.command.args(["--start", &start]).arg("--data-dir").arg(&data);
    let (code, told) = run.end();
    let outcome = run.outcome();
    assert_eq!((code, outcome.verification.verdict), (0, Verdict::Verified), "{told}");
    assert!(outcome.cost.is_some_and(|cost| cost.user_seconds + cost.system_seconds > 0.0));
    // Nobody listens any more.
    TcpListener::bind(&address).expect("the port is free");
}

/// Two lines: what and why, what to do.
#[track_caller]
fn refused(server: &str, line: &str, code: i32, what: &str, remedy: &str) {
    let mut run = Run::new(server, line);
    let (ended, told) = run.end();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(ended, code, "{told}");
    assert!(lines.iter().any(|line| line.contains(what)), "{told}");
    assert!(lines.iter().any(|line| line.contains(remedy)), "{told}");
}

#[test]
fn what_cannot_be_measured_says_why_and_what_to_do() {
    let _alone = alone();
    let nobody = format!("127.0.0.1:{}", free_port());
    refused(&nobody, "produce", 1, "cannot reach a broker at", "--bootstrap-server");
    let mut broker = Broker::start(1, &["auto.create.topics.enable=false"]);
    let server = broker.address();
    refused(&server, "produce --topic none", 1, "topic none does not exist", "duramen topic create none");
    broker.run("topic create empty");
    refused(&server, "consume --topic empty", 1, "topic empty holds no records", "--fill");
    refused(&server, "produce --record-size 100..x", 2, "100..x", "--help");
    refused(&server, "end-to-end --record-size 10", 2, "24", "");
    broker.stop();
}

#[test]
fn a_rate_beyond_reach_is_an_exit_code_of_its_own() {
    let _alone = alone();
    let mut broker = Broker::start(1, &[]);
    let line = "produce --rate 50000000 --duration 2s --warm-up 0s";
    let mut run = Run::new(&broker.address(), line);
    let (code, told) = run.end();
    let outcome = run.outcome();
    assert_eq!((code, outcome.rate_kept), (4, Some(false)), "{told}");
    assert!(told.contains("were asked for") && told.contains("ask for less"), "{told}");
    assert_eq!(outcome.verification.verdict, Verdict::Verified, "{:?}", outcome.verification);
    assert!(outcome.produced.expect("it produced").unsent > 0);
    broker.stop();
}
