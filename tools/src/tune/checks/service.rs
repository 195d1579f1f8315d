//! How the broker is run: its unit, its share of CPUs, its container.

use std::path::Path;

use super::kernel::UNITS;
use crate::tune::entry::{Effect, Entry, Finding, Need};
use crate::tune::host::Host;

pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "systemd unit",
        need: Need::Should,
        why: "limits, no swap, a directory of its own, an orderly end and a start after a failure",
        effect: Effect::Reasoned("it expects the binary in /usr/local/bin"),
        check: unit,
    },
    Entry {
        name: "CPU quota",
        need: Need::Should,
        why: "a pinned thread that is throttled stalls its partitions",
        effect: Effect::Reasoned("the broker warns at its start"),
        check: quota,
    },
    Entry {
        name: "container",
        need: Need::Should,
        why: "the default profiles of Docker and containerd forbid io_uring, and data must outlive the container",
        effect: Effect::Reasoned("without the calls the broker does not start"),
        check: container,
    },
];

/// What is installed.
const UNIT: &str = include_str!("../../../../tuning/duramen.service");
const MARK: &str = "END_OF_UNIT";

fn unit(host: &Host) -> Finding {
    if let Some(path) = UNITS.iter().find(|path| host.has(path)) {
        return Finding::good(*path);
    }
    if !host.has("/run/systemd/system") {
        return Finding::not_here("systemd does not run here");
    }
    let file = UNITS[0];
    Finding::Missing {
        found: "not installed".to_owned(),
        set: vec![format!("cat > {file} <<'{MARK}'\n{UNIT}{MARK}"), "systemctl daemon-reload".to_owned()],
        // Undone from the last line on.
        undo: vec!["systemctl daemon-reload".to_owned(), format!("rm -f {file}")],
    }
}

/// The smallest quota of the process's groups, in CPUs.
fn quota(host: &Host) -> Finding {
    let groups = host.read("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return Finding::not_here("no unified control group");
    };
    let of_group = |group: &Path| {
        let path = format!("/sys/fs/cgroup/{}/cpu.max", group.display().to_string().trim_start_matches('/'));
        let text = host.read(&path)?;
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    };
    let least = Path::new(group).ancestors().filter_map(of_group).fold(f64::MAX, f64::min);
    let cpus = host.cpus().len();
    if least >= cpus as f64 {
        return Finding::good(if least < f64::MAX { format!("{least:.1} CPUs") } else { "none".to_owned() });
    }
    let shards = (least.floor() as usize).max(1);
    Finding::by_hand(
        format!("{least:.1} CPUs, and {cpus} may be used"),
        format!("serve with --shards {shards}, or raise the quota"),
    )
}

fn container(host: &Host) -> Finding {
    let groups = host.read("/proc/self/cgroup").unwrap_or_default();
    let is_one = host.has("/.dockerenv")
        || host.has("/run/.containerenv")
        || ["docker", "kubepods", "containerd"].iter().any(|name| groups.contains(name));
    if !is_one {
        return Finding::not_here("this is no container");
    }
    match host.status("Seccomp").as_deref() {
        Some("2") => Finding::by_hand(
            "a seccomp filter",
            "allow io_uring's calls and cachestat (tuning/README.md, Containers); put the data directory on a volume",
        ),
        _ => Finding::good("no seccomp filter"),
    }
}
