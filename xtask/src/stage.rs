//! Stages: named pieces of a run, each timed, whose failures are counted and do not end the run.

use std::time::Duration;

use anyhow::Result;

/// Runs one stage, prints its name, seconds and outcome, and says whether it passed.
pub(crate) fn run(name: &str, work: impl FnOnce() -> Result<()>) -> bool {
    println!("== {name}");
    let clock = Clock::start();
    let outcome = work();
    let seconds = seconds(clock.elapsed());
    match outcome {
        Ok(()) => {
            println!("== {name}: ok in {seconds}");
            true
        }
        Err(error) => {
            println!("== {name}: FAILED in {seconds}: {error:#}");
            false
        }
    }
}

/// A stopwatch. The task runner measures itself; nothing here is replayed on a paused clock.
#[derive(Clone, Copy)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "a stopwatch for people to read")]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// How long ago it was started.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds with one decimal.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
