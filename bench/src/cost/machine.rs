//! The machine: what it is, and how busy it is.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::process::named;
use crate::outcome::Machine;

const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of the whole machine since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Busy {
    /// Of all processes and interrupts.
    pub used_seconds: f64,
    /// What the hypervisor kept.
    pub steal_seconds: f64,
    pub cpus: usize,
}

/// What figures of this machine depend on. What cannot be read is empty or 0.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let kilobytes = named(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0);
    Machine {
        host: read("/proc/sys/kernel/hostname").trim().to_owned(),
        cpu: cpu_model(&cpuinfo),
        cpus: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        memory_bytes: kilobytes << 10,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        hypervisor: hypervisor(&cpuinfo),
    }
}

pub fn busy() -> io::Result<Busy> {
    let text = fs::read_to_string("/proc/stat")?;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/stat is not as expected"))
}

fn parse(text: &str) -> Option<Busy> {
    let mut fields = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let mut next = || Some(fields.next()?.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND);
    let (user, nice, system) = (next()?, next()?, next()?);
    let (_idle, _waiting) = (next()?, next()?);
    let (interrupts, soft_interrupts, steal_seconds) = (next()?, next()?, next()?);
    let used_seconds = user + nice + system + interrupts + soft_interrupts;
    let cpus = text.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
    Some(Busy { used_seconds, steal_seconds, cpus })
}

fn cpu_model(cpuinfo: &str) -> String {
    let of = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    // Of ARM there are only numbers.
    of("model name")
        .or_else(|| Some(format!("{} CPU part {}", std::env::consts::ARCH, of("CPU part")?)))
        .unwrap_or_default()
}

/// What the machine runs on, if it is virtual.
fn hypervisor(cpuinfo: &str) -> Option<String> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    let flags: BTreeSet<&str> = flags.split_whitespace().collect();
    if !flags.contains("hypervisor") {
        return None;
    }
    let read = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned()).filter(|text| !text.is_empty());
    let vendor = read("/sys/class/dmi/id/sys_vendor").or_else(|| read("/sys/hypervisor/type"));
    Some(vendor.unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_used_and_steal_stands_apart() {
        let text = "cpu  100 20 300 9999 50 6 7 80 0 0\ncpu0 1 1 1\ncpu1 1 1 1\nintr 5\n";
        let busy = parse(text).unwrap();
        assert!((busy.used_seconds - 4.33).abs() < 1e-9, "{busy:?}");
        assert_eq!((busy.steal_seconds, busy.cpus), (0.8, 2));
        assert_eq!(parse("intr 5"), None);
    }

    #[test]
    fn this_machine_is_described() {
        let machine = machine();
        assert!(machine.cpus > 0 && machine.memory_bytes > 1 << 20 && !machine.kernel.is_empty(), "{machine:?}");
        assert!(busy().unwrap().used_seconds > 0.0);
    }
}
