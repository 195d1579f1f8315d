//! Reading what no cache holds, while a producer writes to another partition of the same shard: whether the reader gets
//! what the disk can give, and what the producer's latency does. It starts its sides: Duramen with one shard.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::context::{RowContext, counts};
use super::figures::FELL_BEHIND;
use super::produce::large_synced;
use super::{By, Figure, Goal, Row, figures};
use crate::admin::Cluster;
use crate::compare::results::Figures;
use crate::compare::sides::{Duramen, Kafka, Side, SideKind};
use crate::drive::Tally;
use crate::error::Error;
use crate::latency::Latencies;
use crate::outcome::{Outcome, Second};
use crate::plan::{Plan, Topics};
use crate::run::{self, Watch};
use crate::stop::Stop;

const COLD_BYTES: u64 = 8 << 30;
const RECORD_SIZE: u32 = 1_000;
/// Requests a second of the producer: enough for a p99 of the seconds that the reading takes.
const RATE: f64 = 2_000.0;
const SECONDS_BEFORE: u64 = 10;
const COLD: &str = "cold";
const HOT: &str = "hot";
/// What ends the producer: any signal's number does.
const SIGTERM: u8 = 15;
/// Reads of the disk: their size, and how many are under way.
const READ: usize = 1 << 20;
const READERS: u64 = 4;
const BLOCK: usize = 4096;
const GIGA: f64 = 1e9;
/// Seconds of the producer that are remembered: no reading takes longer.
const SECONDS_MAX: usize = 1_000;
/// The share of its rate that the producer must keep while the topic is read.
const KEPT_SHARE: f64 = 0.99;

pub fn rows() -> Vec<Row> {
    let title = "consume, 1 kB, 8 GiB that no cache holds, synced, while 2,000 requests/s of 1 kB come in to another \
                 partition of the same shard";
    let mut row = Row::new("consume-cold", title);
    (row.quick, row.synced, row.by, row.starts_sides, row.fills_memory) = (false, true, By::Latency, true, true);
    row.sides.retain(|kind| *kind != SideKind::External);
    row.figures = vec![
        Figure::rate("of_disk", "throughput by the disk's own", "", vec![Goal::AtLeast(0.9)]),
        Figure::rate("gb_per_second", "throughput", "GB/s", Vec::new()),
        Figure::shown("disk_gb_per_second", "the disk, O_DIRECT, 1 MiB, 4 at a time", "GB/s"),
        Figure::cost("p99_moves", "the producer's p99, during by before", "", vec![Goal::AtMost(2.0)]),
        Figure::shown("before_p99_ms", "the producer's p99 before", "ms"),
        Figure::shown("during_p99_ms", "the producer's p99 during", "ms"),
        Figure::cost("cpu_per_gb", "broker CPU, the producer's work included", "CPU-s per GB", Vec::new()),
    ];
    row.run = Box::new(|context, side| match side.kind {
        SideKind::Duramen => {
            let broker = Duramen::start(context.environment, &["--shards".into(), "1".into()])?;
            measure(context, &broker.side(true))
        }
        _ => {
            let broker = Kafka::start(context.environment, context.environment.profile(By::Latency))?;
            let side = broker.side(SideKind::Kafka, true);
            crate::compare::jvm::warm(context.environment, &side, context.stop, context.quick)?;
            measure(context, &side)
        }
    });
    vec![row]
}

fn measure(context: &mut RowContext, side: &Side) -> Result<Figures, Error> {
    let mut cluster = Cluster::connect(std::slice::from_ref(&side.server))?;
    for topic in [COLD, HOT] {
        cluster.create_topic(topic, 1, 1, &side.topic_configs)?;
    }
    let mut filling = context.closed(side, COLD_BYTES / u64::from(RECORD_SIZE), RECORD_SIZE);
    large_synced(&mut filling);
    filling.topics = Topics::Existing(vec![COLD.to_owned()]);
    context.prepare(&filling, side)?;
    let before = context.run(&producing(context, side, Some(SECONDS_BEFORE)), side)?;
    let files = segments(side.data_dir.as_deref())?;
    drop_cached(&files)?;
    let (during, reading) = while_producing(context, side)?;
    drop_cached(&files)?;
    let disk = disk_speed(&files)?;
    let mut found = figures::consumed(&reading);
    let rate = found.get("gb_per_second").copied().unwrap_or(0.0);
    found.extend([("disk_gb_per_second".to_owned(), disk), ("of_disk".to_owned(), rate / disk)]);
    if before.rate_kept == Some(false) || during.rate.is_some_and(|rate| rate < RATE * KEPT_SHARE) {
        found.insert(FELL_BEHIND.to_owned(), 1.0);
    }
    if let (Some(before), Some(during)) = (p99_ms(&before), during.p99_ms) {
        found.extend([("before_p99_ms".to_owned(), before), ("during_p99_ms".to_owned(), during)]);
        found.insert("p99_moves".to_owned(), during / before);
    }
    Ok(found)
}

/// The producer that is always there.
fn producing(context: &RowContext, side: &Side, seconds: Option<u64>) -> Plan {
    let endless = 24 * 3600;
    let seconds = seconds.unwrap_or(endless);
    let mut plan = context.open("produce", side, RATE, RECORD_SIZE, (seconds, seconds));
    plan.warm_up = Duration::from_secs(1);
    plan.topics = Topics::Existing(vec![HOT.to_owned()]);
    plan.threads = Some(1);
    let produce = plan.produce.get_or_insert_default();
    (produce.batch_records, produce.linger) = (Some(1), Duration::ZERO);
    plan
}

/// What the producer has shown in the seconds of the reading.
struct During {
    /// Of the seconds that began while it went on.
    p99_ms: Option<f64>,
    /// Records acknowledged a second, in those that also ended before it did: none if no second did.
    rate: Option<f64>,
}

/// Second by second what a run has shown, from its epoch in milliseconds since 1970.
#[derive(Default)]
struct Seconds {
    epoch_ms: i64,
    of: Vec<(u32, Latencies, u64)>,
}

impl Watch for Seconds {
    fn begins(&mut self, _plan: &Plan, wall_ms: i64) {
        self.epoch_ms = wall_ms;
    }

    fn second(&mut self, second: &Second, tally: &Tally) {
        if self.of.len() < SECONDS_MAX {
            self.of.push((second.second, tally.scheduled.clone(), second.produced));
        }
    }
}

impl Seconds {
    fn between(&self, from_ms: i64, to_ms: i64) -> During {
        let (mut latencies, mut records, mut seconds) = (Latencies::default(), 0, 0);
        for (second, of_second, produced) in &self.of {
            let begins_ms = self.epoch_ms + i64::from(*second) * 1_000;
            if (from_ms..to_ms).contains(&begins_ms) {
                latencies.add(of_second);
                if begins_ms + 1_000 <= to_ms {
                    (records, seconds) = (records + produced, seconds + 1);
                }
            }
        }
        let p99_ns = latencies.summary().and_then(|summary| summary.p99_ns);
        let rate = (seconds > 0).then(|| records as f64 / f64::from(seconds));
        During { p99_ms: p99_ns.map(|ns| ns as f64 / 1e6), rate }
    }
}

/// Reads the cold topic once while the producer works; what both have shown.
fn while_producing(context: &mut RowContext, side: &Side) -> Result<(During, Outcome), Error> {
    let producing = producing(context, side, None);
    let mut reading = context.plan("consume", side);
    reading.topics = Topics::Existing(vec![COLD.to_owned()]);
    (reading.warm_up, reading.duration, reading.threads) = (Duration::ZERO, None, Some(1));
    let stop = Stop::default();
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut seconds = Seconds::default();
            run::run(&producing, &mut seconds, &stop).map(|outcome| (outcome, seconds))
        });
        // Past its warm-up.
        context.wait(Duration::from_secs(3));
        let mut of_reading = Seconds::default();
        let read = context.run_watched(&reading, side, &mut of_reading);
        let early = running.is_finished();
        stop.ask(SIGTERM);
        let (mut produced, seconds) = running.join().expect("a run does not panic")?;
        let ended = produced.incomplete.take().unwrap_or_else(|| "the producer ended".to_owned());
        // Only the signal may have ended it.
        if early || !ended.starts_with("signal ") {
            return Err(Error::Process { what: format!("a run against {}", side.name), reason: ended });
        }
        counts(&produced, producing.verify, &side.name)?;
        let read = read?;
        let from_ms = of_reading.epoch_ms;
        Ok((seconds.between(from_ms, from_ms + (read.seconds * 1e3) as i64), read))
    })
}

fn p99_ms(outcome: &Outcome) -> Option<f64> {
    Some(outcome.latency.scheduled.as_ref()?.p99_ns? as f64 / 1e6)
}

/// The segments of the cold topic.
fn segments(data_dir: Option<&Path>) -> Result<Vec<PathBuf>, Error> {
    let mut directories: Vec<PathBuf> = data_dir.iter().map(|path| path.to_path_buf()).collect();
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).map_err(|source| failed("list", &directory, source))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_cold = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(COLD));
            if path.is_dir() {
                directories.push(path);
            } else if is_cold && path.extension().is_some_and(|extension| extension == "log") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Writes files to the disk, and drops them from the page cache.
fn drop_cached(files: &[PathBuf]) -> Result<(), Error> {
    for path in files {
        let file = File::open(path).map_err(|source| failed("open", path, source))?;
        file.sync_all().map_err(|source| failed("sync", path, source))?;
        let dropped = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        dropped.map_err(|source| failed("drop from the cache", path, source.into()))?;
    }
    Ok(())
}

/// GB a second of several threads that read the files past the page cache.
fn disk_speed(files: &[PathBuf]) -> Result<f64, Error> {
    let pieces: Vec<(&Path, u64)> = files.iter().flat_map(|path| pieces(path)).collect();
    let next = AtomicU64::new(0);
    let began = Instant::now();
    let read = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read_pieces(&pieces, &next))).collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).sum::<Result<u64, Error>>()
    })?;
    Ok(read as f64 / GIGA / began.elapsed().as_secs_f64())
}

fn pieces(path: &Path) -> impl Iterator<Item = (&Path, u64)> {
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    (0..length).step_by(READ).map(move |at| (path, at))
}

fn read_pieces(pieces: &[(&Path, u64)], next: &AtomicU64) -> Result<u64, Error> {
    let mut memory = vec![0; READ + BLOCK];
    let aligned = memory.as_ptr().align_offset(BLOCK);
    let buffer = &mut memory[aligned..aligned + READ];
    let mut read = 0;
    let mut open: Option<(&Path, File)> = None;
    while let Some((path, at)) = pieces.get(next.fetch_add(1, Ordering::Relaxed) as usize).copied() {
        let file = match open.take() {
            Some((opened, file)) if opened == path => file,
            _ => OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_DIRECT)
                .open(path)
                .map_err(|source| failed("open", path, source))?,
        };
        read += file.read_at(buffer, at).map_err(|source| failed("read", path, source))? as u64;
        open = Some((path, file));
    }
    Ok(read)
}

fn failed(what: &str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { what: format!("{what} {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_seconds_of_the_reading_count() {
        let mut seconds = Seconds::default();
        seconds.begins(&Plan::new("produce", "h:1"), 10_000);
        for (second, ms, produced) in [(0, 50, 1), (1, 2, 20_000), (2, 2, 10_000), (3, 50, 1)] {
            let mut tally = Tally::default();
            tally.scheduled.record_n(ms * 1_000_000, 20_000);
            seconds.second(&Second { second, produced, ..Second::default() }, &tally);
        }
        let during = seconds.between(10_500, 12_900);
        assert!((during.p99_ms.unwrap() - 2.0).abs() < 0.1, "{:?}", during.p99_ms);
        assert_eq!(during.rate, Some(20_000.0));
        let none = seconds.between(20_000, 30_000);
        assert_eq!((none.p99_ms, none.rate), (None, None));
    }

    #[test]
    fn the_segments_of_the_cold_topic_are_found_and_read() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        for (topic, length) in [("cold-0", 3 * READ), ("hot-0", READ)] {
            fs::create_dir_all(directory.path().join("data").join(topic)).unwrap();
            let path = directory.path().join("data").join(topic).join("00000000000000000000.log");
            fs::write(path, vec![7; length]).unwrap();
        }
        fs::write(directory.path().join("data/cold-0/00000000000000000000.index"), [0]).unwrap();
        let files = segments(Some(directory.path())).unwrap();
        assert_eq!(files.len(), 1);
        drop_cached(&files).unwrap();
        let next = AtomicU64::new(0);
        let all: Vec<_> = files.iter().flat_map(|path| pieces(path)).collect();
        assert_eq!(read_pieces(&all, &next).unwrap(), 3 * READ as u64);
    }
}
