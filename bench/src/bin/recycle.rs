//! What a log pays for a new segment file and for removing an old one, against using the old one again. Both ways zero the
//! file ahead of its records, past the page cache and in the log's own steps; then records are written over the zeros,
//! and synced now and then. While a file is removed, at once or cut shorter step by step, a second thread writes and
//! syncs single blocks: what it waits is what other partitions wait.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use duramen_bench::allocate::allocate;
use duramen_bench::cpu;

const BLOCK: usize = 4096;
/// Bytes per write, and per allocation.
const WRITE: usize = 1 << 20;
const ALLOCATION: u64 = 16 << 20;
/// Bytes of records between two syncs.
const SYNC_EVERY: u64 = 4 << 20;
/// How long the second thread writes before and after the removal.
const AROUND: Duration = Duration::from_millis(300);

/// Compares new segment files with recycled ones.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the files lie; use the file system that the broker uses
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Bytes of a file
    #[arg(long, default_values_t = [64 << 20, 1 << 30])]
    size: Vec<u64>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Wall-clock time and the time of this thread.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// What each step took, one entry per round.
#[derive(Default)]
struct Steps {
    steps: Vec<(&'static str, Vec<Cost>)>,
}

impl Steps {
    fn measure<T>(&mut self, step: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let (cpu_before, began) = (cpu::of_thread()?, Instant::now());
        let result = run()?;
        let cost = Cost { wall: began.elapsed(), cpu: cpu::of_thread()?.saturating_sub(cpu_before) };
        match self.steps.iter_mut().find(|(name, _)| *name == step) {
            Some((_, costs)) => costs.push(cost),
            None => self.steps.push((step, vec![cost])),
        }
        Ok(result)
    }

    fn print(&self) {
        for (step, costs) in &self.steps {
            let median = |of: fn(&Cost) -> Duration| {
                let mut times: Vec<_> = costs.iter().map(of).collect();
                times.sort();
                times[times.len() / 2].as_secs_f64() * 1e3
            };
            println!("  {step:<42} {:>9.2} ms  {:>9.2} ms CPU", median(|cost| cost.wall), median(|cost| cost.cpu));
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.dir).context("make the directory")?;
    for size in &arguments.size {
        let mut steps = Steps::default();
        let mut waits = Waits::default();
        for _ in 0..arguments.rounds {
            round(&arguments.dir, *size, &mut steps, &mut waits)?;
        }
        println!("{} MiB, median of {} rounds", size >> 20, arguments.rounds);
        steps.print();
        waits.print();
    }
    Ok(())
}

fn round(dir: &Path, size: u64, steps: &mut Steps, waits: &mut Waits) -> Result<()> {
    let (zeros, records) = (Aligned::filled(0), Aligned::filled(0x5a));
    let (old, new) = (dir.join("old"), dir.join("new"));
    let file = steps.measure("new: create", || create(&old))?;
    steps.measure("new: allocate and zero", || {
        for at in (0..size).step_by(ALLOCATION as usize) {
            let len = ALLOCATION.min(size - at);
            allocate(&file, at, len).context("allocate")?;
            fill(&file, at..at + len, &zeros)?;
        }
        Ok(())
    })?;
    steps.measure("new: write records, sync every 4 MiB", || write_records(&file, size, &records))?;
    steps.measure("recycled: rename and sync the directory", || {
        fs::rename(&old, &new)?;
        Ok(File::open(dir)?.sync_all()?)
    })?;
    steps.measure("recycled: zero", || fill(&file, 0..size, &zeros))?;
    steps.measure("recycled: sync", || Ok(file.sync_data()?))?;
    steps.measure("recycled: write records, sync every 4 MiB", || write_records(&file, size, &records))?;
    drop(file);
    waits.measure(dir, "while it is unlinked", || steps.measure("old: unlink", || Ok(fs::remove_file(&new)?)))?;
    let file = create(&old)?;
    for at in (0..size).step_by(ALLOCATION as usize) {
        allocate(&file, at, ALLOCATION.min(size - at)).context("allocate")?;
    }
    write_records(&file, size, &records)?;
    waits.measure(dir, "while it is cut in steps", || {
        steps.measure("old: cut by 16 MiB and sync, then unlink", || {
            for len in (0..size).step_by(ALLOCATION as usize).collect::<Vec<_>>().into_iter().rev() {
                file.set_len(len)?;
                file.sync_data()?;
            }
            Ok(fs::remove_file(&old)?)
        })
    })
}

/// How long single synced writes took, by what was done meanwhile.
#[derive(Default)]
struct Waits(Vec<(&'static str, Vec<Duration>)>);

impl Waits {
    /// Writes and syncs single blocks of a file of its own, a while before `run` and until a while after it.
    fn measure(&mut self, dir: &Path, when: &'static str, run: impl FnOnce() -> Result<()>) -> Result<()> {
        let (path, records, stop) = (dir.join("probe"), Aligned::filled(0x5a), AtomicBool::new(false));
        let file = create(&path)?;
        fill(&file, 0..WRITE as u64, &records)?;
        file.sync_all()?;
        let (began, ran, probed) = thread::scope(|scope| {
            let probing = scope.spawn(|| probe(&file, &records, &stop));
            thread::sleep(AROUND);
            let began = Instant::now();
            let ran = run();
            thread::sleep(AROUND);
            stop.store(true, Ordering::Relaxed);
            (began, ran, probing.join().expect("the prober does not panic"))
        });
        ran?;
        fs::remove_file(&path)?;
        for (written, took) in probed? {
            let when = if written + took >= began { when } else { "while nothing is removed" };
            match self.0.iter_mut().find(|(name, _)| *name == when) {
                Some((_, waits)) => waits.push(took),
                None => self.0.push((when, vec![took])),
            }
        }
        Ok(())
    }

    fn print(&mut self) {
        for (when, waits) in &mut self.0 {
            waits.sort();
            let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            let (median, high, most) = (at(0.5), at(0.99), at(1.0));
            println!("  a synced block {when:<24} {median:>7.2} ms median  {high:>7.2} ms p99  {most:>7.2} ms most");
        }
    }
}

/// Writes and syncs a block again and again.
fn probe(file: &File, records: &Aligned, stop: &AtomicBool) -> Result<Vec<(Instant, Duration)>> {
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        file.write_all_at(&records.bytes()[..BLOCK], 0)?;
        file.sync_data()?;
        waits.push((began, began.elapsed()));
    }
    Ok(waits)
}

fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).custom_flags(libc::O_DIRECT);
    options.open(path).with_context(|| format!("create {}", path.display()))
}

fn fill(file: &File, range: std::ops::Range<u64>, buffer: &Aligned) -> Result<()> {
    for at in range.clone().step_by(WRITE) {
        let len = (range.end - at).min(WRITE as u64) as usize;
        file.write_all_at(&buffer.bytes()[..len], at).context("write")?;
    }
    Ok(())
}

fn write_records(file: &File, size: u64, records: &Aligned) -> Result<()> {
    for at in (0..size).step_by(SYNC_EVERY as usize) {
        fill(file, at..(at + SYNC_EVERY).min(size), records)?;
        file.sync_data().context("sync")?;
    }
    Ok(())
}

/// [`WRITE`] bytes that begin at a multiple of [`BLOCK`], as direct I/O wants them.
struct Aligned {
    memory: Vec<u8>,
    begin: usize,
}

impl Aligned {
    fn filled(byte: u8) -> Self {
        let memory = vec![byte; WRITE + BLOCK];
        let begin = memory.as_ptr().align_offset(BLOCK);
        Self { memory, begin }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..self.begin + WRITE]
    }
}
