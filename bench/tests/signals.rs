//! The second signal ends the process at once, and nothing that it has started outlives it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use duramen_bench::children;
use duramen_bench::stop::Stop;

const CHILD: &str = "DURAMEN_BENCH_TEST_CHILD";

/// Runs itself once more as the process that gets the signals.
#[test]
#[expect(clippy::zombie_processes, reason = "the second signal ends the process before it could wait")]
fn children_end_with_the_second_signal() {
    if std::env::var_os(CHILD).is_some() {
        let stop = Stop::on_signals().unwrap();
        let sleeper = children::spawn(Command::new("sleep").arg("600")).unwrap();
        println!("\nready {}", sleeper.id());
        while stop.signal().is_none() {
            std::thread::yield_now();
        }
        println!("\nasked");
        loop {
            std::thread::park();
        }
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "children_end_with_the_second_signal", "--nocapture"]).env(CHILD, "1");
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let signal = |signal: rustix::process::Signal| {
        rustix::process::kill_process(rustix::process::Pid::from_child(&process), signal).unwrap();
    };
    let ready = lines.by_ref().find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
    let sleeper = PathBuf::from(format!("/proc/{}/cmdline", ready.unwrap()));
    signal(rustix::process::Signal::HUP);
    assert!(lines.any(|line| line == "asked"));
    assert!(sleeper.exists(), "the first signal only asks");
    signal(rustix::process::Signal::INT);
    let status = process.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    let deadline = Instant::now() + Duration::from_secs(10);
    // What has ended and was not waited for has no command line any more.
    while std::fs::read(&sleeper).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < deadline, "it outlives the process");
        std::thread::yield_now();
    }
}
