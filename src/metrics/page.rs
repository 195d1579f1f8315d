//! The page of /metrics: all figures in Prometheus' text format.

use std::fmt::Display;

use super::families::{Row, rows};
use super::gather::{Report, ShardReport};
use super::lag::Lag;
use super::text::{Family, Kind, Page};
use super::{Latency, TIERS};
use crate::runtime::Reactor;

/// Quantiles of latencies that are shown.
const QUANTILES: [f64; 4] = [0.5, 0.95, 0.99, 0.999];
/// Lags written before the shard does something else.
const LAGS_PER_RUN: usize = 256;

/// Writes everything that was gathered.
pub async fn write(report: &Report, reactor: &Reactor) -> String {
    let mut page = Page::default();
    let version: &dyn Display = &env!("CARGO_PKG_VERSION");
    page.family("duramen_build_info", Kind::Gauge, "The version that runs; always 1.")
        .sample(&[("version", version)], 1);
    page.family("duramen_topics", Kind::Gauge, "Topics of the cluster.").sample(&[], report.topics);
    singles(&mut page, &report.shards);
    reactor.yield_if_due().await;
    tiers(&mut page, &report.shards);
    states(&mut page, &report.shards);
    latencies(&mut page, report, reactor).await;
    lags(&mut page, report, reactor).await;
    page.into_text()
}

/// The families of which each shard has one sample.
fn singles(page: &mut Page, shards: &[ShardReport]) {
    let by_shard: Vec<Vec<Row>> = shards.iter().map(rows).collect();
    let first = by_shard.first().into_iter().flatten();
    for (index, Row { name, kind, help, .. }) in first.enumerate() {
        let mut family = page.family(name, *kind, help);
        for (shard, rows) in shards.iter().zip(&by_shard) {
            family.sample(&[("shard", &shard.id)], &rows[index].value);
        }
    }
}

fn tiers(page: &mut Page, shards: &[ShardReport]) {
    let help =
        "Record bytes sent to clients: from the tail in memory, from the page cache by sendfile, or from the disk.";
    let mut family = page.family("duramen_fetch_sent_bytes_total", Kind::Counter, help);
    per_tier(&mut family, shards, |shard| shard.counted.bytes_sent);
    let help = "Record bytes that were found for readers, by where they were found.";
    let mut family = page.family("duramen_log_read_bytes_total", Kind::Counter, help);
    per_tier(&mut family, shards, |shard| {
        [shard.log.bytes_read_hot, shard.log.bytes_read_cached, shard.log.bytes_read_cold]
    });
}

fn per_tier(family: &mut Family<'_>, shards: &[ShardReport], bytes: impl Fn(&ShardReport) -> [u64; TIERS.len()]) {
    for shard in shards {
        for (tier, bytes) in TIERS.iter().zip(bytes(shard)) {
            family.sample(&[("shard", &shard.id), ("tier", tier)], bytes);
        }
    }
}

fn states(page: &mut Page, shards: &[ShardReport]) {
    let help = "Partitions by health; all but good refuse writes.";
    let mut family = page.family("duramen_partition_health", Kind::Gauge, help);
    for shard in shards {
        for (health, count) in &shard.health {
            family.sample(&[("shard", &shard.id), ("health", health)], count);
        }
    }
    let mut family = page.family("duramen_groups", Kind::Gauge, "Consumer groups by state.");
    for shard in shards {
        for (state, count) in &shard.groups {
            family.sample(&[("shard", &shard.id), ("state", state)], count);
        }
    }
}

async fn latencies(page: &mut Page, report: &Report, reactor: &Reactor) {
    let help = "From the arrival of a request to the end of its answer, since the start; waits of long polls included.";
    let mut family = page.family("duramen_request_seconds", Kind::Summary, help);
    for shard in &report.shards {
        for (api, latency) in &shard.counted.latencies {
            summary(&mut family, &shard.id, api.name(), latency);
            reactor.yield_if_due().await;
        }
    }
}

fn summary(family: &mut Family<'_>, shard: &dyn Display, api: &str, latency: &Latency) {
    for quantile in QUANTILES {
        let micros = latency.histogram.value_at_quantile(quantile);
        family.sample(&[("shard", shard), ("api", &api), ("quantile", &quantile)], micros as f64 / 1e6);
    }
    family.sample_of("_sum", &[("shard", shard), ("api", &api)], latency.sum.as_secs_f64());
    family.sample_of("_count", &[("shard", shard), ("api", &api)], latency.histogram.len());
}

async fn lags(page: &mut Page, report: &Report, reactor: &Reactor) {
    let help = "Records between what a group has committed and the high watermark.";
    per_lag(page.family("duramen_group_lag", Kind::Gauge, help), report, reactor, |lag| lag.lag).await;
    let help = "The offset that a group has committed.";
    let family = page.family("duramen_group_committed_offset", Kind::Gauge, help);
    per_lag(family, report, reactor, |lag| lag.committed).await;
    let help = "1 if there are more lags than one scrape shows.";
    let mut family = page.family("duramen_group_lag_truncated", Kind::Gauge, help);
    family.sample(&[], u8::from(report.lags.truncated));
}

async fn per_lag(mut family: Family<'_>, report: &Report, reactor: &Reactor, value: impl Fn(&Lag) -> i64) {
    for some in report.lags.shown.chunks(LAGS_PER_RUN) {
        for lag in some {
            let labels: [(&str, &dyn Display); 3] =
                [("group", &lag.group), ("topic", &lag.topic), ("partition", &lag.partition)];
            family.sample(&labels, value(lag));
        }
        reactor.yield_if_due().await;
    }
}
