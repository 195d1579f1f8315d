//! Text in the form of a Java properties file: `key=value` lines, `#` and `!` comments, a backslash at the end of a
//! line to go on in the next one, and the escapes of java.util.Properties.

use std::iter::Peekable;
use std::str::Chars;

/// One setting and the line of the file on which it starts, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub number: usize,
    pub key: String,
    pub value: String,
}

/// Reads a whole file. Every text is valid; an escape that Java would refuse stands for itself.
pub fn parse(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut natural = text.lines().enumerate();
    while let Some((index, first)) = natural.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_string();
        while goes_on(&logical) {
            logical.pop();
            let Some((_, next)) = natural.next() else { break };
            logical.push_str(next.trim_start());
        }
        let (key, value) = split(&logical);
        lines.push(Line { number: index + 1, key, value });
    }
    lines
}

/// Whether an odd number of backslashes ends the line.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped; one `=` or `:` among the blanks belongs to
/// neither side. Blanks at the end of the value are dropped, unlike in Java: no setting has a use for them.
fn split(line: &str) -> (String, String) {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(char) = chars.next_if(|char| !matches!(char, '=' | ':') && !char.is_whitespace()) {
        push(&mut key, char, &mut chars);
    }
    while chars.next_if(|char| char.is_whitespace()).is_some() {}
    if chars.next_if(|char| matches!(char, '=' | ':')).is_some() {
        while chars.next_if(|char| char.is_whitespace()).is_some() {}
    }
    let mut value = String::new();
    while let Some(char) = chars.next() {
        push(&mut value, char, &mut chars);
    }
    value.truncate(value.trim_end().len());
    (key, value)
}

fn push(target: &mut String, char: char, rest: &mut Peekable<Chars<'_>>) {
    if char != '\\' {
        return target.push(char);
    }
    match rest.next() {
        Some('t') => target.push('\t'),
        Some('n') => target.push('\n'),
        Some('r') => target.push('\r'),
        Some('f') => target.push('\u{c}'),
        Some('u') => push_unicode(target, rest),
        Some(other) => target.push(other),
        None => {}
    }
}

fn push_unicode(target: &mut String, rest: &mut Peekable<Chars<'_>>) {
    let mut digits = String::new();
    while digits.len() < 4 {
        let Some(digit) = rest.next_if(char::is_ascii_hexdigit) else { break };
        digits.push(digit);
    }
    let char = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4).and_then(char::from_u32);
    match char {
        Some(char) => target.push(char),
        None => {
            target.push('u');
            target.push_str(&digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).into_iter().map(|line| (line.key, line.value)).collect()
    }

    #[test]
    fn reads_what_java_reads() {
        let text =
            "# a comment\n! another\n\n  a=1\nb : 2 \nc 3\nd=\ne\nf=x\\\n   y\ng\\=h=\\u0041\\t|\npath=C:\\\\x\n";
        let expected =
            [("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", ""), ("f", "xy"), ("g=h", "A\t|"), ("path", "C:\\x")];
        assert_eq!(pairs(text), expected.map(|(key, value)| (key.to_string(), value.to_string())));
    }

    #[test]
    fn lines_are_numbered_where_they_start() {
        let numbers: Vec<usize> = parse("# x\na=1\\\n2\nb=3\n").iter().map(|line| line.number).collect();
        assert_eq!(numbers, [2, 4]);
    }

    #[test]
    fn a_comment_sign_within_a_continued_line_is_text() {
        assert_eq!(pairs("a=1,\\\n#2\n"), [("a".to_string(), "1,#2".to_string())]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            parse(&text);
        }

        #[test]
        fn plain_pairs_come_back(pairs_in in prop::collection::vec(("[a-z.]{1,20}", "[a-z0-9:/,]{0,20}"), 0..20)) {
            let text: String = pairs_in.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            prop_assert_eq!(pairs(&text), pairs_in);
        }
    }
}
