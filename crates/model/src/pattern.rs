//! Regular expressions with RE2's meaning, matched against a whole value.
//!
//! Istio's regexes are RE2: ASCII classes, no look-around, no back-references, and the match must cover the entire value.
//! Rust's `regex` has the same engine family, but its byte-oriented, non-Unicode mode is the one whose `\d` and `\w` mean
//! RE2's. What RE2 has and this engine lacks (`\Q..\E`, `\pL`, `\C`) is translated or refused with a clear reason.

use crate::limits;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Why an expression is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// Longer than Istio admits.
    #[error("the regular expression has {0} characters; at most {max} are allowed", max = limits::REGEX_MAX_CHARS)]
    TooLong(usize),
    /// Does not parse.
    #[error("`{text}` is not a regular expression: {reason}")]
    Syntax {
        /// The expression.
        text: String,
        /// The engine's reason, one line.
        reason: String,
    },
    /// Means something else here than in RE2, or nothing.
    #[error("`{construct}` in `{text}` is not supported")]
    Unsupported {
        /// The expression.
        text: String,
        /// The part that is not supported.
        construct: String,
    },
}

/// A compiled expression that must match a whole value. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Arc<str>,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is too long, does not parse, or uses what RE2 does not have.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::build(text, false)
    }

    fn build(text: &str, ignore_case: bool) -> Result<Self, PatternError> {
        let chars = text.chars().count();
        if chars > limits::REGEX_MAX_CHARS {
            return Err(PatternError::TooLong(chars));
        }
        let translated = translate(text)?;
        let regex = RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
            .unicode(false)
            .case_insensitive(ignore_case)
            .size_limit(limits::REGEX_MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| PatternError::Syntax {
                text: text.to_owned(),
                reason: error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            })?;
        Ok(Self {
            text: Arc::from(text),
            regex,
        })
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }
}

/// RE2 text as text of the engine: `\Q..\E` is expanded, what differs in meaning is refused.
fn translate(text: &str) -> Result<String, PatternError> {
    let unsupported = |construct: &str| PatternError::Unsupported {
        text: text.to_owned(),
        construct: construct.to_owned(),
    };
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Q') => {
                    let rest: String = chars.clone().collect();
                    let literal = rest.split(r"\E").next().unwrap_or_default();
                    out.push_str(&regex::escape(literal));
                    let skip = literal.chars().count();
                    let ended = literal.len() < rest.len();
                    for _ in 0..skip + if ended { 2 } else { 0 } {
                        chars.next();
                    }
                }
                Some(class @ ('p' | 'P')) => return Err(unsupported(&format!(r"\{class}"))),
                Some('C') => return Err(unsupported(r"\C")),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if in_class && chars.peek() != Some(&':') => out.push_str(r"\["),
            '[' => {
                // A `]` that comes first in a class is a literal in RE2 and here alike.
                out.push('[');
                if !in_class {
                    in_class = true;
                    if chars.peek() == Some(&'^') {
                        out.extend(chars.next());
                    }
                    if chars.peek() == Some(&']') {
                        chars.next();
                        out.push_str(r"\]");
                    }
                } else {
                    // `[:alpha:]` inside a class: copy to its end.
                    for inner in chars.by_ref() {
                        out.push(inner);
                        if inner == ']' {
                            break;
                        }
                    }
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // Set operations are the engine's own; in RE2 these are plain characters.
            '&' | '~' | '-' if in_class && chars.peek() == Some(&c) => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_the_whole_value_as_re2_would() {
        let cases = [
            ("a", "a", true),
            ("a", "ab", false),
            ("a|ab", "ab", true),
            ("a.*", "abc", true),
            (r"\d+", "12", true),
            (r"\d+", "\u{0663}", false),
            (r"\w+", "é", false),
            ("(?i)beta", "BETA", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            ("[a&&b]+", "a&b", true),
            ("[[:alpha:]]+", "abc", true),
            ("[]a]+", "]a", true),
            (".*\\.png", "x.png", true),
            ("", "", true),
            ("^a$", "a", true),
        ];
        for (pattern, value, expected) in cases {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.matches(value.as_bytes()),
                expected,
                "{} {value}",
                pattern.as_str()
            );
        }
    }

    #[test]
    fn what_re2_lacks_is_refused() {
        for bad in [
            "(",
            "a{2,1}",
            "(?=a)",
            r"(a)\1",
            r"\pL",
            "[a",
            &"a".repeat(1025),
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
