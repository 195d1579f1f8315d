//! Sizes, times, rates and lists as people write them. Each function reads one value, and says what it expects.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::plan::{Begin, Pace, Payload, Sizes};

/// The longest value of a record that is asked for.
const VALUE_BYTES_MAX: u32 = 256 << 20;
/// CPUs that the kernel's masks can name here.
const CORES_MAX: usize = 1024;

/// Bytes, with K, M or G for powers of 1,024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let unit = match text.as_bytes().last() {
        Some(b'K' | b'k') => 1 << 10,
        Some(b'M' | b'm') => 1 << 20,
        Some(b'G' | b'g') => 1 << 30,
        _ => 1_u64,
    };
    let digits = if unit == 1 { text } else { &text[..text.len() - 1] };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "expected bytes, such as 512, 16K, 1M, 2G".to_owned())
}

/// The same where the protocol has 32 bits, and nothing is not enough.
pub fn bytes_i32(text: &str) -> Result<i32, String> {
    let number = i32::try_from(bytes(text)?).ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("expected between 1 and {} bytes", i32::MAX))
}

/// A time with its unit; 0 needs none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time with its unit, such as 500us, 5ms, 30s, 10m".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|one: char| one.is_ascii_alphabetic()).ok_or_else(expected)?;
    let seconds = match &text[digits..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(expected()),
    };
    let number: f64 = text[..digits].parse().map_err(|_| expected())?;
    // Rounded: 0.1 has no exact form, and 100ms is meant.
    let nanos = (number * seconds * 1e9).round();
    if (0.0..1e18).contains(&nanos) { Ok(Duration::from_nanos(nanos as u64)) } else { Err(expected()) }
}

/// A time that is not 0.
pub fn period(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| if time.is_zero() { Err("expected more than 0".to_owned()) } else { Ok(time) })
}

/// Records a second, or `max`.
pub fn pace(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Closed);
    }
    let rate = text.parse().ok().filter(|rate| (1e-3..=1e9).contains(rate));
    let records_per_second = rate.ok_or("expected records a second, such as 50000, or max")?;
    Ok(Pace::Open { records_per_second })
}

/// `100`, `50..500`, `normal:200:50`, `100@80,1000@20`.
pub fn sizes(text: &str) -> Result<Sizes, String> {
    let expected = || "expected bytes: 100, 50..500, normal:MEAN:DEVIATION, or SIZE@WEIGHT,..".to_owned();
    let size = |text: &str| {
        let number = bytes(text).ok().and_then(|number| u32::try_from(number).ok());
        number.filter(|&number| number <= VALUE_BYTES_MAX).ok_or_else(expected)
    };
    if let Some((min, max)) = text.split_once("..") {
        let (min, max) = (size(min)?, size(max)?);
        return if min <= max { Ok(Sizes::Uniform { min, max }) } else { Err(expected()) };
    }
    if let Some((mean, deviation)) = text.strip_prefix("normal:").and_then(|rest| rest.split_once(':')) {
        let (mean, deviation) = (f64::from(size(mean)?), f64::from(size(deviation)?));
        return Ok(Sizes::Normal { mean, deviation });
    }
    if text.contains('@') {
        let pair = |pair: &str| {
            let (bytes, weight) = pair.split_once('@').ok_or_else(expected)?;
            let weight = weight.parse().ok().filter(|weight| (1e-9..=1e9).contains(weight)).ok_or_else(expected)?;
            Ok((size(bytes)?, weight))
        };
        return text.split(',').map(pair).collect::<Result<_, String>>().map(Sizes::Weighted);
    }
    size(text).map(Sizes::Fixed)
}

/// A kind of payload, or a file that exists.
pub fn payload(text: &str) -> Result<Payload, String> {
    Ok(match text {
        "letters" => Payload::Letters,
        "random" => Payload::Random,
        "zeros" => Payload::Zeros,
        file => match std::fs::metadata(file) {
            Ok(found) if found.len() == 0 => return Err("the file is empty".to_owned()),
            Ok(_) => Payload::File(file.into()),
            Err(error) => return Err(format!("expected letters, random, zeros, or a file: {error}")),
        },
    })
}

/// `beginning`, `end`, `last:N`.
pub fn begin(text: &str) -> Result<Begin, String> {
    match (text, text.strip_prefix("last:").map(str::parse)) {
        ("beginning", _) => Ok(Begin::Beginning),
        ("end", _) => Ok(Begin::End),
        (_, Some(Ok(records))) => Ok(Begin::Last(records)),
        _ => Err("expected beginning, end, or last:N".to_owned()),
    }
}

/// As Kafka has them; -1 is all.
pub fn acks(text: &str) -> Result<i16, String> {
    match text {
        "all" | "-1" => Ok(-1),
        "0" => Ok(0),
        "1" => Ok(1),
        _ => Err("expected 0, 1 or all".to_owned()),
    }
}

/// CPUs and ranges of them, in rising order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

pub fn cores(text: &str) -> Result<Cores, String> {
    let expected = || "expected CPUs, such as 0,2-5".to_owned();
    let number = |text: &str| text.parse::<usize>().ok().filter(|&core| core < CORES_MAX).ok_or_else(expected);
    let mut found = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(expected());
        }
        found.extend(first..=last);
    }
    Ok(Cores(found.into_iter().collect()))
}

/// NAME=VALUE.
pub fn setting(text: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(name, _)| !name.is_empty());
    found.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// HOST:PORT.
pub fn server(text: &str) -> Result<String, String> {
    let found =
        text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    found.map(|_| text.to_owned()).ok_or_else(|| "expected HOST:PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1024() {
        assert_eq!(
            ["0", "512", "16K", "1M", "2g"].map(|text| bytes(text).ok()),
            [0, 512, 16 << 10, 1 << 20, 2 << 30].map(Some)
        );
        assert!(["", "K", "1.5M", "-1", "1T", "99999999999G"].iter().all(|text| bytes(text).is_err()));
        assert_eq!(bytes_i32("2G").ok().or(bytes_i32("0").ok()), None);
    }

    #[test]
    fn times_have_units() {
        let read = ["0", "500us", "0.5ms", "30s", "2m", "1h"].map(|text| duration(text).unwrap().as_micros());
        assert_eq!(read, [0, 500, 500, 30_000_000, 120_000_000, 3_600_000_000]);
        assert_eq!(duration("100ms").unwrap(), Duration::from_millis(100));
        assert!(["", "5", "ms", "-1s", "1d", "1e99s"].iter().all(|text| duration(text).is_err()));
        assert!(period("0s").is_err());
    }

    #[test]
    fn sizes_are_fixed_or_distributed() {
        assert_eq!(sizes("1K"), Ok(Sizes::Fixed(1024)));
        assert_eq!(sizes("50..500"), Ok(Sizes::Uniform { min: 50, max: 500 }));
        assert_eq!(sizes("normal:200:50"), Ok(Sizes::Normal { mean: 200.0, deviation: 50.0 }));
        assert_eq!(sizes("100@80,1K@20"), Ok(Sizes::Weighted(vec![(100, 80.0), (1024, 20.0)])));
        assert!(
            ["", "x", "500..50", "normal:1", "100@", "100@0", "100@1,5", "1G"].iter().all(|text| sizes(text).is_err())
        );
    }

    #[test]
    fn rates_places_and_lists_are_read() {
        assert_eq!(pace("max"), Ok(Pace::Closed));
        assert_eq!(pace("0.5"), Ok(Pace::Open { records_per_second: 0.5 }));
        assert!(["0", "-5", "inf", "NaN", "all"].iter().all(|text| pace(text).is_err()));
        assert_eq!(begin("last:100"), Ok(Begin::Last(100)));
        assert!(begin("last:").is_err() && begin("start").is_err());
        assert_eq!(cores("0,2-5,3").unwrap().0, [0, 2, 3, 4, 5]);
        assert!(["", "5-2", "a", "9999"].iter().all(|text| cores(text).is_err()));
        assert_eq!(setting("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(setting("=1").is_err() && setting("a").is_err());
        assert!(server("[::1]:9092").is_ok() && server("localhost").is_err() && server("h:0").is_err());
        assert_eq!(["all", "-1", "1", "0"].map(|text| acks(text).ok()), [Some(-1), Some(-1), Some(1), Some(0)]);
        assert!(payload("/nowhere/at-all").is_err());
        assert_eq!(payload("zeros"), Ok(Payload::Zeros));
    }
}
