//! Durations as people write them, with a unit.
//!
//! Place: [`Reader::duration`](super::Reader::duration). A bare number is refused: seconds and milliseconds
//! are both obvious to somebody.

use std::time::Duration;

/// Why a string is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty")]
    Empty,
    /// A number without a unit, or a unit that is none of ms, s, m, h, d.
    #[error("needs a unit: ms, s, m, h or d")]
    Unit,
    /// Not a number before the unit.
    #[error("needs a whole number before each unit")]
    Number,
    /// Does not fit.
    #[error("too long")]
    Overflow,
}

/// Reads `500ms`, `30s`, `5m`, `1h30m`, `7d` or `0`.
///
/// # Errors
/// When it is none of these.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(DurationError::Unit)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| DurationError::Number)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = match unit {
            "ms" => 0,
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(DurationError::Unit),
        };
        let part = if seconds == 0 {
            Duration::from_millis(number)
        } else {
            Duration::from_secs(number.checked_mul(seconds).ok_or(DurationError::Overflow)?)
        };
        total = total.checked_add(part).ok_or(DurationError::Overflow)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases: [(&str, Result<Duration, DurationError>); 12] = [
            ("500ms", Ok(Duration::from_millis(500))),
            ("30s", Ok(Duration::from_secs(30))),
            ("1h30m", Ok(Duration::from_secs(5_400))),
            ("7d", Ok(Duration::from_secs(604_800))),
            ("0", Ok(Duration::ZERO)),
            ("0s", Ok(Duration::ZERO)),
            ("", Err(DurationError::Empty)),
            ("5", Err(DurationError::Unit)),
            ("5w", Err(DurationError::Unit)),
            ("s", Err(DurationError::Number)),
            ("-5s", Err(DurationError::Number)),
            ("18446744073709551615d", Err(DurationError::Overflow)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }
}
