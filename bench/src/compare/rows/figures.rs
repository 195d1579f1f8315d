//! The figures that rows read off an outcome. CPU time is that of the whole run, warm-up included, so it is divided by
//! what the whole run has done; latencies and rates are of the measured part.

use super::{Figure, Goal};
use crate::compare::results::Figures;
use crate::outcome::{Outcome, Summary};

const MILLION: f64 = 1e6;
const GIGA: f64 = 1e9;
const NS_PER_MS: f64 = 1e6;

/// 1 in a run of an open loop that did not keep its rate; absent from the others.
pub const FELL_BEHIND: &str = "fell_behind";

/// What every run tells: what others took of the machine meanwhile, what the generator needed, and whether the rate that
/// was asked for was not kept.
pub fn common(outcome: &Outcome) -> Figures {
    let mut figures = Figures::new();
    put(&mut figures, FELL_BEHIND, (outcome.rate_kept == Some(false)).then_some(1.0));
    let Some(cost) = &outcome.cost else { return figures };
    let broker = cost.user_seconds + cost.system_seconds;
    let whole = cost.wall_seconds * cost.cpus as f64;
    if whole > 0.0 {
        let others = (cost.machine_seconds - broker - outcome.generator.cpu_seconds).max(0.0);
        put(&mut figures, "others_percent", Some(others / whole * 100.0));
        put(&mut figures, "steal_percent", Some(cost.steal_seconds / whole * 100.0));
    }
    put(&mut figures, "peak_mib", cost.peak_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)));
    put(&mut figures, "flushes", cost.device_flushes.map(|count| count as f64));
    figures
}

/// Of a load that produces: what a record and a request cost, and how many there were a second.
pub fn produced(outcome: &Outcome) -> Figures {
    let mut figures = common(outcome);
    let Some(counts) = &outcome.produced else { return figures };
    let records = whole_run(outcome.series.iter().map(|second| second.produced).sum(), counts.records);
    let per_request = (counts.requests > 0).then(|| counts.records as f64 / counts.requests as f64);
    put(&mut figures, "rate_millions", Some(counts.records_per_second / MILLION));
    put(&mut figures, "kept_rate", Some(counts.records_per_second));
    put(&mut figures, "records_per_request", per_request);
    if records > 0.0 {
        put(&mut figures, "generator_per_million", Some(outcome.generator.cpu_seconds * MILLION / records));
        let broker = broker_seconds(outcome);
        put(&mut figures, "cpu_per_million", broker.map(|seconds| seconds * MILLION / records));
        let a_record = broker.map(|seconds| seconds * MILLION / records);
        put(&mut figures, "cpu_us_per_request", a_record.zip(per_request).map(|(cpu, records)| cpu * records));
        put(&mut figures, "millions_per_core", broker.map(|seconds| records / MILLION / seconds));
    }
    figures
}

/// Of a load that only consumes.
pub fn consumed(outcome: &Outcome) -> Figures {
    let mut figures = common(outcome);
    let Some(counts) = &outcome.consumed else { return figures };
    put(&mut figures, "rate_millions", Some(counts.records_per_second / MILLION));
    put(&mut figures, "gb_per_second", Some(counts.bytes_per_second / GIGA));
    if counts.bytes > 0 {
        let gigabytes = counts.bytes as f64 / GIGA;
        put(&mut figures, "cpu_per_gb", broker_seconds(outcome).map(|seconds| seconds / gigabytes));
        put(&mut figures, "generator_per_gb", Some(outcome.generator.cpu_seconds / gigabytes));
    }
    figures
}

/// Latencies in ms, and how late the generator was.
pub fn latencies(figures: &mut Figures, latency: Option<&Summary>, outcome: &Outcome) {
    if let Some(latency) = latency {
        let ms = |ns: Option<u64>| ns.map(|ns| ns as f64 / NS_PER_MS);
        put(figures, "p50_ms", ms(latency.p50_ns));
        put(figures, "p99_ms", ms(latency.p99_ns));
        put(figures, "p999_ms", ms(latency.p999_ns));
        put(figures, "max_ms", ms(Some(latency.max_ns)));
    }
    let late = outcome.latency.late.as_ref().and_then(|late| late.p99_ns);
    put(figures, "late_p99_ms", late.map(|ns| ns as f64 / NS_PER_MS));
}

/// User and system time of the broker.
fn broker_seconds(outcome: &Outcome) -> Option<f64> {
    let cost = outcome.cost.as_ref()?;
    Some(cost.user_seconds + cost.system_seconds).filter(|seconds| *seconds > 0.0)
}

/// Records of the whole run: seconds hold the warm-up too, counts the measured part alone.
fn whole_run(of_seconds: u64, measured: u64) -> f64 {
    of_seconds.max(measured) as f64
}

fn put(figures: &mut Figures, key: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        figures.insert(key.to_owned(), value);
    }
}

/// The figures of a load that is judged by what a record costs.
pub fn of_produce(goals: Vec<Goal>) -> Vec<Figure> {
    let mut figures = vec![
        Figure::cost("cpu_per_million", "broker CPU", "CPU-s per M records", goals),
        Figure::shown("rate_millions", "throughput", "M records/s"),
        Figure::shown("records_per_request", "records a request", "records"),
        Figure::shown("generator_per_million", "generator CPU", "CPU-s per M records"),
    ];
    figures.extend(of_machine());
    figures
}

/// The figures of a load that is judged by latency; goals for CPU a request, for p50, and for p99 and p99.9.
pub fn of_latency(cpu: Figure, p50: Vec<Goal>, p99: Vec<Goal>, p999: Vec<Goal>) -> Vec<Figure> {
    let mut figures = vec![
        cpu,
        Figure::cost("p50_ms", "p50", "ms", p50),
        Figure::cost("p99_ms", "p99", "ms", p99),
        Figure::cost("p999_ms", "p99.9", "ms", p999),
        Figure::shown("max_ms", "max", "ms"),
        Figure::shown("late_p99_ms", "generator late, p99", "ms"),
        Figure::shown("kept_rate", "records/s that were kept", "records/s"),
        Figure::shown("flushes", "flushes of the disk, whole machine", ""),
    ];
    figures.extend(of_machine());
    figures
}

/// What others took.
pub fn of_machine() -> [Figure; 3] {
    [
        Figure::shown("peak_mib", "peak memory", "MiB"),
        Figure::shown("others_percent", "other processes", "% of the machine"),
        Figure::shown("steal_percent", "the hypervisor", "% of the machine"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cost, Counts, Generator, Second};

    fn outcome() -> Outcome {
        let second = |produced| Second { produced, ..Second::default() };
        Outcome {
            produced: Some(Counts { records: 2_000_000, requests: 20_000, ..Counts::default() }),
            series: vec![second(1_000_000), second(2_000_000), second(1_000_000)],
            cost: Some(Cost {
                user_seconds: 1.5,
                system_seconds: 0.5,
                machine_seconds: 5.0,
                wall_seconds: 4.0,
                cpus: 2,
                ..Cost::default()
            }),
            generator: Generator { cpu_seconds: 2.2, ..Generator::default() },
            ..Outcome::default()
        }
    }

    #[test]
    fn cpu_time_is_divided_by_the_records_of_the_whole_run() {
        let figures = produced(&outcome());
        assert_eq!(figures["cpu_per_million"], 0.5);
        assert_eq!(figures["records_per_request"], 100.0);
        assert_eq!(figures["cpu_us_per_request"], 50.0);
        assert_eq!(figures["millions_per_core"], 2.0);
        assert!((figures["others_percent"] - 10.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_not_measured_is_absent() {
        let figures = produced(&Outcome { cost: None, ..outcome() });
        assert!(!figures.contains_key("cpu_per_million") && figures.contains_key("rate_millions"));
        let behind = common(&Outcome { rate_kept: Some(false), ..Outcome::default() });
        assert_eq!((behind.get(FELL_BEHIND), figures.get(FELL_BEHIND)), (Some(&1.0), None));
        let mut none = Figures::new();
        latencies(&mut none, Some(&Summary { max_ns: 2_000_000, ..Summary::default() }), &outcome());
        assert_eq!(none.keys().collect::<Vec<_>>(), ["max_ms"]);
    }
}
