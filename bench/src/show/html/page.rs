//! The page of one run.

use super::plots::{Kind, Line, Plot};
use super::{document, escaped, facts, machine, table};
use crate::Error;
use crate::outcome::{Outcome, Second, Summary, Verdict};
use crate::show::figures::{bytes, count, ms, number, percent};
use crate::show::plan::words;
use crate::show::repeat::command;
use crate::show::text::{notes, rows, verification};

/// Summary, latencies by percentile and over time, rates, costs, and how to repeat the run.
pub fn page(outcome: &Outcome) -> Result<String, Error> {
    let title = outcome.plan.as_ref().map_or_else(|| "A run".to_owned(), words);
    let (what, how) = title.split_once("; ").unwrap_or((&title, ""));
    let mut body = format!("<h1>{}</h1>\n<p>{}</p>\n", escaped(what), escaped(how));
    body += &badge(outcome);
    body += &format!(
        "<p class=\"dim\">{}; {}{}</p>\n",
        escaped(&outcome.started),
        escaped(&machine(&outcome.machine)),
        versions(outcome)
    );
    if let Some(reason) = &outcome.incomplete {
        body += &format!("<div class=\"banner bad\">INCOMPLETE: {}</div>\n", escaped(reason));
    }
    if outcome.rate_kept == Some(false) {
        body += "<div class=\"banner bad\">The rate that was asked for was not kept.</div>\n";
    }
    body += &tiles(outcome);
    body += "<h2>Summary</h2>\n";
    let rows = rows(outcome);
    body += &facts(rows.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    for note in notes(outcome) {
        body += &format!("<p class=\"dim\">{}</p>\n", escaped(&note));
    }
    body += &latencies(outcome)?;
    body += &series(outcome)?;
    body += &repeat(outcome)?;
    body += "<footer>Made by duramen bench. Latency runs from the scheduled time of each record; a percentile with fewer \
             than 100 samples beyond it is not told.</footer>\n";
    Ok(document(what, &body))
}

fn badge(outcome: &Outcome) -> String {
    let is_asked = outcome.plan.as_ref().is_none_or(|plan| plan.verify);
    let (name, text) = verification(&outcome.verification, is_asked);
    let class = match outcome.verification.verdict {
        Verdict::Verified => "good",
        Verdict::Failed => "bad",
        Verdict::Partly | Verdict::Not => "warn",
    };
    format!("<p><span class=\"badge {class}\">{}</span> {}</p>\n", name.to_lowercase(), escaped(&text))
}

fn versions(outcome: &Outcome) -> String {
    outcome.versions.iter().map(|(name, version)| format!("; {} {}", escaped(name), escaped(version))).collect()
}

/// The latency that the command is about.
fn chief(outcome: &Outcome) -> Option<(&'static str, &Summary)> {
    let latency = &outcome.latency;
    let end_to_end = latency.end_to_end.as_ref().map(|summary| ("end to end", summary));
    let scheduled = latency.scheduled.as_ref().map(|summary| ("from the schedule", summary));
    end_to_end.or(scheduled).or(latency.sent.as_ref().map(|summary| ("from sending", summary)))
}

fn tiles(outcome: &Outcome) -> String {
    let mut tiles = Vec::new();
    for (counts, what) in [(&outcome.produced, "produced"), (&outcome.consumed, "consumed")] {
        if let Some(counts) = counts {
            tiles.push((number(counts.records_per_second), format!("records/s {what}")));
        }
    }
    if let Some((name, summary)) = chief(outcome) {
        let told = [
            ("p50", summary.p50_ns),
            ("p99", summary.p99_ns),
            ("p99.9", summary.p999_ns),
            ("max", Some(summary.max_ns)),
        ];
        for (quantile, ns) in told {
            tiles.extend(ns.map(|ns| (format!("{} ms", ms(ns)), format!("{quantile} {name}"))));
        }
    }
    if let Some(cost) = &outcome.cost {
        tiles.push((format!("{} s", number(cost.user_seconds + cost.system_seconds)), "CPU of the broker".to_owned()));
        tiles.extend(cost.peak_bytes.map(|peak| (bytes(peak), "peak memory of the broker".to_owned())));
    }
    let tile = |(figure, name): (String, String)| {
        format!("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", escaped(&figure), escaped(&name))
    };
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.into_iter().map(tile).collect::<String>())
}

/// A summary's curve over 1/(1 - quantile), in milliseconds; the maximum has no place on that axis.
pub(super) fn curve(name: &str, summary: &Summary) -> Line {
    let points = summary.curve.iter().filter(|(quantile, ns)| *quantile < 1.0 && *ns > 0);
    Line::new(name, points.map(|&(quantile, ns)| (1.0 / (1.0 - quantile), Some(ns as f64 / 1e6))))
}

fn latencies(outcome: &Outcome) -> Result<String, Error> {
    let latency = &outcome.latency;
    let all = [
        ("from the schedule", &latency.scheduled),
        ("from sending", &latency.sent),
        ("end to end", &latency.end_to_end),
    ];
    let known: Vec<_> = all.iter().filter_map(|(name, summary)| Some((*name, summary.as_ref()?))).collect();
    if known.is_empty() {
        return Ok(String::new());
    }
    let plot = Plot {
        kind: Kind::Percentiles,
        unit: "milliseconds",
        lines: known.iter().map(|(name, summary)| curve(name, summary)).collect(),
        mark: None,
        caption: "Latency by percentile; both axes are logarithmic.".to_owned(),
    };
    let cell = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), ms);
    let row = |(name, summary): &(&str, &Summary)| {
        let told = [summary.p50_ns, summary.p90_ns, summary.p95_ns, summary.p99_ns, summary.p999_ns, summary.p9999_ns];
        let figures = told.into_iter().chain([Some(summary.max_ns)]).map(cell);
        std::iter::once((*name).to_owned()).chain(figures).chain([count(summary.samples)]).collect()
    };
    let rows: Vec<Vec<String>> = known.iter().map(row).collect();
    let head = ["milliseconds", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max", "samples"];
    Ok(format!("<h2>Latency</h2>\n{}{}", plot.figure()?, table(&head, &rows)))
}

fn series(outcome: &Outcome) -> Result<String, Error> {
    let seconds = &outcome.series;
    if seconds.is_empty() {
        return Ok(String::new());
    }
    let warm_up = outcome.plan.as_ref().map(|plan| plan.warm_up.as_secs_f64()).filter(|&seconds| seconds > 0.0);
    let over = if warm_up.is_some() { "; measured right of the dotted line" } else { "" };
    let line = |name: &str, of: &dyn Fn(&Second) -> Option<f64>| {
        Line::new(name, seconds.iter().map(|second| (f64::from(second.second) + 0.5, of(second))))
    };
    let plot = |kind, unit, caption: &str, lines: Vec<Line>| {
        let lines = lines.into_iter().filter(|line| !line.pieces.is_empty()).collect();
        Plot { kind, unit, lines, mark: warm_up, caption: format!("{caption}{over}.") }.figure()
    };
    let ns = |ns: u64| ns as f64 / 1e6;
    let max = |second: &Second| (second.max_ns > 0).then(|| ns(second.max_ns));
    let mut rates = Vec::new();
    if outcome.produced.is_some() {
        rates.push(line("acknowledged", &|second| Some(second.produced as f64)));
    }
    if outcome.consumed.is_some() {
        rates.push(line("consumed", &|second| Some(second.consumed as f64)));
    }
    let mut out = "<h2>Over time</h2>\n".to_owned();
    out += &plot(Kind::Time, "records/s", "Records by second", rates)?;
    let latencies = vec![
        line("p50", &|second| second.p50_ns.map(ns)),
        line("p99", &|second| second.p99_ns.map(ns)),
        line("max", &max),
    ];
    out += &plot(Kind::LogTime, "milliseconds", "Latency by second; the axis is logarithmic", latencies)?;
    let memory = line("resident", &|second| second.rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)));
    out += &plot(Kind::Time, "MiB", "Memory of the broker", vec![memory])?;
    let cpus = outcome.machine.cpus as f64;
    let mut busy = vec![line("broker", &|second| second.broker_cpu_seconds)];
    if !busy[0].pieces.is_empty() {
        busy.push(line("stolen by the hypervisor", &|second| Some(second.steal * cpus)));
    }
    out += &plot(Kind::Time, "CPUs", "CPUs in use", busy)?;
    Ok(out + &format!("<details><summary>The same as a table</summary>\n{}</details>\n", seconds_table(seconds)))
}

fn seconds_table(seconds: &[Second]) -> String {
    let head = [
        "second",
        "produced",
        "consumed",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "late max ms",
        "in flight",
        "memory",
        "CPU-s",
        "steal",
    ];
    let dash = || "-".to_owned();
    let row = |second: &Second| {
        vec![
            second.second.to_string(),
            count(second.produced),
            count(second.consumed),
            second.p50_ns.map_or_else(dash, ms),
            second.p99_ns.map_or_else(dash, ms),
            second.p999_ns.map_or_else(dash, ms),
            ms(second.max_ns),
            ms(second.late_max_ns),
            count(second.in_flight.into()),
            second.rss_bytes.map_or_else(dash, bytes),
            second.broker_cpu_seconds.map_or_else(dash, number),
            percent(second.steal),
        ]
    };
    table(&head, &seconds.iter().map(row).collect::<Vec<_>>())
}

fn repeat(outcome: &Outcome) -> Result<String, Error> {
    let Some(plan) = &outcome.plan else { return Ok(String::new()) };
    let json = serde_json::to_string_pretty(plan)
        .map_err(|error| Error::Io { what: "write the plan".to_owned(), source: error.into() })?;
    Ok(format!(
        "<h2>To repeat it</h2>\n<pre class=\"command\">{}</pre>\n<details><summary>The plan in full</summary>\n\
         <pre>{}</pre></details>\n",
        escaped(&command(plan)),
        escaped(&json)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sample;

    #[test]
    fn a_page_needs_nothing_else_and_has_everything() {
        let page = page(&sample::outcome()).unwrap();
        for words in [
            "<title>produce, open loop, 50,000 records/s of 100 B for 30 s after 5 s</title>",
            "<span class=\"badge good\">verified</span>",
            "from the schedule",
            "Memory of the broker",
            "duramen bench produce --rate 50000",
            "&quot;producers&quot;: 1",
            "AMD EPYC 7B13",
        ] {
            assert!(page.contains(words), "{words} is not in the page");
        }
        assert!(
            !page.contains("<script") && !page.contains("href=") && !page.contains("src="),
            "it must need nothing else"
        );
        let links = page.matches("http").count() - page.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(links, 0, "it must fetch nothing");
        assert_eq!(page.matches("<svg ").count(), 2 * 5);
    }

    #[test]
    fn what_is_wrong_stands_at_the_front() {
        let mut outcome = sample::outcome();
        outcome.incomplete = Some("the broker <died>".to_owned());
        outcome.verification.verdict = Verdict::Failed;
        let page = page(&outcome).unwrap();
        assert!(page.contains("INCOMPLETE: the broker &lt;died&gt;") && page.contains("badge bad"));
    }

    #[test]
    fn an_empty_outcome_has_a_page_too() {
        let page = page(&Outcome::default()).unwrap();
        assert!(page.contains("not verified") && !page.contains("<svg "));
    }
}
