//! HdrHistogram's log format: one line a second and tag, values in nanoseconds.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::Error;
use crate::drive::Tally;
use crate::latency::Latencies;
use crate::outcome::Second;
use crate::plan::Plan;
use crate::run::Watch;

const SECOND: Duration = Duration::from_secs(1);
/// The largest value of a line, which is for people, is told in milliseconds.
const NS_PER_MS: f64 = 1e6;

/// Writes while the run goes on; the first failure is kept for its end, so that the run goes on.
pub struct Hlog<W: Write = BufWriter<File>> {
    out: W,
    name: String,
    serializer: V2DeflateSerializer,
    failed: Option<io::Error>,
}

impl Hlog {
    pub fn create(file: &Path) -> Result<Hlog, Error> {
        let name = file.display().to_string();
        let out = File::create(file).map_err(|source| Error::Io { what: format!("write {name}"), source })?;
        Ok(Hlog::new(BufWriter::new(out), name))
    }
}

impl<W: Write> Hlog<W> {
    fn new(out: W, name: String) -> Hlog<W> {
        Hlog { out, name, serializer: V2DeflateSerializer::new(), failed: None }
    }

    /// Writes what is left, and tells what failed.
    pub fn finish(mut self) -> Result<(), Error> {
        let done = self.failed.take().map_or_else(|| self.out.flush(), Err);
        done.map_err(|source| Error::Io { what: format!("write {}", self.name), source })
    }

    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(self).err();
        }
    }

    fn line(&mut self, second: u32, tag: &'static str, latencies: &Latencies) -> io::Result<()> {
        let Some(histogram) = latencies.histogram() else { return Ok(()) };
        let mut text = Vec::new();
        let mut writer = IntervalLogWriterBuilder::new()
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut text, &mut self.serializer)?;
        let tag = Tag::new(tag).expect("tags have no separators");
        writer.write_histogram(histogram, SECOND * second, SECOND, Some(tag)).map_err(io::Error::other)?;
        // The divisor has been told at the front of the log.
        let lines = text.split_inclusive(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#"));
        lines.into_iter().try_for_each(|line| self.out.write_all(line))
    }
}

impl<W: Write> Watch for Hlog<W> {
    fn begins(&mut self, plan: &Plan, wall_ms: i64) {
        let start = UNIX_EPOCH + Duration::from_millis(wall_ms.unsigned_abs());
        self.attempt(|hlog| {
            let comment = format!("duramen bench {}, latencies in nanoseconds", plan.command);
            let mut builder = IntervalLogWriterBuilder::new();
            builder.add_comment(&comment).with_start_time(start).with_base_time(start);
            builder.with_max_value_divisor(NS_PER_MS).begin_log_with(&mut hlog.out, &mut hlog.serializer).map(|_| ())
        });
    }

    fn second(&mut self, second: &Second, tally: &Tally) {
        let all = [("scheduled", &tally.scheduled), ("sent", &tally.sent), ("end_to_end", &tally.end_to_end)];
        for (tag, latencies) in all {
            self.attempt(|hlog| hlog.line(second.second, tag, latencies));
        }
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;

    #[test]
    fn it_is_read_back_by_the_crate_s_reader() {
        let mut text = Vec::new();
        let mut hlog = Hlog::new(&mut text, "log".to_owned());
        hlog.begins(&Plan::new("produce", "h:1"), 1_700_000_000_500);
        let mut tally = Tally::default();
        for second in 0..3 {
            tally.scheduled.clear();
            (1..=1_000).for_each(|step| tally.scheduled.record(step * 1_000_000 * (u64::from(second) + 1)));
            tally.sent.record(5_000_000);
            hlog.second(&Second { second, ..Second::default() }, &tally);
        }
        hlog.finish().unwrap();
        let mut seen = Vec::new();
        let mut heads = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            match entry.unwrap() {
                LogEntry::Interval(line) => {
                    let bytes = base64_of(line.encoded_histogram());
                    let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                    seen.push((
                        line.tag().unwrap().as_str(),
                        line.start_timestamp().as_secs(),
                        read.len(),
                        read.value_at_quantile(0.5),
                    ));
                }
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => heads.push(time.as_millis()),
            }
        }
        assert_eq!(heads, [1_700_000_000_500; 2]);
        let scheduled: Vec<_> = seen.iter().filter(|line| line.0 == "scheduled").collect();
        assert_eq!(
            scheduled.iter().map(|line| (line.1, line.2)).collect::<Vec<_>>(),
            [(0, 1_000), (1, 1_000), (2, 1_000)]
        );
        assert!(
            scheduled.iter().enumerate().all(|(at, line)| line.3.abs_diff(500_000_000 * (at as u64 + 1)) < 2_000_000)
        );
        assert_eq!(seen.len(), 6, "nothing was recorded of end to end");
        let heads = text.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"#[MaxValueDivisor")).count();
        assert_eq!(heads, 1);
    }

    /// The alphabet of RFC 4648, without checks: what is decoded was just encoded.
    fn base64_of(text: &str) -> Vec<u8> {
        let value = |byte: u8| match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let mut out = Vec::new();
        for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
            let bits = chunk.iter().fold(0_u32, |bits, &byte| bits << 6 | u32::from(value(byte)));
            let bits = bits << (6 * (4 - chunk.len()));
            out.extend(&bits.to_be_bytes()[1..chunk.len()]);
        }
        out
    }
}
