//! The sum over all runners, and the rule that a tier which ran nothing has failed.

use std::collections::BTreeMap;

use crate::config::{Require, Settings};

use super::libtest::Outcome;

/// What kind of proof a test is, from the least powerful up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Beside the code, without a socket; doc tests too.
    Unit,
    /// Real sockets and real peers within one process.
    Direct,
    /// The real binaries as processes on loopback.
    E2e,
}

/// Every tier, each of which must run at least one test.
const TIERS: &[Tier] = &[Tier::Unit, Tier::Direct, Tier::E2e];

impl Tier {
    /// The name used in `WEFT_REQUIRE` and in output.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Direct => "direct",
            Self::E2e => "e2e",
        }
    }
}

/// Everything that passed, failed and was skipped so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    /// Tests that ran, by tier; skipped ones did not.
    ran: BTreeMap<&'static str, u64>,
    /// Names of failed stages, tests' programs and tiers, for the summary.
    failures: Vec<String>,
    /// What was skipped and why.
    skips: Vec<String>,
    /// Stages that could not run: skipped, or failed in CI.
    unavailable: Vec<String>,
}

impl Tally {
    /// Counts a stage: only a failure changes the sums.
    pub(super) fn stage(&mut self, name: &str, passed: bool) {
        if !passed {
            self.fail(format!("stage {name}"));
        }
    }

    /// Counts one failure that is not a test's own.
    pub(super) fn fail(&mut self, what: String) {
        println!("FAILED: {what}");
        self.failed += 1;
        self.failures.push(what);
    }

    /// Notes something that this machine lacks.
    pub(super) fn missing(&mut self, what: &str, why: &str) {
        println!("SKIP {what}: {why}");
        self.unavailable.push(format!("{what}: {why}"));
    }

    /// Adds what one test program reported.
    pub(super) fn add(&mut self, tier: Tier, program: &str, outcome: &Outcome, require: &Require) {
        let skipped = u64::try_from(outcome.skipped.len()).unwrap_or(u64::MAX);
        let passed = outcome.passed.saturating_sub(skipped);
        self.passed += passed;
        self.failed += outcome.failed;
        *self.ran.entry(tier.name()).or_default() += passed + outcome.failed;
        if outcome.failed > 0 {
            self.failures
                .push(format!("{program}: {}", outcome.failed_tests.join(", ")));
        }
        for skip in &outcome.skipped {
            let line = format!("{} {program}: {skip}", tier.name());
            if require.names(tier.name()) {
                self.fail(format!("skipped although required: {line}"));
            } else {
                self.skips.push(line);
            }
        }
    }

    /// Ends the sum: a tier without a test has failed, and in CI so has what was unavailable.
    pub(super) fn close(&mut self, settings: &Settings, filtered: bool) {
        let empty: Vec<&str> = TIERS
            .iter()
            .map(|tier| tier.name())
            .filter(|name| self.ran.get(name).is_none_or(|ran| *ran == 0))
            .collect();
        if filtered {
            if self.ran.values().all(|ran| *ran == 0) {
                self.fail("no test has such a name".to_owned());
            }
        } else {
            for tier in empty {
                self.fail(format!("tier {tier} ran no test"));
            }
        }
        let unavailable = std::mem::take(&mut self.unavailable);
        for what in unavailable {
            if settings.ci {
                self.fail(format!("not available although in CI: {what}"));
            } else {
                self.skips.push(what);
            }
        }
        for (tier, ran) in &self.ran {
            println!("== tier {tier}: {ran} ran");
        }
        for skip in &self.skips {
            println!("SKIP {skip}");
        }
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
    }

    /// Whether anything failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// The last line of the run.
    pub(super) fn last_line(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(passed: u64, failed: u64, skipped: &[&str]) -> Outcome {
        Outcome {
            passed,
            failed,
            skipped: skipped.iter().map(|skip| (*skip).to_owned()).collect(),
            failed_tests: Vec::new(),
        }
    }

    #[test]
    fn sums_over_runners_and_takes_skips_off() {
        let mut tally = Tally::default();
        let optional = Require::Only(Vec::new());
        tally.add(Tier::Unit, "a", &outcome(3, 0, &[]), &optional);
        tally.add(
            Tier::Direct,
            "b",
            &outcome(2, 1, &["t: no h2load"]),
            &optional,
        );
        assert_eq!(tally.last_line(), "4 passed, 1 failed");
        assert_eq!(tally.skips.len(), 1);
    }

    #[test]
    fn a_skip_in_a_required_tier_fails() {
        let mut tally = Tally::default();
        tally.add(
            Tier::Direct,
            "b",
            &outcome(1, 0, &["t: no h2load"]),
            &Require::All,
        );
        assert_eq!(tally.last_line(), "0 passed, 1 failed");
    }

    #[test]
    fn a_failed_stage_counts_and_a_passed_one_does_not() {
        let mut tally = Tally::default();
        tally.stage("fmt", true);
        tally.stage("clippy", false);
        assert_eq!(tally.last_line(), "0 passed, 1 failed");
        assert!(tally.has_failed());
    }
}
