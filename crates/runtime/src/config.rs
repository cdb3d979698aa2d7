//! Start-up configuration: raw strings in, typed values or the whole list of what is wrong.
//!
//! Place: each binary's `config/env.rs` is the only code that reads the environment or flags; it
//! hands them over as [`Strings`] and builds its typed `Config` through a [`Reader`]. Invariants:
//! every error is reported, not only the first; an error names its variable, the value (unless it
//! is secret) and what would be accepted; nothing here reads the environment.

mod duration;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use duration::{DurationError, parse_duration};

/// The exit code of a binary whose configuration is wrong (EX_USAGE of sysexits.h).
pub const EXIT_CONFIG: u8 = 64;

/// The log filter's name in the environment of every binary.
pub const LOG: &str = "WEFT_LOG";

/// A source of strings: the environment, flags, or a map in a test.
pub trait Strings {
    /// The value of `key`; `None` when it is not set.
    fn string(&self, key: &str) -> Option<String>;
}

impl Strings for BTreeMap<String, String> {
    fn string(&self, key: &str) -> Option<String> {
        self.get(key).cloned()
    }
}

impl Strings for HashMap<String, String> {
    fn string(&self, key: &str) -> Option<String> {
        self.get(key).cloned()
    }
}

impl<const N: usize> Strings for [(&str, &str); N] {
    fn string(&self, key: &str) -> Option<String> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| (*value).to_owned())
    }
}

/// The first source that has a key wins: flags over environment.
#[derive(Debug, Clone)]
pub struct Layered<A, B>(pub A, pub B);

impl<A: Strings, B: Strings> Strings for Layered<A, B> {
    fn string(&self, key: &str) -> Option<String> {
        self.0.string(key).or_else(|| self.1.string(key))
    }
}

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required setting is not set.
    #[error("{key} is not set; expected {expected}")]
    Missing {
        /// The setting.
        key: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A setting has a value that cannot be used.
    #[error("{key}={value:?} {problem}; expected {expected}")]
    Invalid {
        /// The setting.
        key: String,
        /// What it is set to.
        value: String,
        /// What is wrong with it.
        problem: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A secret setting has a value that cannot be used; the value is not repeated.
    #[error("{key} {problem}; expected {expected}")]
    InvalidSecret {
        /// The setting.
        key: String,
        /// What is wrong with it.
        problem: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// Settings that are each fine do not go together.
    #[error("{0}")]
    Conflict(String),
}

/// Everything that is wrong, in the order of reading. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The single errors.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            f,
            "{count} invalid setting{}",
            if count == 1 { "" } else { "s" }
        )?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads typed values and collects what is wrong.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use weft_runtime::config::{ConfigErrors, Reader, Strings};
///
/// struct Config {
///     admin: SocketAddr,
///     grace: Duration,
/// }
///
/// fn config(strings: &dyn Strings) -> Result<Config, ConfigErrors> {
///     let mut read = Reader::new(strings);
///     let admin = read.required("WEFT_ADMIN_ADDR", "an address such as 127.0.0.1:15000");
///     let grace = read.duration_or("WEFT_DRAIN_GRACE", Duration::from_secs(30));
///     read.finish(|| Some(Config { admin: admin?, grace: grace? }))
/// }
///
/// let errors = config(&[("WEFT_DRAIN_GRACE", "soon")]).err().map(|e| e.errors().len());
/// assert_eq!(errors, Some(2));
/// ```
pub struct Reader<'a> {
    strings: &'a dyn Strings,
    errors: Vec<ConfigError>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

/// What a duration may look like, for error messages.
const DURATION: &str = "a duration such as 500ms, 30s, 5m or 1h30m";

impl<'a> Reader<'a> {
    /// Reads from `strings`.
    pub fn new(strings: &'a dyn Strings) -> Self {
        Self {
            strings,
            errors: Vec::new(),
        }
    }

    /// The raw value of `key`. An empty string counts as not set, as templates leave it.
    pub fn raw(&self, key: &str) -> Option<String> {
        self.strings.string(key).filter(|value| !value.is_empty())
    }

    /// A value that must be set. `None` means that an error has been noted.
    pub fn required<T>(&mut self, key: &str, expected: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.required_with(key, expected, |raw| raw.parse::<T>())
    }

    /// A value that may be absent: `Some(None)` then. `None` means that an error has been noted.
    pub fn optional<T>(&mut self, key: &str, expected: &'static str) -> Option<Option<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.optional_with(key, expected, |raw| raw.parse::<T>())
    }

    /// A value with a default. `None` means that an error has been noted.
    pub fn or<T>(&mut self, key: &str, expected: &'static str, default: T) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.optional(key, expected)
            .map(|value| value.unwrap_or(default))
    }

    /// A required value with a parser of its own.
    pub fn required_with<T, E: fmt::Display>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.optional_with(key, expected, parse)?;
        if value.is_none() {
            self.errors.push(ConfigError::Missing {
                key: key.to_owned(),
                expected,
            });
        }
        value
    }

    /// An optional value with a parser of its own.
    pub fn optional_with<T, E: fmt::Display>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let Some(raw) = self.raw(key) else {
            return Some(None);
        };
        match parse(raw.trim()) {
            Ok(value) => Some(Some(value)),
            Err(error) => {
                self.errors.push(ConfigError::Invalid {
                    key: key.to_owned(),
                    value: raw,
                    problem: format!("cannot be read ({error})"),
                    expected,
                });
                None
            }
        }
    }

    /// A required value that must not appear in a message.
    pub fn secret<T, E: fmt::Display>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(raw) = self.raw(key) else {
            self.errors.push(ConfigError::Missing {
                key: key.to_owned(),
                expected,
            });
            return None;
        };
        match parse(raw.trim()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(ConfigError::InvalidSecret {
                    key: key.to_owned(),
                    problem: format!("cannot be read ({error})"),
                    expected,
                });
                None
            }
        }
    }

    /// A string as it is.
    pub fn string(&mut self, key: &str, expected: &'static str) -> Option<String> {
        self.required(key, expected)
    }

    /// A path; whether it exists is for its user to find out.
    pub fn path(&mut self, key: &str, expected: &'static str) -> Option<PathBuf> {
        self.required(key, expected)
    }

    /// A duration with a unit.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.required_with(key, DURATION, parse_duration)
    }

    /// A duration with a unit, or `default`.
    pub fn duration_or(&mut self, key: &str, default: Duration) -> Option<Duration> {
        self.optional_with(key, DURATION, parse_duration)
            .map(|value| value.unwrap_or(default))
    }

    /// A switch: `true`, `1`, `yes`, `on` or their opposites; `default` when not set.
    pub fn switch_or(&mut self, key: &str, default: bool) -> Option<bool> {
        self.optional_with(key, "true or false", parse_switch)
            .map(|value| value.unwrap_or(default))
    }

    /// One of a few words, or `default`.
    pub fn one_of<T: Clone>(
        &mut self,
        key: &str,
        expected: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> Option<T> {
        self.optional_with(key, expected, |raw| {
            words
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(raw))
                .map(|(_, value)| value.clone())
                .ok_or("unknown word")
        })
        .map(|value| value.unwrap_or(default))
    }

    /// A list separated by commas; empty entries are skipped; empty when not set.
    pub fn list<T>(&mut self, key: &str, expected: &'static str) -> Option<Vec<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.optional_with(key, expected, |raw| {
            raw.split(',')
                .map(str::trim)
                .filter(|e| !e.is_empty())
                .map(str::parse)
                .collect()
        })
        .map(Option::unwrap_or_default)
    }

    /// Notes that settings which are each fine do not go together.
    pub fn conflict(&mut self, message: impl Into<String>) {
        self.errors.push(ConfigError::Conflict(message.into()));
    }

    /// The value of `build`, or everything that has been noted.
    ///
    /// # Errors
    /// When anything was noted, or when `build` gives `None`, which it does only for a value whose
    /// error was noted.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, ConfigErrors> {
        if !self.errors.is_empty() {
            return Err(ConfigErrors(self.errors));
        }
        build().ok_or_else(|| {
            ConfigErrors(vec![ConfigError::Conflict(
                "a setting is missing".to_owned(),
            )])
        })
    }
}

fn parse_switch(raw: &str) -> Result<bool, &'static str> {
    match raw.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

#[cfg(test)]
mod tests;
