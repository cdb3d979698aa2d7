//! `cargo xtask test`: the gate. What the README names and what `.ci/run` calls.
//!
//! Stages run one after another and each prints its seconds; a stage that fails counts as one
//! failure and the rest still runs. The last line of the output is `N passed, N failed`, where
//! passed are tests alone, and failed are tests and stages. A test that skips is not passed; it is
//! printed with its reason, and fails in a tier that `WEFT_REQUIRE` names (in CI: all).

mod binaries;
mod libtest;
mod observe;
mod programs;
mod setup;
mod tally;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::cargo::{self, PROFILE};
use crate::check;
use crate::config::Settings;
use crate::{generate, stage, tidy};

use self::setup::Tools;
use self::tally::Tally;

/// How the gate was asked to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The full figures instead of the short forms.
    length: Length,
    /// Only the tests whose name contains this, and no static check.
    filter: Option<String>,
}

/// Which form of the tests runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    /// What every change runs.
    #[default]
    Short,
    /// The full figures: ignored tests too, and `WEFT_LONG=1` for those that have both forms.
    Long,
}

impl Options {
    /// Reads the words after `test`; `None` if they make no sense.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        for word in words {
            match *word {
                "--long" => options.length = Length::Long,
                filter if !filter.starts_with('-') && options.filter.is_none() => {
                    options.filter = Some(filter.to_owned());
                }
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs the gate; the exit code is 1 if anything failed.
pub(crate) fn run(settings: &Settings, options: &Options) -> Result<ExitCode> {
    let clock = stage::Clock::start();
    let mut tally = Tally::default();
    let tools = setup::run(settings, options.length, &mut tally)?;
    if options.filter.is_none() {
        checks(settings, &tools, &mut tally);
    }
    if options.length == Length::Long {
        tally.stage("dist", stage::run("dist", || crate::dist::build(settings)));
    }
    binaries::run(settings, options, &tools, &mut tally)?;
    if options.filter.is_none() {
        tally.stage(
            "generated files",
            stage::run("generated files", || generate::check(settings)),
        );
        tally.stage("docs", stage::run("docs", || docs(settings)));
    }
    tally.close(settings, options.filter.is_some());
    println!("== all stages: {}", stage::seconds(clock.elapsed()));
    // The contract of the last line; nothing may be printed after it.
    println!("{}", tally.last_line());
    Ok(if tally.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What needs no running test.
fn checks(settings: &Settings, tools: &Tools, tally: &mut Tally) {
    tally.stage("fmt", stage::run("fmt", || check::fmt(settings)));
    tally.stage("tidy", stage::run("tidy", || tidy::stage(settings)));
    tally.stage("clippy", stage::run("clippy", || check::clippy(settings)));
    match &tools.deny {
        Some(path) => tally.stage("deny", stage::run("deny", || deny(settings, path))),
        None => tally.missing("deny", "cargo-deny could not be installed"),
    }
}

/// Licences, bans and sources of every dependency. Advisories are left to whoever can reach the
/// advisory database: `cargo deny check advisories`, see CONTRIBUTING.md.
fn deny(settings: &Settings, path: &std::path::Path) -> Result<()> {
    let mut command = cargo::program(
        path,
        &["--all-features", "check", "bans", "licenses", "sources"],
    );
    command.current_dir(&settings.root);
    let shown = cargo::line(&command);
    let status = command.status()?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

/// The documentation of every crate, with broken links as errors.
fn docs(settings: &Settings) -> Result<()> {
    let mut command = cargo::cargo(
        settings,
        &[
            "doc",
            "--quiet",
            "--no-deps",
            "--workspace",
            "--document-private-items",
            "--keep-going",
            "--profile",
            PROFILE,
        ],
    );
    // What is private is documented too, so a link to it from a public page leads somewhere.
    command.env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private_intra_doc_links",
    );
    cargo::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_a_length_and_one_filter() {
        let parse = |words: &[&str]| Options::parse(words);
        assert_eq!(parse(&[]), Some(Options::default()));
        let long = Options {
            length: Length::Long,
            filter: Some("weight".into()),
        };
        assert_eq!(parse(&["--long", "weight"]), Some(long));
        assert_eq!(parse(&["a", "b"]), None);
        assert_eq!(parse(&["--short"]), None);
    }
}
