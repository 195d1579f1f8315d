//! Where in a partition to begin: the words `beginning` and `end`, an offset, a distance from the end, or a time.

use std::str::FromStr;

/// A place in a partition, before it is resolved against the partition's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The first record that is kept.
    Beginning,
    /// Behind the last record.
    End,
    /// This offset, or the nearest bound where it lies outside.
    Offset(i64),
    /// So many records before the end.
    Last(i64),
    /// The first record whose timestamp, in milliseconds since 1970, is this or later.
    Time(i64),
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Position, String> {
        match text {
            "beginning" | "earliest" | "start" => return Ok(Position::Beginning),
            "end" | "latest" => return Ok(Position::End),
            _ => {}
        }
        if let Some(number) = text.strip_suffix("ms") {
            return parse_number(number).map(Position::Time).ok_or_else(|| expected(text));
        }
        if let Some(number) = text.strip_prefix('-') {
            return parse_number(number).map(Position::Last).ok_or_else(|| expected(text));
        }
        parse_number(text)
            .map(Position::Offset)
            .or_else(|| parse_rfc3339(text).map(Position::Time))
            .ok_or_else(|| expected(text))
    }
}

fn expected(text: &str) -> String {
    format!(
        "`{text}` is none of beginning, end, an offset (42), the last so many (-10), \
         a time (2025-03-01T12:00:00Z) or its milliseconds (1740830400000ms)"
    )
}

/// Digits only: no sign, no spaces.
fn parse_number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// RFC 3339 to milliseconds since 1970; a date alone is its midnight in UTC.
fn parse_rfc3339(text: &str) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let days = parse_date(text.get(..10)?)?;
    let Some(rest) = text.get(10..).filter(|rest| !rest.is_empty()) else {
        return Some(days * 86_400_000);
    };
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let clock = rest.get(..8)?;
    let (hour, minute, second) = (clock.get(0..2)?, clock.get(3..5)?, clock.get(6..8)?);
    if &clock[2..3] != ":" || &clock[5..6] != ":" {
        return None;
    }
    let (hour, minute, second) = (within(hour, 0, 23)?, within(minute, 0, 59)?, within(second, 0, 60)?);
    let (millis, zone) = parse_fraction(&rest[8..])?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - parse_zone(zone)? * 60;
    Some(seconds * 1_000 + millis)
}

/// Days since 1970 in the proleptic Gregorian calendar.
fn parse_date(text: &str) -> Option<i64> {
    if &text[4..5] != "-" || &text[7..8] != "-" {
        return None;
    }
    let (year, month) = (within(&text[..4], 0, 9_999)?, within(&text[5..7], 1, 12)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = within(&text[8..], 1, length)?;
    // Years are counted from March, so that the leap day is the last of its year.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days_before_month = (153 * month + 2) / 5;
    const DAYS_TO_1970: i64 = 719_468;
    Some(year * 365 + leap_days + days_before_month + day - 1 - DAYS_TO_1970)
}

/// `.123Z` to 123 and `Z`; digits beyond the millisecond are cut.
fn parse_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, zone) = text.split_at(end);
    let millis: String = digits.chars().chain("00".chars()).take(3).collect();
    (!digits.is_empty()).then(|| parse_number(&millis)).flatten().map(|millis| (millis, zone))
}

/// The zone's distance from UTC in minutes.
fn parse_zone(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    Some(sign * (within(hours, 0, 23)? * 60 + within(minutes, 0, 59)?))
}

fn within(text: &str, min: i64, max: i64) -> Option<i64> {
    parse_number(text).filter(|number| (min..=max).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> Option<i64> {
        match text.parse() {
            Ok(Position::Time(millis)) => Some(millis),
            _ => None,
        }
    }

    #[test]
    fn words_offsets_and_distances() {
        assert_eq!("beginning".parse(), Ok(Position::Beginning));
        assert_eq!("end".parse(), Ok(Position::End));
        assert_eq!("0".parse(), Ok(Position::Offset(0)));
        assert_eq!("1740830400000".parse(), Ok(Position::Offset(1_740_830_400_000)));
        assert_eq!("-10".parse(), Ok(Position::Last(10)));
        assert_eq!("1740830400000ms".parse(), Ok(Position::Time(1_740_830_400_000)));
    }

    #[test]
    fn times_as_the_calendar_has_them() {
        assert_eq!(time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(time("2025-03-01T12:00:00Z"), Some(1_740_830_400_000));
        assert_eq!(time("2025-03-01T13:30:00+01:30"), Some(1_740_830_400_000));
        assert_eq!(time("2025-03-01T12:00:00.5Z"), Some(1_740_830_400_500));
        assert_eq!(time("2025-03-01T12:00:00.123456Z"), Some(1_740_830_400_123));
        assert_eq!(time("2024-02-29"), Some(1_709_164_800_000));
        assert_eq!(time("2000-03-01"), Some(951_868_800_000));
        assert_eq!(time("1969-12-31T23:59:59Z"), Some(-1_000));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in
            ["", "begin", "--1", "-", "1.5", "ms", "-5ms", "2025-02-29", "2025-13-01", "2025-03-01T12:00:00", "+1"]
        {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<Position>();
        }

        #[test]
        fn text_like_a_time_is_parsed_or_refused(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{0,14}[Z+-]?[0-9:]{0,5}") {
            let _ = text.parse::<Position>();
        }

        #[test]
        fn offsets_are_kept(offset in 0i64..) {
            prop_assert_eq!(offset.to_string().parse(), Ok(Position::Offset(offset)));
        }

        #[test]
        fn the_next_day_is_a_day_later(days in 0i64..40_000) {
            let text = |days: i64| { let (y, m, d) = civil(days); format!("{y:04}-{m:02}-{d:02}") };
            prop_assert_eq!(time(&text(days)), Some(days * 86_400_000));
        }
    }

    /// Counts the days up, month by month: slow and plain, to check the formula against.
    fn civil(mut days: i64) -> (i64, i64, i64) {
        let (mut year, mut month) = (1970, 1);
        loop {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
            if days < length {
                return (year, month, days + 1);
            }
            days -= length;
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
    }
}
