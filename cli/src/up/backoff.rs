//! How long to wait before a process that ended is started again.
//!
//! As a kubelet does, with a laptop's patience: doubling from the first to the longest wait, and
//! from the beginning again once a process has run for a while. Pure: time is an argument.

use std::time::Duration;

/// Before the first restart.
const FIRST: Duration = Duration::from_millis(250);

/// Before any restart at most.
const LONGEST: Duration = Duration::from_secs(15);

/// A process that ran this long is no crash loop.
const STEADY: Duration = Duration::from_secs(20);

/// Counts failures in a row.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after a process that ran for `ran`.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= STEADY {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        wait.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8)
            .map(|_| backoff.after(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]);
        assert_eq!(backoff.after(STEADY), FIRST);
    }
}
