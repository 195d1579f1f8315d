//! The network: queues and interrupts of the interface, and how many connections may wait.

use std::collections::BTreeSet;

use crate::tune::entry::{Effect, Entry, Finding, Need};
use crate::tune::host::{self, Host};

pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "network queues",
        need: Need::Should,
        why: "with a queue for each shard, packets are taken up where they are worked on",
        effect: Effect::Reasoned("loopback has no queues, and a virtual machine has those of its host"),
        check: queues,
    },
    Entry {
        name: "network interrupts",
        need: Need::Should,
        why: "interrupts that all come to one core steal from the shard that is pinned there",
        effect: Effect::Reasoned("irqbalance moves them on its own: stop it, or let it leave them alone"),
        check: interrupts,
    },
    Entry {
        name: "waiting connections",
        need: Need::Should,
        why: "clients that come back all at once wait in the kernel until they are accepted",
        effect: Effect::Reasoned("what does not fit must try again after a second"),
        check: waiting,
    },
];

const WAITING_MIN: u64 = 4_096;

/// The interface, if there is a device behind it.
fn device(host: &Host) -> Result<String, Finding> {
    let Some(interface) = host.interface() else {
        return Err(Finding::not_here("no default route; name an interface with --interface"));
    };
    if host.has(&format!("/sys/class/net/{interface}/device")) {
        Ok(interface)
    } else {
        Err(Finding::not_here(format!("no device behind {interface}")))
    }
}

fn queues(host: &Host) -> Finding {
    let interface = match device(host) {
        Ok(interface) => interface,
        Err(finding) => return finding,
    };
    let names = host.names(&format!("/sys/class/net/{interface}/queues"));
    let (queues, cpus) = (names.iter().filter(|name| name.starts_with("rx-")).count(), host.cpus().len());
    let found = format!("{interface} has {queues} for {cpus} CPUs");
    if queues >= cpus {
        return Finding::good(found);
    }
    // How many the device can have, only ethtool tells.
    let line =
        |queues: usize| format!("ethtool -L {interface} combined {queues} || echo '{interface} has no more queues'");
    Finding::missing(found, line(cpus), line(queues))
}

fn interrupts(host: &Host) -> Finding {
    let interface = match device(host) {
        Ok(interface) => interface,
        Err(finding) => return finding,
    };
    // Those of a virtio device belong to the bus device above it.
    let below = format!("/sys/class/net/{interface}/device");
    let places = [format!("{below}/msi_irqs"), format!("{below}/../msi_irqs")];
    let irqs = places.iter().map(|place| host.names(place)).find(|names| !names.is_empty()).unwrap_or_default();
    let path = |irq: &str| format!("/proc/irq/{irq}/smp_affinity_list");
    let known: Vec<(String, String)> =
        irqs.into_iter().filter_map(|irq| Some((irq.clone(), host.read(&path(&irq))?))).collect();
    let cpus = host.cpus();
    if known.len() < 2 || cpus.len() < 2 {
        return Finding::not_here(format!("{interface} has {} of its own, for {} CPUs", known.len(), cpus.len()));
    }
    let reached: BTreeSet<usize> = known.iter().flat_map(|(_, list)| host::cpus(list)).collect();
    if reached.len() > 1 {
        return Finding::good(format!("{} of {interface}, on {} CPUs", known.len(), reached.len()));
    }
    let line = |irq: &str, list: &str| format!("echo {list} > {}", path(irq));
    let spread = known.iter().zip(cpus.iter().cycle());
    Finding::Missing {
        found: format!("{} of {interface}, all on one CPU", known.len()),
        set: spread.map(|((irq, _), cpu)| line(irq, &cpu.to_string())).collect(),
        undo: known.iter().map(|(irq, old)| line(irq, old)).collect(),
    }
}

fn waiting(host: &Host) -> Finding {
    const SETTING: &str = "net.core.somaxconn";
    match host.number("/proc/sys/net/core/somaxconn") {
        None => Finding::not_here(format!("no {SETTING}")),
        Some(found) if found >= WAITING_MIN => Finding::good(format!("{SETTING}={found}")),
        Some(old) => {
            let line = |value: u64| format!("sysctl -w {SETTING}={value}");
            Finding::missing(format!("{SETTING}={old}"), line(WAITING_MIN), line(old))
        }
    }
}
