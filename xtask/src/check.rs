//! `cargo xtask check`: what to run before a commit; about a minute on a warm machine.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{self, PROFILE};
use crate::config::Settings;
use crate::{stage, tidy};

/// Runs fmt, clippy and tidy.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode> {
    let stages = [
        stage::run("fmt", || fmt(settings)),
        stage::run("clippy", || clippy(settings)),
        stage::run("tidy", || tidy::stage(settings)),
        stage::run("generated files", || crate::generate::check(settings)),
    ];
    Ok(match stages.iter().all(|passed| *passed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Formatting, checked and not applied.
pub(crate) fn fmt(settings: &Settings) -> Result<()> {
    cargo::run(&mut cargo::cargo(
        settings,
        &["fmt", "--all", "--", "--check"],
    ))
}

/// Every lint of the workspace, as an error, over every target.
pub(crate) fn clippy(settings: &Settings) -> Result<()> {
    cargo::run(&mut cargo::cargo(
        settings,
        &[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--keep-going",
            "--profile",
            PROFILE,
            "--",
            "-D",
            "warnings",
        ],
    ))
}
