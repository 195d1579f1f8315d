//! Every option acts, every default is what its help line says, and wrong combinations are refused.

use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::Wanted;
use crate::command::Command;
use crate::plan::{Begin, Pace, Plan, Topics};
use crate::show::repeat;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn parsed(line: &str) -> Result<Wanted, String> {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    match Arguments::try_parse_from(words).map_err(|error| error.to_string())?.command {
        Command::Produce(run) => run.wanted(),
        Command::Consume(run) => run.wanted(),
        Command::EndToEnd(run) => run.wanted(),
        Command::Mixed(run) => run.wanted(),
        Command::Workload(run) => run.wanted(),
        other => panic!("{other:?} has no plan"),
    }
    .map_err(|error| error.to_string())
}

fn plan(line: &str) -> Plan {
    parsed(line).unwrap_or_else(|error| panic!("{line}: {error}")).plan
}

/// A value that differs from the default, for each option.
const OTHERS: [(&str, &str); 43] = [
    ("rate", "max"),
    ("producers", "3"),
    ("connections", "2"),
    ("in-flight", "1"),
    ("record-size", "50..500"),
    ("keys", "7"),
    ("partitioner", "round-robin"),
    ("batch-size", "1M"),
    ("batch-records", "10"),
    ("linger", "0"),
    ("batches-per-request", "4"),
    ("acks", "1"),
    ("idempotence", "false"),
    ("compression", "zstd"),
    ("payload", "zeros"),
    ("request-timeout", "1s"),
    ("consumers", "3"),
    ("subscriptions", "2"),
    ("from", "last:5"),
    ("fetch-min-bytes", "1K"),
    ("fetch-max-wait", "1ms"),
    ("fetch-max-bytes", "1M"),
    ("partition-bytes", "64K"),
    ("fetch-sessions", "false"),
    ("passes", "3"),
    ("fill", "1000"),
    ("backlog", "1G"),
    ("bootstrap-server", "a:1,b:2"),
    ("topic", "orders"),
    ("topics", "2"),
    ("partitions", "12"),
    ("replication-factor", "3"),
    ("topic-config", "a=b"),
    ("duration", "10m"),
    ("warm-up", "1s"),
    ("records", "99"),
    ("threads", "2"),
    ("cores", "0,2-3"),
    ("memory", "64M"),
    ("seed", "9"),
    ("pid", "77"),
    ("start", "serve"),
    ("data-dir", "/d"),
];
const COMMANDS: [(&str, &str); 4] =
    [("produce", ""), ("consume", "--topic t"), ("end-to-end", ""), ("mixed", "--backlog 1")];

#[test]
fn every_option_acts() {
    let root = Arguments::command();
    let mut seen = 0;
    for (command, needs) in COMMANDS {
        for argument in root.find_subcommand(command).unwrap().get_arguments() {
            let Some(name) =
                argument.get_long().filter(|name| !["help", "json", "report", "hlog", "quiet"].contains(name))
            else {
                continue;
            };
            let value = OTHERS.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
            let value = match name {
                "key-skew" => "1.1 --keys 5",
                "metrics" => "h:1",
                "no-verify" | "keep-topic" => "",
                name => value.unwrap_or_else(|| panic!("--{name} has no value here")),
            };
            let own = ["topics", "partitions", "replication-factor", "topic-config", "keep-topic", "fill"];
            let needs = match (command, name) {
                ("consume", name) if own.contains(&name) => "--fill 10",
                (_, "backlog") | (_, "topic") => "",
                _ => needs,
            };
            let base = if name == "fill" {
                plan("consume --topic t")
            } else if needs.is_empty() && command == "consume" {
                plan("consume --topic other")
            } else {
                plan(&format!("{command} {needs}"))
            };
            let needs = if name == "fill" { "" } else { needs };
            let line = format!("{command} {needs} --{name} {value}");
            assert_ne!(plan(&line), base, "{command} --{name} changes nothing");
            if !["bootstrap-server", "cores", "pid", "start", "data-dir", "metrics"].contains(&name) {
                let again = repeat::command(&plan(&line));
                assert_eq!(
                    plan(again.strip_prefix("duramen bench ").unwrap()),
                    plan(&line),
                    "{line} is repeated by {again}"
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} options were tried");
}

#[test]
fn help_lines_tell_the_defaults() {
    let root = Arguments::command();
    let mut seen = 0;
    for (command, needs) in COMMANDS {
        let base = plan(&format!("{command} {needs}"));
        for argument in root.find_subcommand(command).unwrap().get_arguments() {
            let help = argument.get_help().expect("every option has a help line").to_string();
            let Some(default) = help.split("[default: ").nth(1).and_then(|rest| rest.split([']', ';']).next()) else {
                continue;
            };
            // A default in words is not a value; consume has others, which its help says.
            let reading = command == "consume"
                && ["duration", "warm_up", "topics", "partitions", "replication_factor"]
                    .contains(&argument.get_id().as_str());
            let joined = command != "consume" && argument.get_id() == "from";
            if default.contains("one ") || default.contains("the CPUs") || default == "none" || reading || joined {
                continue;
            }
            let (name, default) =
                (argument.get_long().unwrap(), default.trim_end_matches(" with acks all, else false"));
            let keys = if name == "key-skew" { "--keys 5" } else { "" };
            let base = if name == "key-skew" { plan(&format!("{command} {needs} {keys}")) } else { base.clone() };
            assert_eq!(plan(&format!("{command} {needs} {keys} --{name} {default}")), base, "{command} --{name}");
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} defaults were found");
}

#[test]
fn a_line_becomes_its_plan() {
    let found = plan("produce -b h:9 --rate 50000 --acks 1 --records 1000 --keys 100 --key-skew 0.9");
    let produce = found.produce.unwrap();
    assert_eq!(produce.pace, Pace::Open { records_per_second: 50_000.0 });
    assert_eq!((produce.acks, produce.idempotence), (1, false));
    assert_eq!((found.records, found.duration, found.servers), (Some(1_000), None, vec!["h:9".to_owned()]));
    assert_eq!(found.warm_up, Duration::ZERO, "records that end a run are all measured");
    let read = plan("consume --topic a,b --duration 5s --from end");
    assert_eq!(read.topics, Topics::Existing(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((read.duration, read.consume.unwrap().from), (Some(Duration::from_secs(5)), Begin::End));
    assert_eq!(plan("end-to-end").consume.unwrap().from, Begin::End);
}

#[test]
fn results_go_where_they_are_asked_for() {
    let output = |line: &str| parsed(line).unwrap().output;
    assert_eq!(output("produce").json, None);
    assert_eq!(output("produce --json").json, Some("-".into()));
    let all = output("produce --json a --report b --hlog c -q");
    assert_eq!(
        (all.json, all.report, all.hlog, all.quiet),
        (Some("a".into()), Some("b".into()), Some("c".into()), true)
    );
}

#[test]
fn wrong_lines_say_what_is_wrong() {
    for (line, words) in [
        ("produce --acks 1 --idempotence true", "needs --acks all"),
        ("produce --in-flight 6", "lower --in-flight"),
        ("produce --key-skew 1", "--keys N"),
        ("produce --keys 5 --partitioner sticky", "cannot be used with"),
        ("produce --record-size 5..1", "expected bytes"),
        ("produce --rate 0", "records a second"),
        ("produce --duration 5", "a time with its unit"),
        ("produce --topic t --partitions 2", "cannot be used with"),
        ("produce --pid 1 --start x", "cannot be used with"),
        ("produce -b localhost", "HOST:PORT"),
        ("consume", "--fill"),
        ("consume --topic t --from end", "--duration"),
        ("consume --topic t --passes 2 --duration 1s", "cannot be used with"),
        ("end-to-end --record-size 10", "at least 24 bytes"),
        ("mixed --record-size 100@1,8@1", "at least 24 bytes"),
    ] {
        let error = parsed(line).err().unwrap_or_else(|| panic!("{line} is taken"));
        assert!(error.contains(words), "{line}: {error}");
    }
    assert!(plan("produce --in-flight 6 --idempotence false").produce.is_some());
}
