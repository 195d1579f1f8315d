//! What a load costs: the broker's process, the machine, the disk, as the kernel counts them.
//!
//! System calls are not traced: that needs root, slows what it counts, and does not see io_uring.

pub mod device;
pub mod machine;
pub mod page;
pub mod process;

pub use machine::machine;
pub use process::{cpu_seconds, read_bytes, resident_bytes, since_start};

use std::time::Instant;

use self::device::Device;
use self::machine::Busy;
use self::process::{CpuTime, DiskBytes};
use crate::Error;
use crate::admin::plain;
use crate::outcome::{Cost, Second};
use crate::plan::Broker;

/// What was read at the start.
pub struct Meter {
    began: Instant,
    machine: Busy,
    process: Option<Process>,
    device: Option<(Device, u64)>,
    metrics: Option<(String, u64)>,
    notes: Vec<String>,
    /// The machine and the process at the last sample.
    last: (Instant, Busy, f64),
}

struct Process {
    pid: u32,
    cpu: CpuTime,
    disk: Option<DiskBytes>,
    /// Whether the kernel counts the peak anew since the start.
    peak_is_ours: bool,
    /// The most that was seen.
    peak: u64,
}

impl Meter {
    /// Begins to count. A process that is not there is an error; what may not be read is told in the notes.
    pub fn start(broker: &Broker) -> Result<Meter, Error> {
        let mut notes = Vec::new();
        let process = broker.pid.map(|pid| Process::start(pid, &mut notes)).transpose()?;
        let device = broker.data_dir.as_deref().and_then(|directory| {
            let found = device::below(directory);
            if found.is_none() {
                notes.push(format!("the disk below {} is unknown", directory.display()));
            }
            let device = found?;
            notes.extend(device.note.clone());
            let flushes = device.flushes()?;
            Some((device, flushes))
        });
        let metrics = broker.metrics.as_deref().and_then(|address| match page::syncs(address) {
            Ok(syncs) => Some((address.to_owned(), syncs)),
            Err(reason) => {
                notes.push(format!("the broker's own count of syncs is unknown: {reason}"));
                None
            }
        });
        let machine = busy();
        let cpu = process.as_ref().map_or(0.0, |process| process.cpu.total());
        let began = Instant::now();
        Ok(Meter { began, machine, process, device, metrics, notes, last: (began, machine, cpu) })
    }

    /// Whether there is a process to measure.
    pub fn has_process(&self) -> bool {
        self.process.is_some()
    }

    /// Fills in what is known of the time since the sample before.
    pub fn sample(&mut self, second: &mut Second) {
        let (at, machine) = (Instant::now(), busy());
        let (last_at, last_machine, last_cpu) = self.last;
        let capacity = at.duration_since(last_at).as_secs_f64() * machine.cpus.max(1) as f64;
        if capacity > 0.0 {
            second.steal = ((machine.steal_seconds - last_machine.steal_seconds) / capacity).clamp(0.0, 1.0);
        }
        let mut cpu = last_cpu;
        if let Some(process) = &mut self.process {
            second.rss_bytes = process.resident();
            // A process that has ended has no more CPU time to tell.
            if let Ok(now) = cpu_seconds(process.pid) {
                // The kernel counts in steps of 10 ms.
                second.broker_cpu_seconds = Some(((now - last_cpu) * 100.0).round() / 100.0);
                cpu = now;
            }
        }
        self.last = (at, machine, cpu);
    }

    /// The cost since the start.
    pub fn stop(mut self) -> Cost {
        let wall_seconds = self.began.elapsed().as_secs_f64();
        let machine = busy();
        let mut cost = Cost {
            wall_seconds,
            machine_seconds: machine.used_seconds - self.machine.used_seconds,
            steal_seconds: machine.steal_seconds - self.machine.steal_seconds,
            cpus: machine.cpus,
            ..Cost::default()
        };
        if let Some(process) = &mut self.process {
            process.stop(&mut cost, &mut self.notes, self.last.2);
        }
        if let Some((device, before)) = &self.device {
            cost.device = Some(device.name.clone());
            cost.device_flushes = device.flushes().map(|now| now.saturating_sub(*before));
        }
        if let Some((address, before)) = &self.metrics {
            cost.broker_syncs = page::syncs(address).ok().map(|now| now.saturating_sub(*before));
        }
        cost.notes = self.notes;
        cost
    }
}

impl Process {
    fn start(pid: u32, notes: &mut Vec<String>) -> Result<Process, Error> {
        let gone = |error: std::io::Error| Error::Process {
            what: format!("process {pid} cannot be measured"),
            reason: if error.kind() == std::io::ErrorKind::NotFound {
                "there is none".to_owned()
            } else {
                plain(&error)
            },
        };
        let cpu = process::cpu_time(pid).map_err(gone)?;
        let disk = process::disk_bytes(pid).ok();
        if disk.is_none() {
            notes.push(format!("what process {pid} reads and writes may only be asked by its owner or root"));
        }
        let peak_is_ours = process::forget_peak(pid).is_ok();
        if !peak_is_ours {
            notes.push("the peak of memory is the highest of one look a second".to_owned());
        }
        let peak = resident_bytes(pid).unwrap_or(0);
        Ok(Process { pid, cpu, disk, peak_is_ours, peak })
    }

    fn resident(&mut self) -> Option<u64> {
        let resident = resident_bytes(self.pid).ok()?;
        self.peak = self.peak.max(resident);
        Some(resident)
    }

    fn stop(&mut self, cost: &mut Cost, notes: &mut Vec<String>, last_cpu: f64) {
        match process::cpu_time(self.pid) {
            Ok(now) => {
                cost.user_seconds = now.user_seconds - self.cpu.user_seconds;
                cost.system_seconds = now.system_seconds - self.cpu.system_seconds;
            }
            Err(_) => {
                notes.push(format!(
                    "process {} ended: its CPU time, {:.2} s, is that of the last look, user and system together",
                    self.pid,
                    last_cpu - self.cpu.total()
                ));
                cost.user_seconds = last_cpu - self.cpu.total();
            }
        }
        if self.peak_is_ours {
            self.peak = self.peak.max(process::peak_bytes(self.pid).unwrap_or(0));
        }
        cost.peak_bytes = Some(self.peak).filter(|peak| *peak > 0);
        if let (Some(before), Ok(now)) = (self.disk, process::disk_bytes(self.pid)) {
            cost.read_bytes = Some(now.read.saturating_sub(before.read));
            cost.written_bytes = Some(now.written.saturating_sub(before.written));
        }
    }
}

/// A machine without `/proc/stat` has nothing to tell.
fn busy() -> Busy {
    machine::busy().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_this_process_is_what_it_uses() {
        let broker = Broker { pid: Some(std::process::id()), ..Broker::default() };
        let mut meter = Meter::start(&broker).unwrap();
        assert!(meter.has_process());
        let began = Instant::now();
        while cpu_seconds(std::process::id()).unwrap() < meter.last.2 + 0.1 && began.elapsed().as_secs() < 20 {}
        let mut second = Second::default();
        meter.sample(&mut second);
        assert!(second.rss_bytes.unwrap() > 100_000 && second.broker_cpu_seconds.unwrap() >= 0.09, "{second:?}");
        let cost = meter.stop();
        assert!(cost.user_seconds + cost.system_seconds >= 0.09, "{cost:?}");
        assert!(cost.machine_seconds >= 0.05 && cost.cpus > 0 && cost.peak_bytes.is_some(), "{cost:?}");
        assert!(cost.read_bytes.is_some(), "{cost:?}");
    }

    #[test]
    fn a_process_that_is_not_there_is_said() {
        let broker = Broker { pid: Some(u32::MAX), ..Broker::default() };
        let error = Meter::start(&broker).err().unwrap();
        assert_eq!(error.to_string(), "process 4294967295 cannot be measured: there is none");
    }

    #[test]
    fn without_a_process_there_is_the_machine() {
        let meter = Meter::start(&Broker::default()).unwrap();
        assert!(!meter.has_process());
        assert!(meter.stop().cpus > 0);
    }
}
