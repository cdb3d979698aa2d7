//! Reads what Rust's test harness prints, line by line: a sans-IO state machine.
//!
//! The harness is asked to show the output of passed tests too, because that is where a test says
//! `SKIP: reason`; only those lines of it reach the terminal.

/// What one test program reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Tests the harness called ok, those that skipped included.
    pub(super) passed: u64,
    /// Tests that failed.
    pub(super) failed: u64,
    /// `test: reason` of each test that said SKIP and did not fail.
    pub(super) skipped: Vec<String>,
    /// Names of the failed tests.
    pub(super) failed_tests: Vec<String>,
}

/// Whether a line is for the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Print,
    Drop,
}

/// The part of the harness's output that the reader stands in.
#[derive(Debug, Default)]
enum Section {
    /// One line a test as they end.
    #[default]
    Progress,
    /// What passed tests printed; the name is the test's, once known.
    Successes(Option<String>),
    /// What failed tests printed.
    Failures,
}

/// The state machine.
#[derive(Debug, Default)]
pub(super) struct Reader {
    section: Section,
    outcome: Outcome,
    /// How many `test result:` lines were read; a program that printed none did not end well.
    results: u64,
}

impl Reader {
    /// Takes one line and says whether to show it.
    pub(super) fn line(&mut self, line: &str) -> Echo {
        // A test that prints such a line itself does not print all of it.
        if let Some(counts) = line
            .strip_prefix("test result: ")
            .filter(|counts| counts.contains(" filtered out"))
        {
            self.section = Section::Progress;
            self.results += 1;
            self.outcome.passed += count(counts, "passed");
            self.outcome.failed += count(counts, "failed");
            return Echo::Print;
        }
        match line {
            "successes:" => self.section = Section::Successes(None),
            "failures:" => self.section = Section::Failures,
            _ => return self.text(line),
        }
        Echo::Drop
    }

    /// Ends the reading: the outcome, and whether the harness reported at all.
    pub(super) fn end(self) -> (Outcome, bool) {
        (self.outcome, self.results > 0)
    }

    fn text(&mut self, line: &str) -> Echo {
        match &mut self.section {
            Section::Progress => {
                let Some(test) = line.strip_prefix("test ") else {
                    return if line.is_empty() || line.starts_with("running ") {
                        Echo::Drop
                    } else {
                        Echo::Print
                    };
                };
                if let Some(name) = test.strip_suffix(" ... FAILED") {
                    self.outcome.failed_tests.push(name.to_owned());
                }
                if test.ends_with(" ... ok") || test.contains(" ... ignored") {
                    Echo::Drop
                } else {
                    Echo::Print
                }
            }
            Section::Successes(test) => {
                if let Some(name) = section_name(line) {
                    *test = Some(name.to_owned());
                } else if let Some((_, reason)) = line.split_once("SKIP") {
                    // One skip a test, whatever it prints after that.
                    if let Some(name) = test.take() {
                        let reason = reason.trim_start_matches([':', ' ']);
                        self.outcome.skipped.push(format!("{name}: {reason}"));
                        return Echo::Print;
                    }
                }
                Echo::Drop
            }
            Section::Failures => Echo::Print,
        }
    }
}

/// The test's name in `---- name stdout ----`.
fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// The number before a word in `ok. 3 passed; 0 failed; ...`.
fn count(counts: &str, word: &str) -> u64 {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Outcome, bool, Vec<String>) {
        let mut reader = Reader::default();
        let shown = text
            .lines()
            .filter(|line| reader.line(line) == Echo::Print)
            .map(str::to_owned)
            .collect();
        let (outcome, reported) = reader.end();
        (outcome, reported, shown)
    }

    #[test]
    fn a_run_with_a_skip_and_a_failure() {
        let text = "\nrunning 4 tests\ntest a ... ok\ntest b ... FAILED\ntest c ... ignored\ntest d ... ok\n\
            \nsuccesses:\n\n---- a stdout ----\nSKIP: no h2load here\nSKIP: twice\n\n---- d stdout ----\nchatter\n\n\
            \nsuccesses:\n    a\n    d\n\nfailures:\n\n---- b stdout ----\nleft: 1\n\n\nfailures:\n    b\n\n\
            test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let (outcome, reported, shown) = read(text);
        assert!(reported);
        assert_eq!(outcome.passed, 2);
        assert_eq!(outcome.failed, 1);
        assert_eq!(outcome.failed_tests, ["b"]);
        assert_eq!(outcome.skipped, ["a: no h2load here"]);
        assert!(shown.iter().any(|line| line == "left: 1"));
        assert!(!shown.iter().any(|line| line == "chatter"));
    }

    #[test]
    fn several_results_add_up() {
        let text = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 filtered out\ntest result: ok. 4 passed; 0 failed; 0 ignored; 0 filtered out\n";
        assert_eq!(read(text).0.passed, 7);
    }

    #[test]
    fn a_program_that_died_has_not_reported() {
        assert!(!read("running 1 test\nfatal: stack overflow\n").1);
    }
}
