//! Durations as Go and Istio write them: `1h`, `1m30s`, `1.5s`, `250ms`.
//!
//! Istio admits millisecond precision and, but for a few fields, nothing below 1 ms.

use crate::report::Fault;
use std::time::Duration;
use weft_crds::duration as crd;

/// Longest duration that Go's own type holds; a longer one is refused as Istio refuses it.
const MAX_NANOS: u128 = i64::MAX as u128;
const NANOS_PER_MILLI: u128 = 1_000_000;
const REMEDY: &str = "write a number with h, m, s or ms, for example 2s, 1m30s or 250ms";

/// A duration of at least 1 ms.
pub(crate) fn positive(text: &crd::Duration) -> Result<Duration, Fault> {
    let duration = parse(&text.0)?;
    if duration < Duration::from_millis(1) {
        return Err(Fault::new(
            "InvalidDuration",
            format!("`{}` is shorter than 1ms", text.0),
            "give at least 1ms, or leave the field out for its default",
        ));
    }
    Ok(duration)
}

/// A duration that may be zero.
pub(crate) fn or_zero(text: &crd::DurationOrZero) -> Result<Duration, Fault> {
    parse(&text.0)
}

fn parse(text: &str) -> Result<Duration, Fault> {
    let bad = |reason: &str| Fault::new("InvalidDuration", format!("`{text}` {reason}"), REMEDY);
    if text.starts_with('-') {
        return Err(bad("is negative"));
    }
    let nanos = nanos(text).ok_or_else(|| bad("is not a duration"))?;
    if nanos > MAX_NANOS {
        return Err(bad("is too long"));
    }
    if nanos % NANOS_PER_MILLI != 0 {
        return Err(bad("is more precise than 1ms"));
    }
    u64::try_from(nanos / NANOS_PER_MILLI)
        .map(Duration::from_millis)
        .map_err(|_| bad("is too long"))
}

/// Go's `time.ParseDuration`, without the sign `-`.
fn nanos(text: &str) -> Option<u128> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0_u128;
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let unit: u128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        sum = sum.checked_add(whole.checked_mul(unit)?)?;
        // Digits beyond what the unit can express are dropped, as Go drops them.
        let fraction = fraction.get(..fraction.len().min(15))?;
        if !fraction.is_empty() {
            let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
            sum = sum.checked_add(fraction.parse::<u128>().ok()?.checked_mul(unit)? / scale)?;
        }
        rest = after;
    }
    Some(sum)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let cases = [
            ("1s", Some(1_000)),
            ("1ms", Some(1)),
            ("1h", Some(3_600_000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("0.0015s", None),
            ("1000us", Some(1)),
            ("+2s", Some(2_000)),
            ("0", None),
            ("0s", None),
            ("1us", None),
            ("-1s", None),
            ("1", None),
            ("1d", None),
            ("", None),
            ("s", None),
            ("1s ", None),
            ("1 s", None),
            (".s", None),
            ("99999999999999999999h", None),
            ("é1s", None),
        ];
        for (text, expected) in cases {
            let got = positive(&crd::Duration(text.to_owned())).ok();
            assert_eq!(got, expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(
            or_zero(&crd::DurationOrZero("0s".to_owned())).ok(),
            Some(Duration::ZERO)
        );
    }
}
