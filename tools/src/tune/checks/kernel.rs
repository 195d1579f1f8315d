//! The kernel: its version, io_uring, and the limits of a process.

use crate::tune::entry::{Effect, Entry, Finding, Need};
use crate::tune::host::Host;

pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "kernel 6.1",
        need: Need::Must,
        why: "the rings' deferred task work came with it",
        effect: Effect::Reasoned("the broker refuses to start on an older one"),
        check: |host| version(host, (6, 1)),
    },
    Entry {
        name: "io_uring allowed",
        need: Need::Must,
        why: "all network and disk I/O goes through it",
        effect: Effect::Reasoned("the broker refuses to start without it"),
        check: io_uring,
    },
    Entry {
        name: "locked memory",
        need: Need::Must,
        why: "each shard's executor registers memory with its ring; it does not start with less than 512 KiB",
        effect: Effect::Reasoned("8 MiB leave room for sixteen shards"),
        check: |host| limit(host, "Max locked memory", "LimitMEMLOCK", MEMLOCK_MIN, "memlock", "65536"),
    },
    Entry {
        name: "open files",
        need: Need::Should,
        why: "half of the limit is for connections, half for segment files",
        effect: Effect::Reasoned("the broker raises the soft limit itself; the hard one is yours"),
        check: |host| limit(host, "Max open files", "LimitNOFILE", NOFILE_MIN, "nofile", "1048576"),
    },
    Entry {
        name: "kernel 6.5",
        need: Need::Should,
        why: "cachestat tells what the page cache holds; without it nothing goes out by sendfile",
        effect: Effect::Measured("0.35-0.5 us for each MiB asked about"),
        check: |host| version(host, (6, 5)),
    },
];

const MEMLOCK_MIN: u64 = 8 << 20;
const NOFILE_MIN: u64 = 65_536;
/// Where a unit may be installed.
pub const UNITS: [&str; 3] = [
    "/etc/systemd/system/duramen.service",
    "/usr/lib/systemd/system/duramen.service",
    "/lib/systemd/system/duramen.service",
];

fn version(host: &Host, wanted: (u32, u32)) -> Finding {
    let Some(release) = host.read("/proc/sys/kernel/osrelease") else { return Finding::not_here("no kernel release") };
    let mut numbers = release.split(|one: char| !one.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= wanted {
        Finding::good(release)
    } else {
        Finding::by_hand(release, format!("install Linux {}.{} or later", wanted.0, wanted.1))
    }
}

fn io_uring(host: &Host) -> Finding {
    const SETTING: &str = "kernel.io_uring_disabled";
    match host.read("/proc/sys/kernel/io_uring_disabled").as_deref() {
        Some("0") => Finding::good(format!("{SETTING}=0")),
        Some(old) => {
            let line = |value: &str| format!("sysctl -w {SETTING}={value}");
            Finding::missing(format!("{SETTING}={old}"), line("0"), line(old))
        }
        // Kernels before 6.6 have no such setting.
        None => Finding::good("this kernel has no setting that forbids it"),
    }
}

/// The unit's limit if one is installed: the broker will have that, not what this shell has.
fn limit(host: &Host, name: &str, of_unit: &str, least: u64, item: &str, wanted: &str) -> Finding {
    let unit = UNITS.iter().find_map(|path| Some((path, host.read(path)?)));
    if let Some((path, unit)) = unit {
        let given = unit.lines().find_map(|line| line.strip_prefix(of_unit)?.strip_prefix('='));
        return match given {
            Some(given) if size(given).is_some_and(|given| given >= least) => {
                Finding::good(format!("{of_unit}={given} in {path}"))
            }
            given => {
                let found = format!("{of_unit}={} in {path}", given.unwrap_or("(not set)"));
                Finding::by_hand(found, format!("set {of_unit}={least} or more there; systemctl daemon-reload"))
            }
        };
    }
    let limits = host.read("/proc/self/limits").unwrap_or_default();
    // Soft, hard, unit.
    let values = limits.lines().find_map(|line| line.strip_prefix(name));
    let Some(hard) = values.and_then(|values| values.split_whitespace().nth(1)) else {
        return Finding::not_here(format!("no limit named {name}"));
    };
    let found = format!("{hard} for this user");
    if size(hard).is_some_and(|hard| hard >= least) {
        return Finding::good(found);
    }
    let file = format!("/etc/security/limits.d/99-duramen-{item}.conf");
    Finding::missing(
        found,
        format!("printf '* - {item} {wanted}\\nroot - {item} {wanted}\\n' > {file}"),
        format!("rm -f {file}"),
    )
}

/// Bytes or a count, with K, M, G of systemd; no limit is the largest.
fn size(text: &str) -> Option<u64> {
    if ["unlimited", "infinity"].contains(&text) {
        return Some(u64::MAX);
    }
    let unit = match text.as_bytes().last()? {
        b'K' => 1 << 10,
        b'M' => 1 << 20,
        b'G' => 1 << 30,
        _ => 1,
    };
    text.trim_end_matches(['K', 'M', 'G']).parse::<u64>().ok()?.checked_mul(unit)
}
