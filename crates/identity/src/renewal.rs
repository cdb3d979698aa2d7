//! When to ask for the next certificate. Pure: time and chance are arguments.
//!
//! Place: the proxy's renewal loop asks [`Schedule::next_attempt`] after each success and failure.
//! Rules: the first attempt comes at 70 % (give or take 5 %) of the life counted from issue, so that
//! a fleet started together does not come together; failures back off with jitter; the old leaf is
//! used until it expires; one that has expired is renewed at once (and a failure of that backs off
//! like any).

use std::time::{Duration, SystemTime};

/// The part of a life after which the next certificate is asked for.
pub const RENEW_AT: f64 = 0.70;
/// How far a single proxy may be off that point, to either side.
pub const RENEW_SPREAD: f64 = 0.05;
/// The wait after the first failure, before jitter.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after failures, before jitter; short lives allow less, see
/// [`BACKOFF_OF_LIFE`].
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A wait is at most this part of the certificate's life, so that a life of a minute still sees
/// several attempts before its end.
pub const BACKOFF_OF_LIFE: f64 = 0.05;

/// A life to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// When the certificate was obtained, by our own clock: certificates are back-dated.
    pub issued: SystemTime,
    /// When it expires.
    pub not_after: SystemTime,
}

impl Schedule {
    /// The whole life.
    pub fn life(&self) -> Duration {
        self.not_after
            .duration_since(self.issued)
            .unwrap_or_default()
    }

    /// When the first attempt is due. `chance` in 0..1 places it within the spread.
    pub fn renew_at(&self, chance: f64) -> SystemTime {
        let part = RENEW_AT + RENEW_SPREAD * (2.0 * unit(chance) - 1.0);
        self.issued
            .checked_add(self.life().mul_f64(part))
            .unwrap_or(self.issued)
    }

    /// How long to wait from `now` before the next attempt, after `failures` failures in a row.
    /// `chance` must stay the same between two calls that are meant to name the same moment.
    pub fn next_attempt(&self, now: SystemTime, failures: u32, chance: f64) -> Duration {
        if failures > 0 {
            return backoff(failures, self.life(), chance);
        }
        self.renew_at(chance)
            .duration_since(now)
            .unwrap_or_default()
    }
}

/// The wait after `failures` failures in a row, for a certificate of that `life`, or
/// [`Duration::MAX`] for a first certificate: doubling, bounded, and spread over 50 % to 100 %.
pub fn backoff(failures: u32, life: Duration, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = BACKOFF_FIRST.saturating_mul(1 << doublings);
    let of_life = Duration::try_from_secs_f64(life.as_secs_f64() * BACKOFF_OF_LIFE)
        .unwrap_or(BACKOFF_MAX)
        .max(BACKOFF_FIRST);
    wait.min(BACKOFF_MAX)
        .min(of_life)
        .mul_f64(0.5 + 0.5 * unit(chance))
}

/// A chance outside of 0..1 is the caller's mistake and must not become a wrong time.
fn unit(chance: f64) -> f64 {
    if chance.is_nan() {
        0.5
    } else {
        chance.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(issued: u64, life: u64) -> Schedule {
        let issued = SystemTime::UNIX_EPOCH + Duration::from_secs(issued);
        Schedule {
            issued,
            not_after: issued + Duration::from_secs(life),
        }
    }

    #[test]
    fn a_day_is_renewed_after_about_seventeen_hours() {
        let day = schedule(1_000, 86_400);
        let after = |chance: f64| {
            day.next_attempt(day.issued, 0, chance).as_secs_f64() / day.life().as_secs_f64()
        };
        for (chance, part) in [(0.0, 0.65), (0.5, 0.70), (1.0, 0.75), (f64::NAN, 0.70)] {
            assert!((after(chance) - part).abs() < 1e-9, "{chance}");
        }
    }

    #[test]
    fn an_expired_certificate_is_renewed_at_once() {
        let minute = schedule(1_000, 60);
        let later = minute.not_after + Duration::from_secs(3_600);
        assert_eq!(minute.next_attempt(later, 0, 0.5), Duration::ZERO);
        assert!(
            minute.next_attempt(later, 1, 0.5) > Duration::ZERO,
            "no busy loop"
        );
    }

    #[test]
    fn a_minute_long_life_sees_several_attempts() {
        let minute = schedule(0, 60);
        let mut at = minute.renew_at(1.0);
        let mut attempts = 0;
        while at < minute.not_after {
            attempts += 1;
            at += minute.next_attempt(at, attempts, 1.0);
        }
        assert!(attempts >= 5, "{attempts}");
    }

    #[test]
    fn failures_back_off() {
        let waits: Vec<u64> = (1..8)
            .map(|n| backoff(n, Duration::MAX, 1.0).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }

    proptest! {
        #[test]
        fn an_attempt_falls_between_65_and_75_percent(
            issued in 0_u64..4_000_000_000,
            life in 60_u64..31_536_000,
            chance in 0.0_f64..1.0,
        ) {
            let schedule = schedule(issued, life);
            let at = schedule.renew_at(chance).duration_since(schedule.issued).unwrap();
            let part = at.as_secs_f64() / schedule.life().as_secs_f64();
            prop_assert!((0.65 - 1e-6..=0.75 + 1e-6).contains(&part));
        }

        #[test]
        fn a_backoff_is_bounded_and_never_nothing(
            failures in 1_u32..,
            life in any::<u64>(),
            chance in any::<f64>(),
        ) {
            let wait = backoff(failures, Duration::from_secs(life), chance);
            prop_assert!(wait >= BACKOFF_FIRST / 2);
            prop_assert!(wait <= BACKOFF_MAX);
        }

        #[test]
        fn no_time_is_too_odd(
            issued in 0_u64..4_000_000_000,
            not_after in 0_u64..4_000_000_000,
            now in 0_u64..4_000_000_000,
            failures in any::<u32>(),
            chance in any::<f64>(),
        ) {
            let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
            let schedule = Schedule { issued: at(issued), not_after: at(not_after) };
            let wait = schedule.next_attempt(at(now), failures, chance);
            // Never later than the end of the life, seen from now; a failure's wait aside.
            if failures == 0 && now >= issued {
                prop_assert!(wait <= schedule.life());
            }
        }
    }
}
