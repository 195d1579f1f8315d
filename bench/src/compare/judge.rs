//! What becomes of a row's goals: `holds`, `missed`, or `not shown` where the interval contains the goal. Where Kafka costs
//! less, the row says so. It also says which side fell behind its rate: with Duramen behind, no goal holds. Nor does one
//! hold before all the pairs are there, and attempts that failed are told.

use super::ratio::{interval, ratios, values};
use super::results::{Interval95, Judgement, Results, RowResult, SideResult};
use super::rows::figures::FELL_BEHIND;
use super::rows::{Better, Figure, Goal, Row};
use super::sides;

/// Every goal of a row, and for each cost and rate how it compares with Kafka, with a goal or without.
pub fn judge(row: &Row, results: &Results) -> Vec<Judgement> {
    let Some(measured) = results.row(&row.name) else { return Vec::new() };
    let Some(mine) = measured.side(sides::DURAMEN) else { return Vec::new() };
    let mut found = Vec::new();
    for figure in &row.figures {
        found.extend(figure.goals.iter().filter_map(|goal| of_goal(figure, goal, measured, mine, results)));
        found.extend(against_kafka(figure, measured, mine, sides::KAFKA, None));
        found.extend(against_kafka(figure, measured, mine, sides::KAFKA_DEFAULT, None));
        found.extend(measured.sides.iter().filter(|side| sides::is_limit(&side.name)).filter_map(|limit| {
            let has_goal = figure.goals.iter().any(|goal| matches!(goal, Goal::RatioToLimit(_)));
            (!has_goal && figure.better == Better::Lower).then(|| multiple(figure, mine, limit))?
        }));
    }
    if falls_behind(mine) {
        found.iter_mut().for_each(|judged| judged.held = judged.held.filter(|held| !held));
    }
    found.iter_mut().for_each(|judged| wants_all(judged, planned(measured)));
    found.extend(measured.sides.iter().filter_map(behind));
    found.extend(measured.failures.iter().map(|reason| Judgement {
        figure: FAILED_ATTEMPT.to_owned(),
        text: format!("an attempt FAILED: {reason}"),
        ..Judgement::default()
    }));
    found
}

/// The pairs that a row was to have, or those that it has where that is not told.
fn planned(row: &RowResult) -> u32 {
    let told = row.parameters.get("pairs").and_then(serde_json::Value::as_u64);
    let there = || row.sides.iter().map(|side| side.runs.len() as u64).max();
    told.or_else(there).and_then(|pairs| u32::try_from(pairs).ok()).unwrap_or(u32::MAX)
}

/// A goal holds over all pairs: runs without the figure are not left out where they might have shown otherwise.
fn wants_all(judged: &mut Judgement, planned: u32) {
    let Some(ratio) = judged.ratio.filter(|ratio| ratio.pairs < planned) else { return };
    judged.held = judged.held.filter(|held| !held);
    judged.text.push_str(&format!("; only {} of {planned} pairs", ratio.pairs));
}

fn falls_behind(side: &SideResult) -> bool {
    side.runs.iter().any(|run| run.contains_key(FELL_BEHIND))
}

/// Says that a side did not keep its rate: its figures are then those of another load.
fn behind(side: &SideResult) -> Option<Judgement> {
    let runs = side.runs.iter().filter(|run| run.contains_key(FELL_BEHIND)).count();
    let text = format!("{} FELL BEHIND its rate in {runs} of {} runs", side.name, side.runs.len());
    let (figure, against) = (FELL_BEHIND.to_owned(), side.name.clone());
    (runs > 0).then(|| Judgement { figure, against, text, ..Judgement::default() })
}

fn of_goal(figure: &Figure, goal: &Goal, row: &RowResult, mine: &SideResult, all: &Results) -> Option<Judgement> {
    match goal {
        Goal::RatioToKafka(bound) => against_kafka(figure, row, mine, sides::KAFKA, Some(*bound)),
        Goal::RatioToLimit(bound) => {
            let limit = cheapest(row, figure.key)?;
            let ratio = interval(&ratios(&mine.runs, &limit.runs, figure.key))?;
            Some(said(figure, &limit.name, ratio, Some((*bound, ratio.at_most(*bound), "at most"))))
        }
        Goal::AtMost(bound) => {
            let value = interval(&values(&mine.runs, figure.key))?;
            Some(said(figure, ITSELF, value, Some((*bound, value.at_most(*bound), "at most"))))
        }
        Goal::AtLeast(bound) => {
            let value = interval(&values(&mine.runs, figure.key))?;
            Some(said(figure, ITSELF, value, Some((*bound, value.at_least(*bound), "at least"))))
        }
        Goal::Flat { rows, within } => flat(figure, rows, *within, &mine.name, all),
    }
}

/// The widest interval that is told, high by low.
const TELLING_MAX: f64 = 10.0;

/// A judgement that tells of an earlier attempt, in place of a figure.
const FAILED_ATTEMPT: &str = "failed_attempt";

/// What a figure without a second side is compared with.
const ITSELF: &str = "";

fn against_kafka(
    figure: &Figure,
    row: &RowResult,
    mine: &SideResult,
    kafka: &str,
    goal: Option<f64>,
) -> Option<Judgement> {
    // With a goal the same ratio is told once, by the goal.
    let told = kafka == sides::KAFKA && figure.goals.iter().any(|goal| matches!(goal, Goal::RatioToKafka(_)));
    if goal.is_none() && (told || figure.better == Better::Neither) {
        return None;
    }
    let ratio = interval(&ratios(&mine.runs, &row.side(kafka)?.runs, figure.key))?;
    let mut judged = said(figure, kafka, ratio, goal.map(|bound| (bound, ratio.at_most(bound), "at most")));
    let kafka_wins = match figure.better {
        Better::Lower => ratio.at_most(1.0) == Some(false),
        Better::Higher => ratio.at_least(1.0) == Some(false),
        Better::Neither => false,
    };
    if kafka_wins {
        judged.text.push_str("; KAFKA WINS");
    }
    Some(judged)
}

/// The multiple of the physical limit.
fn multiple(figure: &Figure, mine: &SideResult, limit: &SideResult) -> Option<Judgement> {
    let ratio = interval(&ratios(&mine.runs, &paired(limit, mine.runs.len()), figure.key))?;
    Some(said(figure, &limit.name, ratio, None))
}

/// A limit that was measured once stands beside every run.
fn paired(limit: &SideResult, runs: usize) -> Vec<super::results::Figures> {
    match limit.runs.as_slice() {
        [once] => vec![once.clone(); runs],
        many => many.to_vec(),
    }
}

/// Of several limits the one that needs least: no broker can need less than that.
fn cheapest(row: &RowResult, key: &str) -> Option<SideResult> {
    let duramen = row.side(sides::DURAMEN)?.runs.len();
    let limits = row.sides.iter().filter(|side| sides::is_limit(&side.name));
    let known = limits.filter_map(|limit| Some((interval(&values(&limit.runs, key))?.middle, limit)));
    let (_, limit) = known.min_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(SideResult { runs: paired(limit, duramen), ..limit.clone() })
}

/// The largest of the rows' figures by the smallest, run by run; judged when all the rows are there, of one commit and with
/// the same parameters.
fn flat(figure: &Figure, rows: &[String], within: f64, side: &str, all: &Results) -> Option<Judgement> {
    let measured: Vec<&RowResult> = rows.iter().map(|row| all.row(row)).collect::<Option<_>>()?;
    let are_alike = |pair: &[&RowResult]| pair[0].commit == pair[1].commit && pair[0].parameters == pair[1].parameters;
    if !measured.windows(2).all(are_alike) {
        return None;
    }
    let sides: Vec<&SideResult> = measured.iter().map(|row| row.side(side)).collect::<Option<_>>()?;
    let runs = sides.iter().map(|side| side.runs.len()).min()?;
    let spread = |run: usize| {
        let found: Vec<f64> =
            sides.iter().map(|side| side.runs[run].get(figure.key).copied()).collect::<Option<_>>()?;
        let most = found.iter().copied().fold(f64::MIN, f64::max);
        let least = found.iter().copied().fold(f64::MAX, f64::min);
        (least > 0.0).then_some(most / least)
    };
    let spreads: Vec<f64> = (0..runs).filter_map(spread).collect();
    let ratio = interval(&spreads)?;
    let (first, last) = (rows.first()?, rows.last()?);
    let is_behind = sides.iter().any(|side| falls_behind(side));
    let held = ratio.at_most(within).filter(|held| !held || !is_behind);
    Some(said(figure, &format!("most by least of {first} to {last}"), ratio, Some((within, held, "at most"))))
}

/// A judgement in words; `goal` is the bound, whether it held, and its direction.
fn said(figure: &Figure, against: &str, ratio: Interval95, goal: Option<(f64, Option<bool>, &str)>) -> Judgement {
    let of = if against.is_empty() { figure.unit.to_owned() } else { format!("to {against}") };
    let mut text = format!("{}: {} {of} ({})", figure.title, short(ratio.middle), range(&ratio));
    if let Some((bound, _, direction)) = goal {
        text.push_str(&format!("; goal {direction} {}", short(bound)));
    }
    Judgement {
        figure: figure.key.to_owned(),
        against: against.to_owned(),
        ratio: Some(ratio),
        goal: goal.map(|(bound, ..)| bound),
        held: goal.and_then(|(_, held, _)| held),
        text,
    }
}

/// The interval in words; one that reaches over a factor of ten says nothing.
fn range(ratio: &Interval95) -> String {
    match ratio.pairs {
        1 => "one pair".to_owned(),
        pairs if ratio.high > ratio.low * TELLING_MAX => format!("{pairs} pairs that differ too much to tell"),
        _ => format!("{} to {}", short(ratio.low), short(ratio.high)),
    }
}

/// Three digits, or all of them before the point.
fn short(value: f64) -> String {
    let digits = (2 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 4) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::Figures;

    fn side(name: &str, values: &[f64]) -> SideResult {
        let runs = values.iter().map(|value| Figures::from([("cpu".to_owned(), *value)])).collect();
        SideResult { name: name.into(), runs, ..SideResult::default() }
    }

    fn row(name: &str, goals: Vec<Goal>) -> Row {
        Row { figures: vec![Figure::cost("cpu", "CPU", "us", goals)], ..Row::new(name, name) }
    }

    fn results(name: &str, sides: Vec<SideResult>) -> Results {
        let row = RowResult { name: name.into(), sides, ..RowResult::default() };
        Results { rows: vec![row], ..Results::default() }
    }

    fn verdicts(goal: Goal, sides: Vec<SideResult>) -> Vec<Option<bool>> {
        let judged = judge(&row("r", vec![goal]), &results("r", sides));
        judged.into_iter().filter(|judged| judged.goal.is_some()).map(|judged| judged.held).collect()
    }

    #[test]
    fn a_goal_holds_when_the_whole_interval_does() {
        let kafka = || side(sides::KAFKA, &[10.0, 10.0, 10.0]);
        let of = |mine: &[f64]| verdicts(Goal::RatioToKafka(0.2), vec![side(sides::DURAMEN, mine), kafka()]);
        assert_eq!(of(&[1.0, 1.01, 1.02]), [Some(true)]);
        assert_eq!(of(&[3.0, 3.01, 3.02]), [Some(false)]);
        assert_eq!(of(&[1.0, 2.0, 4.0]), [None]);
    }

    #[test]
    fn no_goal_holds_where_duramen_fell_behind() {
        let judged = |mine: &str, other: &str| {
            let mut sides = vec![side(mine, &[1.0, 1.01, 1.02]), side(other, &[10.0, 10.0, 10.0])];
            sides[0].runs[1].insert(FELL_BEHIND.to_owned(), 1.0);
            let goal = if mine == sides::KAFKA { 20.0 } else { 0.2 };
            let judged = judge(&row("r", vec![Goal::RatioToKafka(goal)]), &results("r", sides));
            (judged[0].held, judged[1].text.clone())
        };
        let text = |name: &str| format!("{name} FELL BEHIND its rate in 1 of 3 runs");
        assert_eq!(judged(sides::DURAMEN, sides::KAFKA), (None, text(sides::DURAMEN)));
        assert_eq!(judged(sides::KAFKA, sides::DURAMEN), (Some(true), text(sides::KAFKA)));
    }

    #[test]
    fn a_goal_holds_over_all_pairs_or_not_at_all() {
        let mut all = results("r", vec![side(sides::DURAMEN, &[1.0, 1.01, 1.02]), side(sides::KAFKA, &[10.0; 3])]);
        let row = row("r", vec![Goal::RatioToKafka(0.2)]);
        assert_eq!(judge(&row, &all)[0].held, Some(true));
        all.rows[0].sides[0].runs[2].clear();
        let judged = judge(&row, &all).remove(0);
        assert_eq!((judged.held, judged.text.ends_with("; only 2 of 3 pairs")), (None, true), "{}", judged.text);
        all.rows[0].sides[0].runs.pop();
        all.rows[0].sides[1].runs.pop();
        assert_eq!(judge(&row, &all)[0].held, Some(true));
        all.rows[0].parameters = serde_json::json!({ "pairs": 7 });
        all.rows[0].failures = vec!["gone".into()];
        let judged = judge(&row, &all);
        assert_eq!((judged[0].held, judged[1].text.as_str()), (None, "an attempt FAILED: gone"));
    }

    #[test]
    fn kafka_wins_only_where_it_is_shown() {
        let said = |mine: &[f64]| {
            let sides = vec![side(sides::DURAMEN, mine), side(sides::KAFKA, &[10.0, 10.0, 10.0])];
            judge(&row("r", Vec::new()), &results("r", sides)).remove(0).text.contains("KAFKA WINS")
        };
        assert!(said(&[12.0, 12.1, 12.2]));
        assert!(!said(&[8.0, 12.0, 14.0]));
        assert!(!said(&[8.0, 8.1, 8.2]));
    }

    #[test]
    fn the_cheapest_limit_counts_and_one_run_of_it_serves_all() {
        let sides = vec![
            side(sides::DURAMEN, &[12.0, 12.1]),
            side("limit: fdatasync", &[20.0, 20.0]),
            side("limit: dsync", &[10.0]),
        ];
        let judged = judge(&row("r", vec![Goal::RatioToLimit(1.3)]), &results("r", sides));
        assert_eq!((judged.len(), judged[0].against.as_str(), judged[0].held), (1, "limit: dsync", Some(true)));
    }

    #[test]
    fn bounds_of_the_figure_itself() {
        let mine = || vec![side(sides::DURAMEN, &[10.0, 10.1, 10.2])];
        assert_eq!(verdicts(Goal::AtMost(50.0), mine()), [Some(true)]);
        assert_eq!(verdicts(Goal::AtLeast(50.0), mine()), [Some(false)]);
    }

    #[test]
    fn flatness_waits_for_all_its_rows() {
        let goal = || Goal::Flat { rows: vec!["a".into(), "b".into()], within: 1.3 };
        let mut all = results("a", vec![side(sides::DURAMEN, &[1.0, 1.0])]);
        assert!(judge(&row("a", vec![goal()]), &all).is_empty());
        let other = vec![side(sides::DURAMEN, &[2.0, 0.5])];
        all.rows.push(RowResult { name: "b".into(), sides: other, ..RowResult::default() });
        let judged = judge(&row("a", vec![goal()]), &all).remove(0);
        assert_eq!((judged.ratio.unwrap().middle, judged.held), (2.0, Some(false)));
        all.rows[1].commit = "another".into();
        assert!(judge(&row("a", vec![goal()]), &all).is_empty());
    }

    #[test]
    fn figures_are_told_with_three_digits() {
        assert_eq!([0.01234, 0.2, 1.5, 12.34, 1234.5].map(short), ["0.0123", "0.200", "1.50", "12.3", "1234"]);
    }
}
