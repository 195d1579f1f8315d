//! Numbers as people read them.

use std::time::Duration;

/// Thousands separated.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Whole above 100, else with as many digits as tell something.
pub fn number(number: f64) -> String {
    match number.abs() {
        size if size >= 99.95 => {
            let sign = if number < 0.0 { "-" } else { "" };
            format!("{sign}{}", count(size.round() as u64))
        }
        size if size >= 9.995 => format!("{number:.1}"),
        size if size >= 0.0995 => format!("{number:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{number:.3}"),
    }
}

/// Nanoseconds as milliseconds, without the unit.
pub fn ms(ns: u64) -> String {
    number(ns as f64 / 1e6)
}

pub fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let found = units.into_iter().find(|&(unit, _)| bytes >= unit);
    found.map_or_else(|| format!("{bytes} B"), |(unit, name)| format!("{} {name}", number(bytes as f64 / unit as f64)))
}

pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

pub fn duration(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0 => "0 s".to_owned(),
        _ if micros.is_multiple_of(60_000_000) => format!("{} min", micros / 60_000_000),
        _ if micros >= 1_000_000 => format!("{} s", time.as_secs_f64()),
        _ if micros >= 1_000 => format!("{} ms", micros as f64 / 1e3),
        _ => format!("{micros} us"),
    }
}

/// `1 partition`, `2 partitions`.
pub fn some(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_tell_something() {
        assert_eq!([0, 999, 1_000, 1_750_000].map(count), ["0", "999", "1,000", "1,750,000"]);
        assert_eq!(
            [0.0, 0.05, 0.613, 11.23, 123.4, 50_000.2].map(number),
            ["0", "0.050", "0.61", "11.2", "123", "50,000"]
        );
        assert_eq!([99.96, 9.996, 0.0996].map(number), ["100", "10.0", "0.10"]);
        assert_eq!(
            [0, 1_023, 1 << 10, 5_033_165, 3 << 30].map(bytes),
            ["0 B", "1,023 B", "1.00 KiB", "4.80 MiB", "3.00 GiB"].map(|text| text.replace("1,023", "1023"))
        );
        assert_eq!([0.012, 0.31].map(percent), ["1.2 %", "31 %"]);
        let times = [0, 500, 5_000, 1_500_000, 120_000_000].map(|micros| duration(Duration::from_micros(micros)));
        assert_eq!(times, ["0 s", "500 us", "5 ms", "1.5 s", "2 min"]);
        assert_eq!([some(1, "batch"), some(2_000, "record")], ["1 batch", "2,000 records"]);
    }
}
