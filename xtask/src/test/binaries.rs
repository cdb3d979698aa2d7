//! Runs the test programs one after another, and the examples in documentation.
//!
//! The programs are run from here and not by `cargo test`, for three reasons: those whose name begins with `alone_`
//! must have the machine for themselves, a program that hangs must end, and the counts of each
//! belong to a tier.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cargo::{self, PROFILE};
use crate::config::Settings;
use crate::stage::{self, Clock};

use super::libtest::Outcome;
use super::observe::observe;
use super::programs::{self, Built, TestProgram, Turn};
use super::setup::Tools;
use super::tally::{Tally, Tier};
use super::{Length, Options};

/// How long one test program may run before it counts as hung.
const PROGRAM_LIMIT: Duration = Duration::from_secs(15 * 60);
/// The same for the full figures, some of which are outages of ten minutes.
const PROGRAM_LIMIT_LONG: Duration = Duration::from_secs(90 * 60);

/// Builds and runs; failures are counted.
pub(super) fn run(
    settings: &Settings,
    options: &Options,
    tools: &Tools,
    tally: &mut Tally,
) -> Result<()> {
    let mut made = Built::default();
    let built = stage::run("build", || {
        let (found, outcome) = programs::build(settings)?;
        made = found;
        outcome
    });
    tally.stage("build", built);
    let bin = pin_binaries(settings, &made.binaries)?;
    let clock = Clock::start();
    println!("== tests");
    for program in &made.programs {
        let mut command = command(settings, options, tools, program, bin.path());
        let limit = match options.length {
            Length::Short => PROGRAM_LIMIT,
            Length::Long => PROGRAM_LIMIT_LONG,
        };
        run_one(
            &mut command,
            &program.name,
            program.tier,
            limit,
            settings,
            tally,
        );
    }
    println!("== tests: {}", stage::seconds(clock.elapsed()));
    doc_tests(settings, options, tally);
    Ok(())
}

/// A folder that holds the shipped binaries as just built, so that a build that someone starts in
/// the same target folder meanwhile does not exchange them under running tests.
struct Pinned(PathBuf);

impl Pinned {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What is left behind is a few links in the cache folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pin_binaries(settings: &Settings, binaries: &[PathBuf]) -> Result<Pinned> {
    let folder = settings
        .target
        .join(PROFILE)
        .join(format!("gate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let pinned = Pinned(folder);
    for built in binaries {
        let name = built.file_name().context("a binary has a name")?;
        let place = pinned.path().join(name);
        std::fs::hard_link(built, &place)
            .or_else(|_| std::fs::copy(built, &place).map(drop))
            .with_context(|| format!("linking {}", built.display()))?;
    }
    Ok(pinned)
}

fn command(
    settings: &Settings,
    options: &Options,
    tools: &Tools,
    program: &TestProgram,
    bin: &Path,
) -> Command {
    let mut command = cargo::program(&program.executable, &["--show-output"]);
    command
        .current_dir(&program.package)
        .env("CARGO_MANIFEST_DIR", &program.package)
        .env("WEFT_BIN_DIR", bin);
    match &settings.require {
        crate::config::Require::All => command.env("WEFT_REQUIRE", "all"),
        crate::config::Require::Only(tiers) => command.env("WEFT_REQUIRE", tiers.join(",")),
    };
    if let Some(python) = &tools.python {
        command.env("WEFT_PYTHON", python);
    }
    if program.turn == Turn::Alone {
        command.arg("--test-threads=1");
    }
    if options.length == Length::Long {
        command
            .arg("--include-ignored")
            .env("WEFT_LONG", "1")
            .env("WEFT_DIST_DIR", crate::dist::folder(settings));
    }
    if let Some(filter) = &options.filter {
        command.arg(filter);
    }
    command
}

/// Runs one program under a limit, echoes what matters, and adds it to the tally.
fn run_one(
    command: &mut Command,
    name: &str,
    tier: Tier,
    limit: Duration,
    settings: &Settings,
    tally: &mut Tally,
) {
    let clock = Clock::start();
    println!("-- {} {name}", tier.name());
    let (outcome, fault) = match observe(command, limit, |line| println!("{line}")) {
        Ok(seen) => seen,
        Err(error) => (Outcome::default(), Some(format!("{error:#}"))),
    };
    println!(
        "-- {} {name}: {}",
        tier.name(),
        stage::seconds(clock.elapsed())
    );
    tally.add(tier, name, &outcome, &settings.require);
    if let Some(fault) = fault {
        tally.fail(format!("{name}: {fault}"));
    }
}

/// The examples in documentation, which only cargo can run.
fn doc_tests(settings: &Settings, options: &Options, tally: &mut Tally) {
    let mut command = cargo::cargo(
        settings,
        &[
            "test",
            "--quiet",
            "--doc",
            "--workspace",
            "--no-fail-fast",
            "--profile",
            PROFILE,
            "--",
        ],
    );
    if let Some(filter) = &options.filter {
        command.arg(filter);
    }
    run_one(
        &mut command,
        "doc tests",
        Tier::Unit,
        PROGRAM_LIMIT,
        settings,
        tally,
    );
}
