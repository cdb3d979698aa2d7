//! Commands: how this package calls cargo and everything else.
//!
//! No command gets a standard input, so that none can wait for a person; cargo gets the shared
//! target folder; an error names the whole command line.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::config::Settings;

/// The one profile of the gate: binaries, tests, clippy and docs share its build scripts, macros
/// and C libraries, so that nothing is compiled twice.
pub(crate) const PROFILE: &str = "ci";

/// A cargo command in the root of the tree.
pub(crate) fn cargo(settings: &Settings, words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(words)
        .current_dir(&settings.root)
        .env("CARGO_TARGET_DIR", &settings.target)
        .stdin(Stdio::null());
    // `cargo run` sets these for this process; a nested cargo must not inherit them, or build
    // scripts that watch them run again.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
    ] {
        command.env_remove(name);
    }
    command
}

/// Any other command.
pub(crate) fn program(path: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs a command with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command
        .status()
        .with_context(|| format!("starting `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// Runs a command and returns what it printed; its standard error stays on the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting `{line}`"))?;
    ensure!(
        output.status.success(),
        "`{line}` ended with {}",
        output.status
    );
    String::from_utf8(output.stdout).with_context(|| format!("reading what `{line}` printed"))
}

/// The command line as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
