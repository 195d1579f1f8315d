//! Each check on hosts that are directories: as it should be, as it should not, and where there is no such thing.

use std::fs;
use std::path::Path;

use crate::tune::entry::Finding;
use crate::tune::host::Host;

const STATUS: (&str, &str) = ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1\nSeccomp:\t2\n");
const MOUNT: (&str, &str) = ("proc/self/mountinfo", "21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw,discard\n");

/// What an entry finds on a host of these files.
fn found(name: &str, files: &[(&str, &str)]) -> Finding {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let host = Host::new(root.path().to_owned(), Path::new("/"), Some("eth0".to_owned()));
    let entry = super::all().into_iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no entry {name}"));
    (entry.check)(&host)
}

#[track_caller]
fn is_good(name: &str, files: &[(&str, &str)]) {
    assert_eq!(found(name, files).state(), "ok", "{name}: {:?}", found(name, files));
}

#[track_caller]
fn is_by_hand(name: &str, files: &[(&str, &str)]) {
    assert_eq!(found(name, files).state(), "by hand", "{name}: {:?}", found(name, files));
}

#[track_caller]
fn is_set_by(name: &str, files: &[(&str, &str)], set: &[&str], undo: &[&str]) {
    let Finding::Missing { set: lines, undo: back, .. } = found(name, files) else {
        panic!("{name}: {:?}", found(name, files));
    };
    assert_eq!(
        (lines, back),
        (set.iter().map(|&line| line.to_owned()).collect(), undo.iter().map(|&line| line.to_owned()).collect()),
        "{name}"
    );
}

#[test]
fn nothing_is_asked_of_a_host_that_tells_nothing() {
    for entry in super::all() {
        let finding = found(entry.name, &[]);
        assert!(!finding.is_lacking(), "{}: {finding:?}", entry.name);
    }
}

#[test]
fn the_kernel_is_new_enough_and_allows_io_uring() {
    let release = |text| [("proc/sys/kernel/osrelease", text)];
    is_good("kernel 6.1", &release("6.1.0-13-amd64"));
    is_by_hand("kernel 6.1", &release("5.15.0"));
    is_good("kernel 6.5", &release("6.18.44"));
    is_by_hand("kernel 6.5", &release("6.1.0"));
    let allowed = |text| [("proc/sys/kernel/io_uring_disabled", text)];
    is_good("io_uring allowed", &allowed("0"));
    let (set, undo) = (["sysctl -w kernel.io_uring_disabled=0"], ["sysctl -w kernel.io_uring_disabled=2"]);
    is_set_by("io_uring allowed", &allowed("2"), &set, &undo);
}

#[test]
fn limits_are_the_unit_s_where_there_is_one() {
    let limits =
        |memory: &str| format!("Max locked memory  {memory}  {memory}  bytes\nMax open files  1024  4096  files\n");
    is_good("locked memory", &[("proc/self/limits", &limits("unlimited"))]);
    let file = "/etc/security/limits.d/99-duramen-memlock.conf";
    let set = format!("printf '* - memlock 65536\\nroot - memlock 65536\\n' > {file}");
    is_set_by("locked memory", &[("proc/self/limits", &limits("65536"))], &[&set], &[&format!("rm -f {file}")]);
    assert_eq!(found("open files", &[("proc/self/limits", &limits("1"))]).state(), "set");
    let unit = "etc/systemd/system/duramen.service";
    is_good("locked memory", &[("proc/self/limits", &limits("1")), (unit, "LimitMEMLOCK=64M\n")]);
    is_by_hand("locked memory", &[("proc/self/limits", &limits("unlimited")), (unit, "[Service]\n")]);
    let shipped = include_str!("../../../../tuning/duramen.service");
    ["locked memory", "open files"].iter().for_each(|name| is_good(name, &[(unit, shipped)]));
}

#[test]
fn cpus_run_and_wake_fast() {
    let governor = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
    is_good("CPU governor", &[STATUS, (governor, "performance")]);
    let line = |name: &str| format!("echo {name} > /{governor}");
    is_set_by("CPU governor", &[STATUS, (governor, "powersave")], &[&line("performance")], &[&line("powersave")]);
    let state = |latency| {
        [
            STATUS,
            ("sys/devices/system/cpu/cpu0/cpuidle/state3/latency", latency),
            ("sys/devices/system/cpu/cpu0/cpuidle/state3/disable", "0"),
        ]
    };
    is_good("idle states", &state("2"));
    let switch = "/sys/devices/system/cpu/cpu0/cpuidle/state3/disable";
    is_set_by("idle states", &state("133"), &[&format!("echo 1 > {switch}")], &[&format!("echo 0 > {switch}")]);
    let clock = |name| [("sys/devices/system/clocksource/clocksource0/current_clocksource", name)];
    is_good("clock source", &clock("kvm-clock"));
    is_by_hand("clock source", &clock("hpet"));
}

#[test]
fn memory_stays_where_it_is() {
    let pages = |text| [("sys/kernel/mm/transparent_hugepage/enabled", text)];
    is_good("transparent huge pages", &pages("always [madvise] never"));
    let line = |name| format!("echo {name} > /sys/kernel/mm/transparent_hugepage/enabled");
    is_set_by("transparent huge pages", &pages("always madvise [never]"), &[&line("madvise")], &[&line("never")]);
    let swap = |lines, swappiness| [("proc/swaps", lines), ("proc/sys/vm/swappiness", swappiness)];
    is_good("no swap for the broker", &swap("Filename Type\n", "60"));
    is_good("no swap for the broker", &swap("Filename Type\n/dev/sda2 partition\n", "1"));
    let (set, undo) = (["sysctl -w vm.swappiness=1"], ["sysctl -w vm.swappiness=60"]);
    is_set_by("no swap for the broker", &swap("Filename Type\n/dev/sda2 partition\n", "60"), &set, &undo);
    let balloon = |features| {
        [("sys/bus/virtio/devices/virtio1/device", "0x0005"), ("sys/bus/virtio/devices/virtio1/features", features)]
    };
    is_good("free page reporting", &balloon("0110000"));
    is_by_hand("free page reporting", &balloon("0110010"));
}

#[test]
fn the_interface_has_queues_and_its_interrupts_are_spread() {
    let rx = ("sys/class/net/eth0/queues/rx-0/x", "");
    let device = ("sys/class/net/eth0/device/x", "");
    is_good("network queues", &[STATUS, device, rx, ("sys/class/net/eth0/queues/rx-1/x", "")]);
    let line = |queues| format!("ethtool -L eth0 combined {queues} || echo 'eth0 has no more queues'");
    is_set_by("network queues", &[STATUS, device, rx], &[&line(2)], &[&line(1)]);
    let irqs = |second| {
        [
            STATUS,
            ("sys/class/net/eth0/device/msi_irqs/24", ""),
            ("sys/class/net/eth0/device/msi_irqs/25", ""),
            ("proc/irq/24/smp_affinity_list", "0"),
            ("proc/irq/25/smp_affinity_list", second),
        ]
    };
    is_good("network interrupts", &irqs("1"));
    let line = |cpu, irq| format!("echo {cpu} > /proc/irq/{irq}/smp_affinity_list");
    is_set_by("network interrupts", &irqs("0"), &[&line(0, 24), &line(1, 25)], &[&line(0, 24), &line(0, 25)]);
    let (set, undo) = (["sysctl -w net.core.somaxconn=4096"], ["sysctl -w net.core.somaxconn=128"]);
    is_set_by("waiting connections", &[("proc/sys/net/core/somaxconn", "128")], &set, &undo);
    is_good("waiting connections", &[("proc/sys/net/core/somaxconn", "4096")]);
}

/// A host with one disk; some of its queue's files.
fn disk<'a>(queue: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> =
        more.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
    files.push(("sys/dev/block/254:1/queue/rotational".to_owned(), "0".to_owned()));
    for (name, text) in queue {
        files.push((format!("sys/block/254:1/queue/{name}"), (*text).to_owned()));
    }
    files
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

#[test]
fn the_disk_is_mounted_and_queued_as_it_should_be() {
    let plain = ("proc/self/mountinfo", "21 1 254:1 / / rw,noatime - xfs /dev/vda1 rw\n");
    is_good("file system with O_DIRECT", &[MOUNT]);
    is_by_hand("file system with O_DIRECT", &[("proc/self/mountinfo", "21 1 0:40 / / rw - overlay overlay rw\n")]);
    is_good("no discard", &borrowed(&disk(&[], &[plain])));
    is_good("noatime", &borrowed(&disk(&[], &[plain])));
    let remount = |option| format!("mount -o remount,{option} '/'");
    is_set_by("no discard", &borrowed(&disk(&[], &[MOUNT])), &[&remount("nodiscard")], &[&remount("discard")]);
    is_set_by("noatime", &borrowed(&disk(&[], &[MOUNT])), &[&remount("noatime")], &[&remount("relatime")]);
    is_by_hand("disk of its own", &borrowed(&disk(&[], &[MOUNT])));
    let scheduler = |text| disk(&[("scheduler", text)], &[MOUNT]);
    is_good("I/O scheduler", &borrowed(&scheduler("[none] mq-deadline")));
    let line = |name| format!("echo {name} > /sys/block/254:1/queue/scheduler");
    is_set_by("I/O scheduler", &borrowed(&scheduler("none [bfq]")), &[&line("none")], &[&line("bfq")]);
    let cache = |kind, fua| disk(&[("write_cache", kind), ("fua", fua)], &[MOUNT]);
    is_good("synced writes", &borrowed(&cache("write back", "1")));
    is_good("synced writes", &borrowed(&cache("write through", "0")));
    is_by_hand("synced writes", &borrowed(&cache("write back", "0")));
    let trim = |more: &[(&'static str, &'static str)]| {
        disk(&[("discard_max_bytes", "1024")], &[&[MOUNT, ("run/systemd/system/x", "")], more].concat())
    };
    is_good("fstrim.timer", &borrowed(&trim(&[("etc/systemd/system/timers.target.wants/fstrim.timer", "")])));
    let line = |verb| format!("systemctl {verb} --now fstrim.timer");
    is_set_by("fstrim.timer", &borrowed(&trim(&[])), &[&line("enable")], &[&line("disable")]);
}

#[test]
fn the_broker_is_run_with_all_it_needs() {
    let systemd = ("run/systemd/system/x", "");
    is_good("systemd unit", &[systemd, ("etc/systemd/system/duramen.service", "")]);
    let Finding::Missing { set, undo, .. } = found("systemd unit", &[systemd]) else { panic!("it is not installed") };
    assert!(set[0].contains("ExecStart=") && set[0].ends_with("\nEND_OF_UNIT"), "{set:?}");
    assert_eq!(undo.last().unwrap(), "rm -f /etc/systemd/system/duramen.service");
    let quota = |text| [STATUS, ("proc/self/cgroup", "0::/a/b\n"), ("sys/fs/cgroup/a/cpu.max", text)];
    is_good("CPU quota", &quota("max 100000"));
    is_good("CPU quota", &quota("200000 100000"));
    is_by_hand("CPU quota", &quota("150000 100000"));
    is_by_hand("container", &[STATUS, (".dockerenv", "")]);
    is_good("container", &[(".dockerenv", ""), ("proc/self/status", "Seccomp:\t0\n")]);
    assert_eq!(found("container", &[STATUS]).state(), "not here");
}
