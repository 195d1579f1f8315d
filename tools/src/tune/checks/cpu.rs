//! CPUs: how fast they wake, and what tells the time.

use crate::tune::entry::{Effect, Entry, Finding, Need};
use crate::tune::host::Host;

pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "CPU governor",
        need: Need::Should,
        why: "a core that runs slowly when a request comes is seen in p99 at low rates",
        effect: Effect::Reasoned("a virtual machine has no governor"),
        check: governor,
    },
    Entry {
        name: "idle states",
        need: Need::Should,
        why: "a core in a deep idle state takes up to some 100 us to wake",
        effect: Effect::Reasoned("below a virtual machine those of its host count"),
        check: idle,
    },
    Entry {
        name: "clock source",
        need: Need::Should,
        why: "time is read several times for each request; tsc and kvm-clock are read without a system call",
        effect: Effect::Reasoned("another source makes each reading a system call"),
        check: clock,
    },
];

/// Idle states that take longer to leave cost more than a small request does.
const WAKE_US_MAX: u64 = 50;

fn governor(host: &Host) -> Finding {
    let path = |cpu: usize| format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    let found: Vec<(usize, String)> =
        host.cpus().into_iter().filter_map(|cpu| Some((cpu, host.read(&path(cpu))?))).collect();
    if found.is_empty() {
        return Finding::not_here("no cpufreq: the host below a virtual machine decides");
    }
    let others: Vec<_> = found.iter().filter(|(_, governor)| governor != "performance").collect();
    let Some((_, other)) = others.first() else { return Finding::good("performance") };
    let line = |cpu: usize, governor: &str| format!("echo {governor} > {}", path(cpu));
    Finding::Missing {
        found: format!("{other} on {} of {} CPUs", others.len(), found.len()),
        set: others.iter().map(|(cpu, _)| line(*cpu, "performance")).collect(),
        undo: others.iter().map(|(cpu, old)| line(*cpu, old)).collect(),
    }
}

fn idle(host: &Host) -> Finding {
    let (mut set, mut undo, mut states) = (Vec::new(), Vec::new(), 0);
    for cpu in host.cpus() {
        let below = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle");
        for state in host.names(&below).into_iter().filter(|name| name.starts_with("state")) {
            states += 1;
            let wake = host.number(&format!("{below}/{state}/latency")).unwrap_or(0);
            let switch = format!("{below}/{state}/disable");
            if wake > WAKE_US_MAX && host.read(&switch).as_deref() == Some("0") {
                set.push(format!("echo 1 > {switch}"));
                undo.push(format!("echo 0 > {switch}"));
            }
        }
    }
    match (states, set.len()) {
        (0, _) => Finding::not_here("no idle states: the host below a virtual machine decides"),
        (_, 0) => Finding::good(format!("none that takes more than {WAKE_US_MAX} us to leave")),
        (_, deep) => {
            Finding::Missing { found: format!("{deep} that take more than {WAKE_US_MAX} us to leave"), set, undo }
        }
    }
}

fn clock(host: &Host) -> Finding {
    const AT: &str = "/sys/devices/system/clocksource/clocksource0";
    let Some(found) = host.read(&format!("{AT}/current_clocksource")) else {
        return Finding::not_here("no clock source");
    };
    // Of other machines than x86 the first is its own counter.
    if ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"].contains(&found.as_str()) {
        return Finding::good(found);
    }
    let offered = host.read(&format!("{AT}/available_clocksource")).unwrap_or_default();
    Finding::by_hand(found, format!("boot with clocksource=tsc if the host's is steady; offered: {offered}"))
}
