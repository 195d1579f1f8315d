//! Memory: pages, swap, and a balloon that takes memory away.

use crate::tune::entry::{Effect, Entry, Finding, Need};
use crate::tune::host::Host;

pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "no swap for the broker",
        need: Need::Should,
        why: "a buffer that was swapped out stalls a whole core, not one thread",
        effect: Effect::Reasoned("MemorySwapMax=0 in the unit does it for the broker alone"),
        check: swap,
    },
    Entry {
        name: "transparent huge pages",
        need: Need::Should,
        why: "buffers are mapped in 2 MiB pages: fewer faults, and a device takes their addresses for less",
        effect: Effect::Measured(
            "once memory is touched no effect: 0.47-0.54 CPU-s for a million records of 1 kB with them, 0.46-0.57 without",
        ),
        check: huge_pages,
    },
    Entry {
        name: "free page reporting",
        need: Need::Should,
        why: "a virtual machine that gives free memory back to its host pays for touching it again",
        effect: Effect::Measured("2.2 CPU-s for each GB touched, against 0.5 when the host still backs it"),
        check: balloon,
    },
];

const BALLOON: &str = "0x0005";
/// Of the balloon's features: VIRTIO_BALLOON_F_REPORTING.
const REPORTING_BIT: usize = 5;

fn swap(host: &Host) -> Finding {
    let swaps = host.read("/proc/swaps").map_or(0, |text| text.lines().count().saturating_sub(1));
    if swaps == 0 {
        return Finding::good("there is no swap");
    }
    match host.number("/proc/sys/vm/swappiness") {
        Some(old) if old > 1 => {
            let line = |value: u64| format!("sysctl -w vm.swappiness={value}");
            Finding::missing(format!("vm.swappiness={old}"), line(1), line(old))
        }
        Some(found) => Finding::good(format!("vm.swappiness={found}")),
        None => Finding::not_here("no vm.swappiness"),
    }
}

fn huge_pages(host: &Host) -> Finding {
    const PATH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    match host.chosen(PATH) {
        None => Finding::not_here("the kernel has none"),
        Some(found) if found != "never" => Finding::good(found),
        Some(old) => Finding::missing(old.clone(), format!("echo madvise > {PATH}"), format!("echo {old} > {PATH}")),
    }
}

fn balloon(host: &Host) -> Finding {
    const AT: &str = "/sys/bus/virtio/devices";
    let is_balloon = |name: &String| host.read(&format!("{AT}/{name}/device")).as_deref() == Some(BALLOON);
    let Some(device) = host.names(AT).into_iter().find(is_balloon) else {
        return Finding::not_here("no balloon device");
    };
    let features = host.read(&format!("{AT}/{device}/features")).unwrap_or_default();
    if features.as_bytes().get(REPORTING_BIT) == Some(&b'1') {
        Finding::by_hand(format!("on ({device})"), "turn it off in the hypervisor, if it is yours")
    } else {
        Finding::good("off")
    }
}
