//! Results as JSON, on stdout or in a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::compare::Results;
use crate::outcome::{Outcome, SCHEMA};

/// A result that was kept.
pub enum Kept {
    Run(Box<Outcome>),
    Comparison(Box<Results>),
}

/// To a file, or to stdout.
pub fn write(outcome: &Outcome, file: Option<&Path>) -> Result<(), Error> {
    let written = match file {
        None => write_to(io::stdout().lock(), outcome),
        Some(file) => File::create(file).and_then(|out| write_to(BufWriter::new(out), outcome)),
    };
    let shown = file.map_or_else(|| "stdout".to_owned(), |file| file.display().to_string());
    written.map_err(|source| Error::Io { what: format!("write {shown}"), source })
}

fn write_to(mut out: impl Write, outcome: &Outcome) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, outcome)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Of a run or of a comparison, which has rows.
pub fn read(text: &str) -> Result<Kept, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    match value.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => return Err(format!("its schema is {schema}, and {SCHEMA} is known here")),
        None => return Err("it is no result: it has no schema".to_owned()),
    }
    let is_comparison = value.get("rows").is_some();
    let told = |error: serde_json::Error| format!("it is no whole result: {error}");
    if is_comparison {
        serde_json::from_value(value).map(|results| Kept::Comparison(Box::new(results))).map_err(told)
    } else {
        serde_json::from_value(value).map(|outcome| Kept::Run(Box::new(outcome))).map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sample;

    #[test]
    fn what_is_written_is_read_again() {
        let outcome = sample::outcome();
        let mut text = Vec::new();
        write_to(&mut text, &outcome).unwrap();
        let text = String::from_utf8(text).unwrap();
        let Ok(Kept::Run(read)) = read(&text) else { panic!("a run is read as a run") };
        assert_eq!((&read.plan, &read.machine), (&outcome.plan, &outcome.machine));
        let p99 =
            |outcome: &Outcome| outcome.latency.scheduled.as_ref().map(|summary| (summary.p99_ns, summary.max_ns));
        assert_eq!((p99(&read), read.series.len()), (p99(&outcome), outcome.series.len()));
        assert_eq!(read.verification.acknowledged, outcome.verification.acknowledged);
        assert!(text.contains("\"p999_ns\"") && text.contains("\"schema\": 1") && text.contains("\"verified\""));
    }

    #[test]
    fn a_comparison_is_told_by_its_rows_and_others_are_refused() {
        let text = serde_json::to_string(&Results { schema: SCHEMA, ..Results::default() }).unwrap();
        assert!(matches!(read(&text), Ok(Kept::Comparison(_))));
        let why = |text: &str| read(text).err().unwrap();
        assert!(
            why("{").contains("not JSON")
                && why("{}").contains("no schema")
                && why(r#"{"schema": 9}"#).contains("is 9")
        );
        assert!(why(r#"{"schema": 1}"#).contains("no whole result"));
    }
}
