//! Values: from text to typed, checked as Kafka checks them and refused in its words.

use super::setting::{Check, Kind, Setting};

/// The longest value that can be stored by request; Kafka's own bound.
const STORED_BYTES_MAX: usize = 32_767;

/// # Errors
/// Kafka's sentence, where a value that a request gives is too long to be stored.
pub fn check_length(text: &str) -> Result<(), String> {
    if text.len() <= STORED_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "The configuration value cannot be added because it exceeds the maximum value size of {STORED_BYTES_MAX} bytes."
    ))
}

/// A value that passed its check.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Number(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

impl Value {
    /// The text that DescribeConfigs answers: numbers and booleans in their plain form, lists joined by commas.
    pub fn describe(&self) -> String {
        match self {
            Value::Boolean(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Double(number) => java_double(*number),
            Value::Text(text) => text.clone(),
            Value::List(items) => items.join(","),
        }
    }
}

/// Parses a setting's value. `name` is the name under which it was given, which may have a listener's prefix.
///
/// # Errors
/// Kafka's own sentence, which names the value, the setting and what is valid.
pub fn check(setting: &Setting, name: &str, text: &str) -> Result<Value, String> {
    let value = parse(setting.kind, name, text)?;
    validate(&setting.check, &value).map_err(|why| {
        let shown = match (&setting.check, &value) {
            (Check::EachOf(valid), Value::List(items)) => {
                items.iter().find(|item| !valid.contains(&item.as_str())).cloned().unwrap_or_default()
            }
            (Check::ThrottledReplicas, Value::List(items)) => format!("[{}]", items.join(", ")),
            _ => value.describe(),
        };
        let why = why.replace("{name}", name);
        format!("Invalid value {shown} for configuration {name}: {why}")
    })?;
    Ok(value)
}

fn parse(kind: Kind, name: &str, text: &str) -> Result<Value, String> {
    let refuse = |why: &str| format!("Invalid value {text} for configuration {name}: {why}");
    let not_a_number = || refuse(&format!("Not a number of type {}", kind.name()));
    let trimmed = text.trim();
    match kind {
        Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        Kind::Boolean => Err(refuse("Expected value to be either true or false")),
        Kind::Short => trimmed.parse::<i16>().map(|number| Value::Number(number.into())).map_err(|_| not_a_number()),
        Kind::Int => trimmed.parse::<i32>().map(|number| Value::Number(number.into())).map_err(|_| not_a_number()),
        Kind::Long => trimmed.parse::<i64>().map(Value::Number).map_err(|_| not_a_number()),
        Kind::Double => trimmed.parse::<f64>().map(Value::Double).map_err(|_| not_a_number()),
        Kind::String | Kind::Class | Kind::Password => Ok(Value::Text(trimmed.to_string())),
        Kind::List => Ok(Value::List(split_list(trimmed))),
    }
}

/// The items of a comma-separated list; of the empty text, none.
pub fn split_list(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().to_string()).collect()
}

fn validate(check: &Check, value: &Value) -> Result<(), String> {
    let must = |holds: bool, why: String| if holds { Ok(()) } else { Err(why) };
    match (check, value) {
        (Check::AtLeast(min), Value::Number(number)) => must(number >= min, format!("Value must be at least {min}")),
        (Check::Range(min, max), Value::Number(number)) => {
            must(number >= min, format!("Value must be at least {min}"))?;
            must(number <= max, format!("Value must be no more than {max}"))
        }
        (Check::Fraction { max }, Value::Double(number)) => {
            must(*number >= 0.0, "Value must be at least 0".to_string())?;
            must(number <= max, format!("Value must be no more than {max}"))
        }
        (Check::OneOf(valid), Value::Text(text)) => {
            must(valid.contains(&text.as_str()), format!("String must be one of: {}", valid.join(", ")))
        }
        (Check::OneOfAnyCase(valid), Value::Text(text)) => must(
            valid.iter().any(|valid| valid.eq_ignore_ascii_case(text)),
            format!("String must be one of (case insensitive): {}", valid.join(", ")),
        ),
        (Check::EachOf(valid), Value::List(items)) => must(
            items.iter().all(|item| valid.contains(&item.as_str())),
            format!("String must be one of: {}", valid.join(", ")),
        ),
        (Check::NonEmpty, Value::Text(text)) => must(!text.is_empty(), "String must be non-empty".to_string()),
        (Check::NonEmptyItems, Value::List(items)) => {
            must(items.iter().all(|item| !item.is_empty()), "List items must be non-empty".to_string())
        }
        (Check::GzipLevel, Value::Number(level)) => {
            must(*level == -1 || (1..=9).contains(level), "Value must be between 1 and 9 or equal to -1".to_string())
        }
        (Check::ThrottledReplicas, Value::List(items)) => must(
            matches!(items.as_slice(), [one] if one == "*") || items.iter().all(|item| is_replica(item)),
            "{name} must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                .to_string(),
        ),
        (Check::OffsetReset, Value::Text(text)) => must(
            matches!(text.as_str(), "latest" | "earliest") || text.starts_with("by_duration:P"),
            "it must be latest, earliest or by_duration: and an ISO 8601 duration".to_string(),
        ),
        _ => Ok(()),
    }
}

fn is_replica(item: &str) -> bool {
    item.split_once(':').is_some_and(|(partition, broker)| {
        [partition, broker].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// A double as Java writes it: always with a fraction, and in scientific notation when it is very large or small.
fn java_double(number: f64) -> String {
    if number != 0.0 && !(1e-3..1e7).contains(&number.abs()) && number.is_finite() {
        let text = format!("{number:E}");
        return match text.split_once('E') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
            _ => text,
        };
    }
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::super::catalog;
    use super::*;

    fn refusal(name: &str, text: &str) -> String {
        check(catalog::topic()[name], name, text).expect_err(text)
    }

    #[test]
    fn refusals_read_as_kafka_4_3_1_words_them() {
        let replicas = "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the \
                        following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...";
        let codecs = "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer";
        for (name, text, shown, why) in [
            ("retention.ms", "abc", "abc", "Not a number of type LONG"),
            ("retention.ms", "", "", "Not a number of type LONG"),
            ("retention.ms", "-5", "-5", "Value must be at least -1"),
            ("segment.bytes", "99999999999", "99999999999", "Not a number of type INT"),
            ("segment.bytes", "100", "100", "Value must be at least 1048576"),
            ("cleanup.policy", "compact,foo", "foo", "String must be one of: compact, delete"),
            ("min.cleanable.dirty.ratio", "2", "2.0", "Value must be no more than 1"),
            ("preallocate", "maybe", "maybe", "Expected value to be either true or false"),
            ("compression.type", "bar", "bar", codecs),
            ("compression.gzip.level", "0", "0", "Value must be between 1 and 9 or equal to -1"),
            ("leader.replication.throttled.replicas", "a", "[a]", replicas),
        ] {
            assert_eq!(refusal(name, text), format!("Invalid value {shown} for configuration {name}: {why}"));
        }
    }

    #[test]
    fn values_are_trimmed_and_take_any_case_of_true() {
        let take = |name: &str, text: &str| check(catalog::topic()[name], name, text).expect(text);
        assert_eq!(take("retention.ms", " 5 "), Value::Number(5));
        assert_eq!(take("preallocate", "TRUE"), Value::Boolean(true));
        assert_eq!(take("cleanup.policy", "compact , delete").describe(), "compact,delete");
        assert_eq!(take("cleanup.policy", ""), Value::List(Vec::new()));
        take("leader.replication.throttled.replicas", "0:1,1:1");
        take("leader.replication.throttled.replicas", "*");
    }

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        assert_eq!(java_double(0.5), "0.5");
        assert_eq!(java_double(1.0), "1.0");
        assert_eq!(java_double(f64::MAX), "1.7976931348623157E308");
        assert_eq!(java_double(1e10), "1.0E10");
        assert_eq!(java_double(0.0), "0.0");
    }
}
