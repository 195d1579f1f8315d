//! The summary of a run, and of a row of the comparison, as text.

use super::figures::{bytes, count, ms, number, percent, some};
use super::plan::words;
use crate::compare::RowResult;
use crate::outcome::{Cost, Counts, Generator, Outcome, Summary, Verdict, Verification, Who};
use crate::plan::{Compression, Pace};

/// Columns of the names before the figures.
const NAMES_LEN: usize = 26;

/// The summary, one figure after another, the most important first.
pub fn text(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    lines.extend(outcome.incomplete.as_ref().map(|reason| format!("INCOMPLETE: {reason}")));
    lines.extend(outcome.plan.as_ref().map(words));
    lines.extend(rows(outcome).into_iter().map(|(name, figures)| format!("  {name:<NAMES_LEN$}  {figures}")));
    lines.extend(notes(outcome).into_iter().map(|note| format!("  note: {note}")));
    lines.join("\n") + "\n"
}

/// Names and figures, for the text and for the page.
pub fn rows(outcome: &Outcome) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, figures: String| rows.push((name.to_owned(), figures));
    if let Some(counts) = &outcome.produced {
        row(produced_name(outcome), throughput(counts, ""));
        let left = [(counts.failed, "refused"), (counts.unsent, "not sent in time")];
        let left: Vec<_> = left.iter().filter(|(records, _)| *records > 0).collect();
        if !left.is_empty() {
            let left: Vec<_> =
                left.iter().map(|(records, what)| format!("{} records {what}", count(*records))).collect();
            row("", left.join(", "));
        }
    }
    if let Some(counts) = &outcome.consumed {
        let lost = match counts.lost_to_retention {
            0 => String::new(),
            records => format!("; {} lost to retention", some(records, "record")),
        };
        row("consumed", throughput(counts, " of batches") + &lost);
    }
    let latency = &outcome.latency;
    let latencies = [
        ("latency from the schedule", &latency.scheduled),
        ("latency from sending", &latency.sent),
        ("latency end to end", &latency.end_to_end),
    ];
    for (name, summary) in latencies {
        if let Some(summary) = summary {
            row(name, percentiles(summary));
        }
    }
    if let Some(late) = &latency.late {
        let p99 = late.p99_ns.map(|ns| format!("p99 {}  ", ms(ns))).unwrap_or_default();
        row("generator late", format!("{p99}max {} ms", ms(late.max_ns)));
    }
    if let Some(cost) = &outcome.cost {
        row(&broker_name(outcome), broker(outcome, cost));
        if let Some(syncs) = device(cost) {
            row(&format!("disk {}", cost.device.as_deref().unwrap_or("unknown")), syncs);
        }
    }
    row("generator", generator(&outcome.generator, outcome.cost.as_ref()));
    row("limit", format!("{}: {}", who(outcome), outcome.limit.why));
    let (name, verdict) = verification(&outcome.verification, outcome.plan.as_ref().is_none_or(|plan| plan.verify));
    row(name, verdict);
    rows
}

fn produced_name(outcome: &Outcome) -> &'static str {
    match outcome.rate_kept {
        Some(true) => "kept",
        Some(false) => "RATE NOT KEPT",
        None => "produced",
    }
}

fn throughput(counts: &Counts, of: &str) -> String {
    let mut text =
        format!("{} records/s ({}/s{of})", number(counts.records_per_second), bytes(counts.bytes_per_second as u64));
    if counts.records > 0 && counts.records_per_second > 0.0 {
        let seconds = counts.records as f64 / counts.records_per_second;
        text += &format!(", {} requests/s", number(counts.requests as f64 / seconds));
    }
    if counts.batches > 0 {
        text += &format!(", {} records a batch", number(counts.records as f64 / counts.batches as f64));
    }
    text
}

/// In milliseconds; what may not be told is left out.
pub fn percentiles(summary: &Summary) -> String {
    let told = [
        ("p50", summary.p50_ns),
        ("p90", summary.p90_ns),
        ("p99", summary.p99_ns),
        ("p99.9", summary.p999_ns),
        ("p99.99", summary.p9999_ns),
        ("max", Some(summary.max_ns)),
    ];
    let told: Vec<_> = told.iter().filter_map(|(name, ns)| Some(format!("{name} {}", ms((*ns)?)))).collect();
    told.join("  ") + " ms"
}

fn broker_name(outcome: &Outcome) -> String {
    match outcome.plan.as_ref().and_then(|plan| plan.broker.pid) {
        Some(pid) => format!("broker (pid {pid})"),
        None => "broker".to_owned(),
    }
}

/// Of the whole run, warm-up included, as the cost is.
fn records_of_run(outcome: &Outcome) -> u64 {
    let produced: u64 = outcome.series.iter().map(|second| second.produced).sum();
    if produced > 0 { produced } else { outcome.series.iter().map(|second| second.consumed).sum() }
}

fn broker(outcome: &Outcome, cost: &Cost) -> String {
    let cpu = cost.user_seconds + cost.system_seconds;
    let mut text =
        format!("{} CPU-s ({} user, {} system)", number(cpu), number(cost.user_seconds), number(cost.system_seconds));
    let records = records_of_run(outcome);
    if records > 0 {
        text += &format!(", {} CPU-s per M records", number(cpu / records as f64 * 1e6));
    }
    let all = [("peak", cost.peak_bytes), ("read", cost.read_bytes), ("wrote", cost.written_bytes)];
    for (what, number) in all {
        let figure = number.map_or_else(|| "unknown".to_owned(), bytes);
        text += &format!("{} {what} {figure}", if what == "peak" { ";" } else { "," });
    }
    text
}

fn device(cost: &Cost) -> Option<String> {
    let flushes = cost.device_flushes.map(|flushes| format!("{}, of the whole machine", some_flushes(flushes)));
    let syncs = cost.broker_syncs.map(|syncs| format!("the broker counts {}", some(syncs, "sync")));
    let parts: Vec<_> = flushes.into_iter().chain(syncs).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn some_flushes(flushes: u64) -> String {
    format!("{} flush{}", count(flushes), if flushes == 1 { "" } else { "es" })
}

fn generator(generator: &Generator, cost: Option<&Cost>) -> String {
    let busiest = generator.threads.iter().map(|thread| thread.busy).fold(0.0, f64::max);
    let mut text =
        format!("{} CPU-s, {}", number(generator.cpu_seconds), some(generator.threads.len() as u64, "thread"));
    text += &format!(", the busiest {}", percent(busiest));
    if let Some(cost) = cost {
        let all = cost.wall_seconds * cost.cpus as f64;
        if all > 0.0 {
            let (busy, steal) = (cost.machine_seconds / all, cost.steal_seconds / all);
            text += &format!("; machine {} busy, {} steal", percent(busy), percent(steal));
        }
    }
    text
}

/// Who was the limit.
pub fn who(outcome: &Outcome) -> &'static str {
    match outcome.limit.who {
        Who::Nobody => "nobody",
        Who::Broker => "the broker",
        Who::Generator => "the generator",
        Who::Machine => "the machine",
        Who::Unclear => "unclear",
    }
}

/// Records a second that were asked for, and kept.
pub fn rates(outcome: &Outcome) -> Option<(String, String)> {
    let plan = outcome.plan.as_ref()?;
    let Pace::Open { records_per_second } = plan.produce.as_ref()?.pace else { return None };
    let kept = outcome.produced.as_ref()?.records_per_second;
    Some((number(records_per_second), number(kept)))
}

/// The verdict's name, and what is behind it.
pub fn verification(found: &Verification, is_asked: bool) -> (&'static str, String) {
    let reason = found.reason.as_deref();
    let acknowledged = some(found.acknowledged, "acknowledged record");
    match found.verdict {
        Verdict::Verified => {
            let there = match reason {
                Some(reason) => format!("{reason}; the others are all there"),
                None => "all there".to_owned(),
            };
            ("verified", format!("{acknowledged}: {there}, once, in order, unchanged{}", doubts(found)))
        }
        Verdict::Failed => {
            let reason = reason.map(|reason| format!("{reason}; ")).unwrap_or_default();
            ("VERIFICATION FAILED", format!("{reason}of {acknowledged}: {}{}", faults(found), doubts(found)))
        }
        Verdict::Partly => {
            let reason = reason.map(|reason| format!("{reason}; ")).unwrap_or_default();
            ("PARTLY VERIFIED", format!("{reason}of {acknowledged}: {}{}", faults(found), doubts(found)))
        }
        Verdict::Not if !is_asked => ("NOT VERIFIED", "--no-verify was given".to_owned()),
        Verdict::Not => ("NOT VERIFIED", reason.unwrap_or("nothing was acknowledged").to_owned()),
    }
}

fn faults(found: &Verification) -> String {
    let all = [
        (found.missing, "missing"),
        (found.duplicated, "duplicated"),
        (found.reordered, "reordered"),
        (found.changed, "changed"),
        (found.removed, "removed by retention before they were read back"),
        (found.unverified, "more than the ledger holds"),
    ];
    let mut parts: Vec<_> = all
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number)))
        .collect();
    parts.extend((found.gaps > 0).then(|| format!("gaps of {}", some(found.gaps, "offset"))));
    parts.extend((found.foreign > 0).then(|| format!("{} of others in the topic", some(found.foreign, "record"))));
    if parts.is_empty() { "none was found wrong".to_owned() } else { parts.join(", ") }
}

/// Records without an answer may be there or not.
fn doubts(found: &Verification) -> String {
    match found.in_doubt {
        0 => String::new(),
        records => {
            format!("; {} without an answer, {} of them found", some(records, "record"), count(found.in_doubt_found))
        }
    }
}

/// What a reader of the figures must know.
pub fn notes(outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    let plan = outcome.plan.as_ref();
    if outcome.incomplete.is_some() && outcome.seconds == 0.0 {
        notes.push("the run ended before its warm-up did: nothing of it is in these figures".to_owned());
    }
    if outcome.consumed.is_some() {
        notes.push("partitions are assigned to consumers for good: no group, no commits".to_owned());
    }
    let produce = plan.and_then(|plan| plan.produce.as_ref());
    if let Some(produce) = produce.filter(|produce| produce.compression != Compression::None) {
        let is_late = produce.keys.is_some() || plan.is_some_and(|plan| plan.consume.is_some());
        notes.push(if is_late {
            "batches are compressed when they are sent, as a client does it".to_owned()
        } else {
            let missed = outcome.generator.compressed_in_line;
            format!("batches were compressed once and sent again; {} in line", count(missed))
        });
    }
    if outcome.generator.stalled_seconds > 0.0 {
        let seconds = number(outcome.generator.stalled_seconds);
        notes.push(format!(
            "batches that were ready waited {seconds} s in all, for a free place under way or a free buffer"
        ));
    }
    if outcome.latency.given_up > 0 {
        notes.push(format!(
            "{} never acknowledged: latencies from the schedule have the time they had waited, and are too low",
            some(outcome.latency.given_up, "record")
        ));
    }
    if let Some(cost) = &outcome.cost {
        notes.extend(cost.notes.iter().cloned());
    }
    notes
}

/// A row of the comparison: each side's figures, and what they show.
pub fn row_text(row: &RowResult) -> String {
    let mut lines = vec![format!("{}: {}{}", row.name, row.title, if row.complete { "" } else { " (INCOMPLETE)" })];
    for side in &row.sides {
        let figures: Vec<_> =
            middles(&side.runs).into_iter().map(|(name, middle)| format!("{name} {}", number(middle))).collect();
        let who = format!("{} ({})", side.name, side.level);
        lines.push(format!("  {who:<NAMES_LEN$}  {}", figures.join(", ")));
    }
    for judgement in &row.judgements {
        let mark = match judgement.held {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None if judgement.goal.is_some() => "not shown",
            None => "",
        };
        lines.push(format!("  {mark:<NAMES_LEN$}  {}", judgement.text));
    }
    lines.join("\n") + "\n"
}

/// The median of each figure over runs.
pub fn middles(runs: &[crate::compare::Figures]) -> Vec<(String, f64)> {
    let mut all = crate::compare::Figures::new();
    let names: std::collections::BTreeSet<&String> = runs.iter().flat_map(|figures| figures.keys()).collect();
    for name in names {
        let mut values: Vec<f64> = runs.iter().filter_map(|figures| figures.get(name)).copied().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let is_even = values.len().is_multiple_of(2);
        all.insert(name.clone(), if is_even { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] });
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests;
