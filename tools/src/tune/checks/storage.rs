//! The disk below the data directory: file system, mount options, scheduler, cache.

use std::path::Path;

use crate::tune::entry::{Effect, Entry, Finding, Need};
use crate::tune::host::Host;

pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "file system with O_DIRECT",
        need: Need::Must,
        why: "durability does not depend on the page cache; ext4 and xfs are known to do it right",
        effect: Effect::Reasoned("the broker refuses a file system without it"),
        check: file_system,
    },
    Entry {
        name: "disk of its own",
        need: Need::Should,
        why: "a sync waits for whatever else the disk has to write",
        effect: Effect::Measured("p50 of a sync 64 us behind 1 MiB in flight, 27 ms behind 32 MiB"),
        check: own_disk,
    },
    Entry {
        name: "no discard",
        need: Need::Should,
        why: "with it, a removed segment is discarded at once, and syncs wait",
        effect: Effect::Measured(
            "up to 46 ms for one synced write per GiB removed, without it none \
             (docs/decisions/007-segment-files-are-not-recycled.md)",
        ),
        check: |host| option(host, "discard", true, "nodiscard", "discard"),
    },
    Entry {
        name: "fstrim.timer",
        need: Need::Should,
        why: "what is not discarded at once must be told to the disk some day",
        effect: Effect::Reasoned("flash that knows no free blocks writes more slowly"),
        check: trim,
    },
    Entry {
        name: "noatime",
        need: Need::Should,
        why: "one write less for each first read of a segment",
        effect: Effect::Reasoned("sealed segments are read through the file system"),
        check: |host| option(host, "noatime", false, "noatime", "relatime"),
    },
    Entry {
        name: "I/O scheduler",
        need: Need::Should,
        why: "NVMe and virtio disks have queues of their own; a scheduler above them only adds time",
        effect: Effect::Reasoned("what was measured was measured behind mq-deadline"),
        check: scheduler,
    },
    Entry {
        name: "synced writes",
        need: Need::Should,
        why: "a disk whose cache survives a loss of power answers a sync from it; else FUA saves a flush",
        effect: Effect::Reasoned("what the disk says of itself; power-loss protection is in its data sheet"),
        check: cache,
    },
];

fn file_system(host: &Host) -> Finding {
    let Some(mount) = host.mount() else { return Finding::not_here("no mount is known") };
    let found = format!("{} at {}", mount.kind, mount.point.display());
    if ["ext4", "xfs"].contains(&mount.kind.as_str()) {
        Finding::good(found)
    } else {
        Finding::by_hand(found, "put the data directory on ext4 or xfs")
    }
}

fn own_disk(host: &Host) -> Finding {
    let disk = |path: Option<&Path>| {
        let mount = path.map_or_else(|| host.mount(), |path| host.mount_of(path))?;
        host.disk(&mount.device)
    };
    match (disk(None), disk(Some(Path::new("/")))) {
        (Some(data), Some(root)) if data == root => {
            Finding::by_hand(format!("{data}, with the root"), "put the data directory on a disk of its own")
        }
        (Some(data), _) => Finding::good(data),
        (None, _) => Finding::not_here("no disk is known below the data directory"),
    }
}

/// A mount option that must be there, or must not.
fn option(host: &Host, name: &str, is_wrong: bool, wanted: &str, old: &str) -> Finding {
    let Some(mount) = host.mount() else { return Finding::not_here("no mount is known") };
    if host.disk(&mount.device).is_none() {
        return Finding::not_here(format!("no disk is known below {}", mount.point.display()));
    }
    let has = mount.options.iter().any(|option| option == name);
    let point = mount.point.display().to_string();
    if has != is_wrong {
        let with = if has { "with" } else { "without" };
        return Finding::good(format!("{point} is mounted {with} {name}"));
    }
    let before = ["strictatime", "relatime"]
        .into_iter()
        .find(|kind| !is_wrong && mount.options.iter().any(|option| option == kind));
    let line = |option: &str| format!("mount -o remount,{option} '{point}'");
    let with = if has { "with" } else { "without" };
    Finding::missing(format!("{point} is mounted {with} {name}"), line(wanted), line(before.unwrap_or(old)))
}

fn trim(host: &Host) -> Finding {
    let Some((disk, path)) = host.queue("discard_max_bytes") else { return Finding::not_here("no disk is known") };
    if host.number(&path) == Some(0) {
        return Finding::not_here(format!("{disk} takes no discards"));
    }
    if !host.has("/run/systemd/system") {
        return Finding::by_hand(format!("no systemd; {disk} takes discards"), "call fstrim weekly");
    }
    if host.has("/etc/systemd/system/timers.target.wants/fstrim.timer") {
        return Finding::good("enabled");
    }
    let line = |verb: &str| format!("systemctl {verb} --now fstrim.timer");
    Finding::missing("not enabled", line("enable"), line("disable"))
}

fn scheduler(host: &Host) -> Finding {
    let Some((disk, path)) = host.queue("scheduler") else { return Finding::not_here("no disk is known") };
    let Some(found) = host.chosen(&path) else { return Finding::good(format!("none ({disk})")) };
    if found == "none" {
        return Finding::good(format!("none ({disk})"));
    }
    if host.number(&format!("/sys/block/{disk}/queue/rotational")) == Some(1) && !disk.starts_with("vd") {
        return Finding::not_here(format!("{disk} turns: a scheduler helps it"));
    }
    Finding::missing(format!("{found} ({disk})"), format!("echo none > {path}"), format!("echo {found} > {path}"))
}

fn cache(host: &Host) -> Finding {
    let Some((disk, path)) = host.queue("write_cache") else { return Finding::not_here("no disk is known") };
    let cache = host.read(&path).unwrap_or_default();
    let fua = host.number(&format!("/sys/block/{disk}/queue/fua")).unwrap_or(0);
    let found = format!("{disk}: {cache}, FUA {fua}");
    if cache == "write through" || fua == 1 {
        Finding::good(found)
    } else {
        Finding::by_hand(found, "each sync flushes the whole cache: prefer a disk with FUA or power-loss protection")
    }
}
