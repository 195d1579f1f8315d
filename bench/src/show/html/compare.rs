//! The page of a comparison.

use super::page::curve;
use super::plots::{Kind, LINES_MAX, Line, Plot};
use super::{document, escaped, machine, table};
use crate::Error;
use crate::compare::{Figures, Judgement, Results, RowResult, SideResult};
use crate::outcome::{Outcome, Summary, Verdict};
use crate::show::figures::number;
use crate::show::text::middles;

/// What the rows show, then each row with its sides, its judgements and its latencies.
pub fn comparison_page(results: &Results) -> Result<String, Error> {
    let title = format!("Duramen beside others on {}", results.machine.cpu);
    let mut body = format!("<h1>{}</h1>\n", escaped(&title));
    body += &format!("<p>{}</p>\n", escaped(&machine(&results.machine)));
    let warm = number(results.warm_gib);
    body += &format!(
        "<p class=\"dim\">{}; up to {warm} GiB of memory warmed before each run. Ratios are Duramen's figure by \
                      the other's, pair by pair, with their 95 % interval.</p>\n",
        escaped(&results.cores)
    );
    body += &overview(results);
    for row in &results.rows {
        body += &section(row)?;
    }
    body += &sweep(results);
    body += "<footer>Made by duramen bench compare.</footer>\n";
    Ok(document(&title, &body))
}

/// Class and words of a judgement; one without a goal has neither.
fn mark(judgement: &Judgement) -> (&'static str, &'static str) {
    match (judgement.held, judgement.goal) {
        (Some(true), _) => ("good", "holds"),
        (Some(false), _) => ("bad", "missed"),
        (None, Some(_)) => ("warn", "not shown"),
        (None, None) => ("", ""),
    }
}

/// Every judgement with a goal.
fn overview(results: &Results) -> String {
    let mut out =
        "<h2>Goals</h2>\n<div class=\"scroll\"><table>\n<tr><th>row</th><th>goal</th><th></th></tr>\n".to_owned();
    for row in &results.rows {
        for judgement in row.judgements.iter().filter(|judgement| judgement.goal.is_some()) {
            let (class, words) = mark(judgement);
            out += &format!(
                "<tr><td><a href=\"#{name}\">{name}</a></td><td>{}</td><td class=\"{class}\">{words}</td></tr>\n",
                escaped(&judgement.text),
                name = escaped(&row.name)
            );
        }
    }
    out + "</table></div>\n"
}

fn section(row: &RowResult) -> Result<String, Error> {
    let name = escaped(&row.name);
    let state = if row.complete { "" } else { " <span class=\"badge bad\">incomplete</span>" };
    let mut out = format!("<h2 id=\"{name}\">{name}: {}{state}</h2>\n", escaped(&row.title));
    out += &format!("<p class=\"dim\">commit {}, {}</p>\n", escaped(&row.commit), escaped(&row.date));
    out += &sides(row);
    for judgement in &row.judgements {
        let (class, words) = mark(judgement);
        let badge =
            if words.is_empty() { String::new() } else { format!("<span class=\"badge {class}\">{words}</span> ") };
        out += &format!("<p>{badge}{}</p>\n", escaped(&judgement.text));
    }
    out += &latencies(row)?;
    let parameters = serde_json::to_string_pretty(&row.parameters)
        .map_err(|error| Error::Io { what: "write parameters".to_owned(), source: error.into() })?;
    let parameters = format!("<details><summary>Parameters</summary><pre>{}</pre></details>\n", escaped(&parameters));
    Ok(out + &parameters)
}

/// A figure a row, a side a column: the median, with the least and the most.
fn sides(row: &RowResult) -> String {
    let heads = row.sides.iter().map(|side| format!("{} ({})", side.name, side.level));
    let heads: Vec<String> = std::iter::once("median (least to most)".to_owned()).chain(heads).collect();
    let who = row.sides.iter().map(|side| format!("{}: {}, {}", side.name, side.version, runs(side)));
    let who = format!("<p class=\"dim\">{}</p>\n", escaped(&who.collect::<Vec<_>>().join("; ")));
    let mut names: Vec<&String> = row.sides.iter().flat_map(|side| side.runs.iter().flat_map(Figures::keys)).collect();
    names.sort();
    names.dedup();
    let cell = |side: &SideResult, name: &String| {
        let values = || side.runs.iter().filter_map(|figures| figures.get(name)).copied();
        let middle = middles(&side.runs).into_iter().find(|(found, _)| found == name)?.1;
        let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        Some(format!("{} ({} to {})", number(middle), number(least), number(most)))
    };
    let line = |name: &&String| {
        let cells = row.sides.iter().map(|side| cell(side, name).unwrap_or_else(|| "-".to_owned()));
        std::iter::once((*name).clone()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = names.iter().map(line).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let unverified = row
        .sides
        .iter()
        .filter(|side| side.outcome.as_ref().is_some_and(|outcome| outcome.verification.verdict != Verdict::Verified));
    let unverified: Vec<&str> = unverified.map(|side| side.name.as_str()).collect();
    let note = if unverified.is_empty() {
        String::new()
    } else {
        format!("<p class=\"dim\">Not verified by reading back: {}.</p>\n", escaped(&unverified.join(", ")))
    };
    who + &table(&heads, &rows) + &note
}

fn runs(side: &SideResult) -> String {
    format!("{} run{}", side.runs.len(), if side.runs.len() == 1 { "" } else { "s" })
}

fn latencies(row: &RowResult) -> Result<String, Error> {
    let chief = |outcome: &Outcome| -> Option<Summary> {
        let latency = &outcome.latency;
        latency.end_to_end.clone().or(latency.scheduled.clone()).or(latency.sent.clone())
    };
    let line = |side: &SideResult| -> Option<Line> {
        let summary = side.outcome.as_ref().and_then(chief)?;
        Some(curve(&format!("{} ({})", side.name, side.level), &summary))
    };
    let lines: Vec<Line> = row.sides.iter().filter_map(line).take(LINES_MAX).collect();
    let caption = "Latency of each side's last run by percentile; both axes are logarithmic.".to_owned();
    Plot { kind: Kind::Percentiles, unit: "milliseconds", lines, mark: None, caption }.figure()
}

fn sweep(results: &Results) -> String {
    let Some(sweep) = &results.sweep else { return String::new() };
    let mut names: Vec<&String> = sweep.tried.iter().flat_map(|(_, figures)| figures.keys()).collect();
    names.sort();
    names.dedup();
    let head: Vec<&str> = std::iter::once("Kafka's process").chain(names.iter().map(|name| name.as_str())).collect();
    let row = |(tried, figures): &(String, Figures)| {
        let cells = names.iter().map(|name| figures.get(*name).map_or_else(|| "-".to_owned(), |value| number(*value)));
        std::iter::once(tried.clone()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = sweep.tried.iter().map(row).collect();
    format!(
        "<h2>How Kafka was run</h2>\n<p>The cheapest was {}, the quickest {}: rows that are judged by CPU have the one, rows \
         that are judged by latency the other.</p>\n{}",
        escaped(&sweep.cheapest),
        escaped(&sweep.quickest),
        table(&head, &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Sweep;
    use crate::show::sample;

    fn results() -> Results {
        let side = |name: &str, cpu: &[f64]| SideResult {
            name: name.to_owned(),
            level: "fsync".to_owned(),
            version: "1".to_owned(),
            runs: cpu.iter().map(|&cpu| [("cpu_per_m".to_owned(), cpu)].into()).collect(),
            outcome: Some(sample::outcome()),
        };
        let judged =
            |held, text: &str| Judgement { held, goal: Some(0.2), text: text.to_owned(), ..Judgement::default() };
        Results {
            machine: sample::outcome().machine,
            rows: vec![RowResult {
                name: "produce-100".to_owned(),
                title: "100 B".to_owned(),
                complete: true,
                sides: vec![side("duramen", &[0.03, 0.01, 0.02]), side("kafka", &[0.2, 0.1])],
                judgements: vec![
                    judged(Some(true), "CPU"),
                    judged(Some(false), "p99; KAFKA WINS"),
                    judged(None, "p99.9"),
                ],
                ..RowResult::default()
            }],
            sweep: Some(Sweep {
                tried: vec![("4G G1".to_owned(), [("cpu".to_owned(), 0.2)].into())],
                cheapest: "4G G1".to_owned(),
                quickest: "4G ZGC".to_owned(),
            }),
            ..Results::default()
        }
    }

    #[test]
    fn rows_have_figures_marks_and_plots() {
        let page = comparison_page(&results()).unwrap();
        for words in [
            "<a href=\"#produce-100\">",
            "<td class=\"n\">0.020 (0.010 to 0.030)</td>",
            "<td class=\"n\">0.15 (0.10 to 0.20)</td>",
            "kafka: 1, 2 runs",
            "<th class=\"n\">kafka (fsync)</th>",
            "<span class=\"badge good\">holds</span> CPU",
            "<span class=\"badge bad\">missed</span> p99; KAFKA WINS",
            "<span class=\"badge warn\">not shown</span> p99.9",
            "duramen (fsync)</span>",
            "the quickest 4G ZGC",
        ] {
            assert!(page.contains(words), "{words} is not in the page");
        }
        assert_eq!(page.matches("<svg ").count(), 2);
        assert!(!page.contains("Not verified") && !page.contains("incomplete</span>"));
    }

    #[test]
    fn what_was_not_verified_or_ended_early_is_marked() {
        let mut results = results();
        results.rows[0].complete = false;
        if let Some(outcome) = &mut results.rows[0].sides[1].outcome {
            outcome.verification.verdict = Verdict::Not;
        }
        let page = comparison_page(&results).unwrap();
        assert!(page.contains("Not verified by reading back: kafka.") && page.contains("incomplete</span>"));
    }
}
