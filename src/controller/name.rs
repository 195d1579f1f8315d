//! Topic names: what they may be, which are the broker's own, and which would collide.

/// Where groups keep their offsets.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Kafka's metadata topic, which nobody may make.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

const LENGTH_MAX: usize = 249;

/// Whether clients are told that a topic is the broker's own.
pub fn is_internal(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS | "__transaction_state" | "__share_group_state")
}

/// # Errors
/// Kafka's sentence on what is wrong with the name; INVALID_TOPIC_EXCEPTION.
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    let why = match name {
        "" => "the empty string is not allowed".to_string(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.encode_utf16().count() > LENGTH_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")
        }
        _ if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {why}"))
}

/// What two names that collide have in common: metric names know no difference between '.' and '_'.
pub(super) fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_as_kafka_words_it() {
        let refused = |name: &str| validate_topic_name(name).expect_err(name);
        assert_eq!(refused(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(refused("."), "Topic name is invalid: '.' is not allowed");
        assert_eq!(refused(".."), "Topic name is invalid: '..' is not allowed");
        let characters = "contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
        for name in ["a b", "é", "a/b"] {
            assert_eq!(refused(name), format!("Topic name is invalid: '{name}' {characters}"));
        }
        let long = "x".repeat(250);
        assert_eq!(
            refused(&long),
            format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249")
        );
        for name in ["a", "...", "A-b_c.9", "x".repeat(249).as_str()] {
            validate_topic_name(name).expect(name);
        }
    }
}
